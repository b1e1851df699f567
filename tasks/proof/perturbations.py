"""Perturbations of a landing: cut off after a day, or continued with absurd rows.

Absurd rows are derived from rows that staging has accepted, so that its rules do not reject them. What is done and when
stays together in a row; who does it, to which item, under which id and name is shuffled, column by column; and every
number becomes the largest or smallest of its kind. No source is treated specially: columns are told apart by their
types and by how many different values they hold.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.sources.rejects import LINE_NUMBER, REJECTS
from tasks.store.database import memory
from tasks.store.files import Home
from tasks.store.partitions import Partition, check_content, partition_dir, store
from tasks.store.sql import identifier, render

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.features.warehouse import Warehouse

SQL = Path(__file__).parent / "sql"
DAYS_OF_ROWS = 20
"""An absurd day has the rows of this many real ones."""
MOST_ROWS = 200_000
MOST_WORDS = 12
"""A text column with no more distinct values says what was done (a kind, a plan); one with more says who or which."""
SEED = 7


def link_partitions(partitions: Iterable[Partition], home: Home, source: str) -> None:
    """Bring landed partitions into another home; files are never changed, so they are linked where that is possible."""
    for part in partitions:
        folder = partition_dir(home, source, part.table, part.ds)
        folder.mkdir(parents=True)
        shutil.copyfile(part.path.parent / "manifest.json", folder / "manifest.json")
        try:
            os.link(part.path, folder / part.path.name)
        except OSError:  # another file system
            shutil.copyfile(part.path, folder / part.path.name)


def accepted_rows(tables: Warehouse, partitions: Sequence[Partition]) -> pa.Table:
    """Read the latest rows of a table that staging accepted, with the day (`ds`) on which they landed.

    Args:
        tables: built from these partitions; they know which rows were rejected.
        partitions: of one table, in order of days.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    filled = [part for part in partitions if part.rows][-DAYS_OF_ROWS:] or list(partitions[-1:])
    for part in filled:
        check_content(part)
    landed = [pq.read_table(part.path) for part in filled]
    days = [pa.array([part.ds] * part.rows, pa.date32()) for part in filled]
    rows = pa.concat_tables([_with(table, "ds", column) for table, column in zip(landed, days, strict=True)])
    with tables.open() as warehouse:
        rejected = warehouse.rows(
            """select ds, "row", json_keys("row") from rejected_rows where table_name = ? and rule <> 'unparseable'""",
            [filled[0].table],
        )
        # A rejected row is kept as JSON of its landed columns; if a column is missing, no row can match it.
        if rejected and set(rejected[0][2]) <= set(rows.column_names):
            warehouse.add("landed", rows)
            rows = warehouse.arrow(render(SQL, "accepted_rows", table=filled[0].table, columns=list(rejected[0][2])))
    # Every n-th row, so that all days are represented.
    return rows.take(pa.array(range(0, rows.num_rows, 1 + rows.num_rows // MOST_ROWS), pa.int64()))


def _with(table: pa.Table, name: str, column: Any) -> pa.Table:
    kept = table.drop_columns([name]) if name in table.column_names else table
    return kept.append_column(name, column)


def extremes(rows: pa.Table) -> pa.Table:
    """Replace every number by the largest or, in every other row, the smallest one.

    Of those with the same sign in rows with the same words (a share of a play stays between 0 and 1, a cancelled
    quantity below 0): what staging asks of a number still holds.
    """
    import pyarrow as pa
    import pyarrow.types as pt

    words = [identifier(name) for name in _texts(rows, words=True)]
    changed = []
    for field in rows.schema:
        column = identifier(field.name)
        if field.name == LINE_NUMBER:
            # Renumbered rather than made extreme: line numbers must still tell rows apart.
            changed.append(f"number as {column}")
        elif pt.is_integer(field.type) or pt.is_floating(field.type):
            alike = f"over (partition by {', '.join([*words, f'sign({column})'])})"
            chosen = f"case when number % 2 = 0 then max({column}) {alike} else min({column}) {alike} end"
            changed.append(f"cast({chosen} as {_sql_type(field.type)}) as {column}")
    if not changed:
        return rows
    with memory() as connection:
        connection.register("numbered", rows.append_column("number", pa.array(range(rows.num_rows), pa.int64())))
        # Ordered, because window functions do not preserve the order of rows.
        query = f"select * replace ({', '.join(changed)}) from numbered order by numbered.number"
        return connection.sql(query).to_arrow_table().drop_columns(["number"]).cast(rows.schema)


def _sql_type(kind: Any) -> str:
    import pyarrow.types as pt

    return "double" if pt.is_floating(kind) else "bigint"


def _texts(rows: pa.Table, *, words: bool) -> list[str]:
    """Names of the text columns with few distinct values, or of those with many."""
    import pyarrow.compute as pc
    import pyarrow.types as pt

    texts = [field.name for field in rows.schema if pt.is_string(field.type) or pt.is_large_string(field.type)]
    return [name for name in texts if (pc.count_distinct(rows[name]).as_py() <= MOST_WORDS) == words]


def absurd_rows(rows: pa.Table, day: date, table: int, *, shifted: bool) -> pa.Table:
    """Make the rows of a day: those given, with ids and names shuffled.

    Args:
        rows: rows with the day (`ds`) on which they landed, which the result leaves out.
        day: the day on which they are to land.
        table: number of the table; with the day it seeds what is drawn.
        shifted: move all times by whole days, so that what happened on `ds` happens on `day`.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as pt

    draw = np.random.default_rng([SEED, table, day.toordinal()])
    columns = {name: rows[name] for name in rows.column_names if name != "ds"}
    for name in _texts(rows, words=False):
        columns[name] = columns[name].take(pa.array(draw.permutation(rows.num_rows)))
    if shifted:
        later = pc.subtract(pa.scalar(day, pa.date32()), rows["ds"])
        for name, column in columns.items():
            if pt.is_timestamp(column.type) or pt.is_date(column.type):
                columns[name] = pc.add(column, later).cast(column.type)
    return pa.table(columns)


def land_absurd(
    tables: Warehouse, source: str, past: Sequence[Partition], days: Sequence[tuple[str, date]],
    *, into: Home, shifted: bool,
) -> dict[str, int]:  # fmt: skip
    """Land absurd rows on days after a run's, and count the rows landed by table.

    Args:
        tables: built from `past`.
        source: name of the pipeline's source.
        past: the landing up to the run's day.
        days: the partitions to land, (table, day).
        into: the home to land in.
        shifted: the rows happen on the day they land; otherwise they keep their times, and only land late.
    """
    landed: dict[str, int] = {}
    for number, table in enumerate(sorted({table for table, _ in days})):
        partitions = [part for part in past if part.table == table]
        rows = extremes(accepted_rows(tables, partitions))
        if table == REJECTS:
            # Unreadable lines end up in no table, so nothing could leak from them.
            rows = rows.slice(0, 0)
        for day in (day for name, day in days if name == table):
            absurd = absurd_rows(rows, day, number, shifted=shifted)
            store(partition_dir(into, source, table, day), absurd, inputs="absurd rows")
            landed[table] = landed.get(table, 0) + absurd.num_rows
    return landed
