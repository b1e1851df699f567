"""Corrected lines of a file: read by the reader, and assigned to the days, that the file's other lines are."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import SourceError, quoted
from tasks.quarantine.corrected_rows import CorrectedRow, Match
from tasks.quarantine.rejected_rows import RejectedRow
from tasks.sources.datasets import Dataset, load_dataset, schema_of
from tasks.sources.rejects import LINE_NUMBER
from tasks.store.database import memory

if TYPE_CHECKING:
    from tasks.spec.spec import Spec

RAW = "raw_line"
"""Column of a file of corrected rows: the text of a line."""


@dataclass(frozen=True)
class CorrectedLine:
    """A line that could not be read before: the day it belongs to, and the values it has now."""

    row: RejectedRow
    ds: date
    values: dict[str, Any]


@dataclass(frozen=True)
class ReadLines:
    """Corrected lines that can be read, and those that still cannot, each with the reader's error."""

    lines: list[CorrectedLine] = field(default_factory=list)
    unreadable: list[tuple[RejectedRow, str]] = field(default_factory=list)


def read_lines(spec: Spec, matches: Sequence[Match]) -> ReadLines:
    """Read the corrected text of lines that could not be read.

    Raises:
        SourceError: a corrected line is missing, or is more than one line.
    """
    read = ReadLines()
    if not matches:
        return read
    assert spec.source.type != "simulated"  # noqa: S101 - a simulated source has no lines
    dataset = load_dataset(spec.source.dataset)
    for table in sorted({match.rejected.table for match in matches}):
        texts = [(m.rejected, _one_line(m.corrected)) for m in matches if m.rejected.table == table]
        of_table = _read_table(dataset, table, texts)
        read.lines.extend(of_table.lines)
        read.unreadable.extend(of_table.unreadable)
    return read


def _one_line(corrected: CorrectedRow) -> str:
    text = corrected.values.get(RAW)
    if text is None or "\n" in text or "\r" in text:
        raise SourceError(
            f"{corrected.place}: {RAW}: found {quoted(text)}, expected the corrected text of the line, without a line "
            "break"
        )
    return text


def _read_table(dataset: Dataset, name: str, texts: Sequence[tuple[RejectedRow, str]]) -> ReadLines:
    from tasks.sources.files.readers import READERS
    from tasks.sources.row_days import EPOCH, dayless, split_days

    table, layout = dataset.tables[name], dataset.layout(name)
    if table.from_ or table.format == "parquet" or (table.format == "csv" and layout.dialect.others == "ignore"):
        raise SourceError(
            f"{dataset.name}, table {name}: its rejected rows cannot be corrected here (the text of one does not say "
            "which fields it has); correct it at the source and land its day again"
        )
    # As it was read, but without a header: there is none above a single line.
    layout = replace(layout, dialect=layout.dialect.model_copy(update={"header": False, "encoding": "utf-8"}))
    judge = partial(dayless, dataset, table) if table.day else None
    with tempfile.TemporaryDirectory(prefix="matinee-") as folder, memory() as connection:
        path = Path(folder) / "corrected"
        # As they are, not through a csv writer: broken quotes must fail here as they would in the file.
        path.write_text("".join(f"{text}\n" for _, text in texts), encoding="utf-8", newline="")
        # The reader of the landing: what it accepts here it would have accepted there.
        rows, rejects = READERS[table.format](path, layout, connection, judge)
        rows = rows.cast(schema_of(table))
        days = None
        if table.day is not None:
            split = split_days(table, rows, rejects)
            rows, days = split.rows, split.days
    read = ReadLines(unreadable=[(texts[reject.line - 1][0], reject.error) for reject in rejects])
    for number, values in enumerate(rows.to_pylist()):
        row, _ = texts[values[LINE_NUMBER] - 1]
        ds = row.ds if days is None else EPOCH + timedelta(days=int(days[number]))
        read.lines.append(CorrectedLine(row, ds, {**values, LINE_NUMBER: row.line}))
    return read
