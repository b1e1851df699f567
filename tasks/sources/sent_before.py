"""Rows that are sent again: extracts that overlap begin with the last rows of the day before.

A row counts on the day that brought it first, for that is when it became known. A landed day tells of each row the day
that sent its key before, within the table's `unique_within`; staging refuses it by the rule `sent_again`. Since the
earlier days' files are among what the partition is made from, a day lands the same whenever and in whichever order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.store.sql import render

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

SQL = Path(__file__).parent / "sql"
SENT_BEFORE = "sent_before"
"""Column of a landed table with a key: the last earlier day that sent the row's key; null if none did."""


def with_sent_before(
    rows: pa.Table, key: tuple[str, ...], earlier: Mapping[date, pa.Table], connection: DuckDBPyConnection
) -> pa.Table:
    """Add to rows the last earlier day that sent their key.

    Args:
        rows: of a day.
        key: columns that tell rows apart.
        earlier: the days before within the window, with at least the columns of the key.
        connection: DuckDB to join with.
    """
    import pyarrow as pa

    none = pa.table({**{name: rows[name].slice(0, 0) for name in key}, "ds": pa.array([], pa.date32())})
    days = [
        table.select(list(key)).append_column("ds", pa.array([day] * table.num_rows, pa.date32()))
        for day, table in earlier.items()
    ]
    connection.register(
        "arrived", rows.select(list(key)).append_column("_row", pa.array(range(rows.num_rows), pa.int64()))
    )
    connection.register("earlier", pa.concat_tables([none, *days]))
    try:
        found = connection.sql(render(SQL, "sent_before", key=key)).to_arrow_table()
    finally:
        connection.unregister("arrived")
        connection.unregister("earlier")
    return rows.append_column(SENT_BEFORE, found[SENT_BEFORE].cast(pa.date32()))


class RecentKeys:
    """Keys of a table's last days; they are kept, because the next day asks for them again."""

    def __init__(self, key: tuple[str, ...], days: int) -> None:
        """Take the columns of the key, and how many days a day looks back."""
        self.key, self._keep = key, 2 * days
        self._kept: dict[date, pa.Table] = {}

    def of(self, day: date, read: Callable[[date], pa.Table]) -> pa.Table:
        """Get the keys of a day, by reading its rows where they are not known any more."""
        if day not in self._kept:
            self._kept[day] = read(day).select(list(self.key))
            for old in sorted(self._kept)[: -self._keep]:
                del self._kept[old]
        return self._kept[day]
