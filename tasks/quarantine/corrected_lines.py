"""Corrected lines of a file: read by the reader, and assigned to the days, that the file's other lines are."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import SourceError, quoted
from tasks.quarantine.corrected_rows import CorrectedRow, Match
from tasks.quarantine.rejected_rows import RejectedRow
from tasks.sources.csv_files import LINE_NUMBER, read_csv
from tasks.sources.datasets import Dataset, load_dataset
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
    assert spec.source.type == "files"  # noqa: S101 - a simulated source has no lines
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
    from tasks.sources.file_source import EPOCH, schema_of, split_days

    table = dataset.tables[name]
    with tempfile.TemporaryDirectory(prefix="matinee-") as folder, memory() as connection:
        path = Path(folder) / "corrected.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, delimiter=table.delimiter, lineterminator="\n").writerow(table.layout.header)
            # As they are, not through the csv writer: broken quotes must fail here as they would in the file.
            stream.writelines(f"{text}\n" for _, text in texts)
        # The reader of the landing: what it accepts here it would have accepted there.
        rows, rejects = read_csv(path, table.layout, connection)
        rows = rows.cast(schema_of(table))
        days = None
        if table.day is not None:
            split = split_days(dataset, table, path, rows, rejects)
            rows, rejects, days = split.rows, split.rejects, split.days
    read = ReadLines(unreadable=[(texts[reject.line - 2][0], reject.error) for reject in rejects])
    for number, values in enumerate(rows.to_pylist()):
        row, _ = texts[values[LINE_NUMBER] - 2]  # lines count from 1, and the first one is the header
        ds = row.ds if days is None else EPOCH + timedelta(days=int(days[number]))
        read.lines.append(CorrectedLine(row, ds, {**values, LINE_NUMBER: row.line}))
    return read
