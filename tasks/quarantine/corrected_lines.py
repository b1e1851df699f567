"""Mended lines of a file: read by the reader, and given to the days, that the file's other lines are."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import SourceError
from tasks.quarantine.corrected_rows import Mended
from tasks.quarantine.rejected_rows import Row
from tasks.sources.csv_files import LINE_NUMBER, read_csv
from tasks.sources.datasets import Dataset, load_dataset
from tasks.store.database import memory

if TYPE_CHECKING:
    from tasks.spec.spec import Spec

RAW = "raw_line"
"""Column of a file of mended rows: the text of a line."""
Line = tuple[Row, date, dict[str, Any]]
"""A line that could not be read, the day it belongs to, and the row it says now."""


def read_lines(spec: Spec, pairs: Sequence[tuple[Row, Mended]]) -> tuple[list[Line], list[tuple[Row, str]]]:
    """Read the mended text of lines that could not be read.

    Returns:
        The rows that they say now, and the lines that cannot be read still, with the reader's words.

    Raises:
        SourceError: a mended line is none.
    """
    if not pairs:
        return [], []
    assert spec.source.type == "files"  # noqa: S101 - a simulated source has no lines
    dataset = load_dataset(spec.source.dataset)
    found: list[Line] = []
    unread: list[tuple[Row, str]] = []
    for table in sorted({row.table for row, _ in pairs}):
        own = [(row, _one_line(one)) for row, one in pairs if row.table == table]
        lines, errors = _read(dataset, table, own)
        found += lines
        unread += errors
    return found, unread


def _one_line(one: Mended) -> str:
    text = one.values.get(RAW)
    if text is None or "\n" in text or "\r" in text:
        raise SourceError(
            f"{one.place}: {RAW}: found {text!r}, expected the mended text of the line, without a line break"
        )
    return text


def _read(dataset: Dataset, name: str, pairs: Sequence[tuple[Row, str]]) -> tuple[list[Line], list[tuple[Row, str]]]:
    from tasks.sources.file_source import EPOCH, schema_of, split_days

    table = dataset.tables[name]
    with tempfile.TemporaryDirectory(prefix="matinee-") as folder, memory() as connection:
        path = Path(folder) / "mended.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, delimiter=table.delimiter, lineterminator="\n").writerow(table.layout.header)
            stream.writelines(f"{text}\n" for _, text in pairs)
        rows, rejects = read_csv(path, table.layout, connection)
        rows = rows.cast(schema_of(table))
        days = None
        if table.day is not None:
            split = split_days(dataset, table, path, rows, rejects)
            rows, rejects, days = split.rows, split.rejects, split.days
    lines = []
    for number, after in enumerate(rows.to_pylist()):
        row, _ = pairs[after[LINE_NUMBER] - 2]
        ds = row.ds if days is None else EPOCH + timedelta(days=int(days[number]))
        lines.append((row, ds, {**after, LINE_NUMBER: row.line}))
    return lines, [(pairs[reject.line - 2][0], reject.error) for reject in rejects]
