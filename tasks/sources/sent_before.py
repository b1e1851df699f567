"""Rows that are sent again: extracts that overlap begin with the last rows of the day before.

A row counts on the day that brought it first, for that is when it became known. A landed day tells of each row the day
that sent its key before, within the table's `unique_within`; staging refuses it by the rule `sent_again`. Since the
earlier days' files are among what the partition is made from, a day lands the same whenever and in whichever order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.sources.spool import Spool
from tasks.store.partitions import Rows
from tasks.store.sql import render

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

SQL = Path(__file__).parent / "sql"
SENT_BEFORE = "sent_before"
"""Column of a landed table with a key: the last earlier day that sent the row's key; null if none did."""
_AT_A_TIME = 122_880


def with_sent_before(
    rows: Rows, key: tuple[str, ...], earlier: Mapping[date, Rows], connection: DuckDBPyConnection
) -> Iterator[pa.Table]:
    """Add to rows the last earlier day that sent their key, a part at a time.

    Args:
        rows: of a day.
        key: columns that tell rows apart.
        earlier: keys of the days before within the window.
        connection: DuckDB to join with; what its memory limit leaves no room for, it keeps on the disk.
    """
    import pyarrow as pa

    if not earlier:
        for part in rows.to_reader():
            yield pa.table(part).append_column(SENT_BEFORE, pa.nulls(part.num_rows, pa.date32()))
        return
    found = pa.table({SENT_BEFORE: pa.array([], pa.date32())})
    dates = iter(_days_of_rows(rows, key, earlier, connection).to_reader())
    for part in rows.to_reader():
        # The join has an answer for each row, in their order, but in batches of its own.
        while found.num_rows < part.num_rows:
            found = pa.concat_tables([found, pa.table(next(dates))])
        yield pa.table(part).append_column(SENT_BEFORE, found[SENT_BEFORE].slice(0, part.num_rows))
        found = found.slice(part.num_rows)


def _days_of_rows(
    rows: Rows, key: tuple[str, ...], earlier: Mapping[date, Rows], connection: DuckDBPyConnection
) -> Spool:
    import pyarrow as pa

    keys = pa.schema([rows.schema.field(name) for name in key])
    before = (
        [*(part[name] for name in key), pa.array(np.full(part.num_rows, day, "datetime64[D]"))]
        for day, sent in earlier.items()
        for part in sent.to_reader()
    )
    connection.register("arrived", _reader(_numbered(rows, key), keys.append(pa.field("_row", pa.int64()))))
    connection.register("earlier", _reader(before, keys.append(pa.field("ds", pa.date32()))))
    try:
        result = connection.sql(render(SQL, "sent_before", key=key)).to_arrow_reader(_AT_A_TIME)
        return Spool.of(result.schema, map(pa.table, result))
    finally:
        connection.unregister("arrived")
        connection.unregister("earlier")


def _numbered(rows: Rows, key: tuple[str, ...]) -> Iterator[list[pa.Array]]:
    import pyarrow as pa

    start = 0
    for part in rows.to_reader():
        yield [*(part[name] for name in key), pa.array(np.arange(start, start + part.num_rows, dtype=np.int64))]
        start += part.num_rows


def _reader(batches: Iterator[list[pa.Array]], schema: pa.Schema) -> pa.RecordBatchReader:
    import pyarrow as pa

    return pa.RecordBatchReader.from_batches(schema, (pa.record_batch(arrays, schema) for arrays in batches))


class RecentKeys:
    """Keys of a table's last days; they are kept, because the next day asks for them again."""

    def __init__(self, key: tuple[str, ...], days: int) -> None:
        """Take the columns of the key, and how many days a day looks back."""
        self.key, self._keep = key, 2 * days
        self._kept: dict[date, Spool] = {}

    def of(self, day: date, read: Callable[[date], Rows]) -> Rows:
        """Get the keys of a day, by reading its rows where they are not known any more."""
        import pyarrow as pa

        if day not in self._kept:
            rows = read(day)
            columns = pa.schema([rows.schema.field(name) for name in self.key])
            parts = (pa.table(part).select(list(self.key)) for part in rows.to_reader())
            self._kept[day] = Spool.of(columns, parts)
            for old in sorted(self._kept)[: -self._keep]:
                del self._kept[old]
        return self._kept[day]
