"""Which day a row belongs to, by its table's declared column."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tasks.sources.datasets import Dataset, Table
from tasks.sources.rejects import LINE_NUMBER, Problem, Reject

if TYPE_CHECKING:
    import pyarrow as pa

EPOCH = date(1970, 1, 1)
PER_DAY = {"epoch_seconds": 86_400, "epoch_milliseconds": 86_400_000, "timestamp": 86_400_000_000, "date": 1}
"""How many of a unit a day has; Arrow counts times in microseconds."""


@dataclass(frozen=True)
class Split:
    """Rows of a file for all days, in the order of their days, and where each day begins."""

    rows: pa.Table
    days: npt.NDArray[np.int64]
    rejects: list[Reject]

    def on(self, day: date) -> pa.Table:
        """Slice out the rows of a day, in the order of the file."""
        number = (day - EPOCH).days
        first, end = np.searchsorted(self.days, [number, number + 1])
        return self.rows.slice(first, end - first)


def split_days(table: Table, rows: pa.Table, rejects: list[Reject]) -> Split:
    """Give the rows of files for all days, each of which has a day (`dayless`), to their UTC days."""
    days = days_of(table, rows)
    # Stable: the rows of a day stay in the order of the file.
    order = np.argsort(days, kind="stable")
    return Split(rows.take(order), days[order], rejects)


def dayless(dataset: Dataset, table: Table, rows: pa.Table) -> dict[int, Problem]:
    """Find the rows without a day, or with one outside of the data set's days, by `line_number`."""
    assert table.day is not None  # noqa: S101 - asked for tables that declare `day`
    missing = rows[table.day.column].is_null().to_numpy()
    days = days_of(table, rows)
    first, last = ((day - EPOCH).days for day in (dataset.first_day, dataset.last_day))
    outside = ~missing & ((days < first) | (days > last))
    problems: dict[int, Problem] = {}
    for mask, why in ((missing, "is empty"), (outside, f"lies outside {dataset.first_day} to {dataset.last_day}")):
        for line in rows[LINE_NUMBER].filter(mask).to_pylist():
            problems[line] = (table.day.column, f"The row belongs to no day: {table.day.column} {why}.")
    return problems


def days_of(table: Table, rows: pa.Table) -> npt.NDArray[np.int64]:
    """Number the days of rows from 1970-01-01; 0 where there is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    assert table.day is not None  # noqa: S101 - see `dayless`
    column = rows[table.day.column]
    whole = pc.cast(column, pa.int32()) if table.day.unit == "date" else column
    # Filled, because Arrow hands over integers with nulls as floats, which are exact up to 2^53 only. Floored,
    # because an instant before 1970 belongs to the day before.
    days: npt.NDArray[np.int64] = pc.fill_null(pc.cast(whole, pa.int64()), 0).to_numpy() // PER_DAY[table.day.unit]
    return days
