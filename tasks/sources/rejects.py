"""Records of a file that could not be read, and the column that says where a row was read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.sources.spool import Spool
from tasks.store.partitions import Rows

if TYPE_CHECKING:
    import pyarrow as pa

LINE_NUMBER = "line_number"
LONGEST_RAW = 65_536
REJECTS = "_rejects"
"""Landed beside a source's tables: the records of its files that could not be read."""
Problem = tuple[str | None, str]
"""The column, if it is one column's fault, and what is wrong."""
Judge = Callable[["pa.Table"], dict[int, Problem]]
"""Finds further rows to reject, by `line_number`: those that belong to no day, say."""


@dataclass(frozen=True)
class Reject:
    """A record that could not be read; `line` counts from 1, a header being line 1."""

    line: int
    column: str | None
    error: str
    raw: str


Refuse = Callable[[list[Reject]], None]
"""Takes records that could not be read, in the order of their lines."""


def told_rejects(path: Path, most: int = 3) -> str:
    """Say which records of a landed day could not be read: by table how many, and the first ones with their reasons.

    Args:
        path: the day's partition of `REJECTS`.
        most: how many are told of each table.
    """
    import pyarrow.parquet as pq

    by_table: dict[str, list[str]] = {}
    for row in pq.read_table(path, columns=["table_name", "line", "column_name", "error"]).to_pylist():
        place = f"line {row['line']}" + (f", {row['column_name']}" if row["column_name"] else "")
        by_table.setdefault(row["table_name"], []).append(f"{place}: {row['error'].rstrip('.')}")
    parts = (f"{table} {len(told):,} ({'; '.join(told[:most])})" for table, told in by_table.items())
    return ", ".join(parts)


def read_with_rejects(
    wanted: Iterable[str],
    tables: Iterable[str],
    read: Callable[[str, date, Refuse], Rows],
    day: date,
) -> dict[str, Rows]:
    """Read the wanted tables of a day, of which one may be that of the rejects.

    Args:
        wanted: names of tables.
        tables: names of all but the rejects.
        read: reads the rows of a table and day, and hands over those that it refuses, in their order.
        day: the day.
    """
    wanted = list(wanted)
    result: dict[str, Rows] = {}
    rejects = Spool(rejects_table([], "", day).schema)
    # The records that cannot be read are known only once the tables they stand in have been read.
    for name in tables if REJECTS in wanted else wanted:

        def refuse(refused: list[Reject], table: str = name) -> None:
            rejects.add(rejects_table(refused, table, day))

        result[name] = read(name, day, refuse)
    result[REJECTS] = rejects
    return {name: result[name] for name in wanted}


def rejects_table(rejects: list[Reject], table: str, day: date) -> pa.Table:
    """Make rows for the partition of a day's rejects of those of a table."""
    import pyarrow as pa

    text = {name: pa.string() for name in ("table_name", "column_name", "error", "raw")}
    rows = [
        {"table_name": table, "line": r.line, "column_name": r.column, "error": r.error, "raw": r.raw, "ds": day}
        for r in rejects
    ]
    names = ("table_name", "line", "column_name", "error", "raw", "ds")
    others = {"line": pa.int64(), "ds": pa.date32()}
    return pa.Table.from_pylist(rows, schema=pa.schema({name: (text | others)[name] for name in names}))


def count_by_table(rejects: Rows) -> dict[str, int]:
    """Count the rejects of a day by the names of their tables."""
    import pyarrow.compute as pc

    counts: dict[str, int] = {}
    for part in rejects.to_reader():
        for found in pc.value_counts(part["table_name"]).to_pylist():
            counts[found["values"]] = counts.get(found["values"], 0) + found["counts"]
    return counts
