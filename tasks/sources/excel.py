"""An Excel workbook, read with the standard library, becomes one CSV per day.

Only what the Online Retail workbook needs: the first sheet, shared and inline strings, numbers, and dates as
serial days since 1899-12-30. The archive's checksum has been verified before (`tasks.sources.download`).
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

from tasks.errors import SourceError
from tasks.sources.datasets import Dataset, Download
from tasks.sources.layout import Layout

_SHEET = "xl/worksheets/sheet1.xml"
_STRINGS = "xl/sharedStrings.xml"
_NS = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
# Not 1899-12-31: Excel counts a 29 February 1900 that never was, so later days are one too high.
SERIAL_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001 - as everywhere: naive UTC


def write_days(archive: Path, dataset: Dataset, folder: Path) -> int:
    """Write `<folder>/<day>.csv` for each day in the workbook of an archive; return the number of files.

    Raises:
        SourceError: the archive or the workbook is not what the data set declares.
    """
    home = dataset.download
    tables = [name for name, table in dataset.tables.items() if table.daily]
    if home is None or len(tables) != 1:
        raise SourceError(f"data set {dataset.name}: expected `download` and one table with a file per day")
    try:
        with zipfile.ZipFile(archive) as outer:
            inner = io.BytesIO(outer.read(home.workbook))
        with zipfile.ZipFile(inner) as workbook:
            days, rows = _split(workbook, dataset.layout(tables[0]), home)
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError, ValueError, IndexError) as error:
        raise SourceError(
            f"{archive}: cannot read {home.workbook!r} in it ({error}); expected an Excel workbook with the "
            f"columns {', '.join(dataset.layout(tables[0]).header)}; export its sheet to CSV files per day by hand"
        ) from None
    if rows != home.rows:
        raise SourceError(f"{archive}: found {rows} rows in {home.workbook!r}, expected {home.rows}")
    for day, text in days.items():
        path = folder / dataset.tables[tables[0]].file.replace("{ds}", day)
        path.write_text(text.getvalue(), encoding="utf-8", newline="")
    return len(days)


def _split(workbook: zipfile.ZipFile, layout: Layout, home: Download) -> tuple[dict[str, io.StringIO], int]:
    strings = shared_strings(workbook)
    header = layout.header
    key, count = header.index(home.day), 0
    days: dict[str, io.StringIO] = {}
    with workbook.open(_SHEET) as sheet:
        for number, cells in enumerate(_rows(sheet, strings, len(header))):
            if number == 0:
                if tuple(cells) != header:
                    # Its own text is not quoted: whatever else may stand in a file is not for a message.
                    raise ValueError("its first row is another header")
                continue
            values = [_text(cell, kind) for cell, kind in zip(cells, layout.types, strict=True)]
            day = values[key][:10]
            if day not in days:
                days[day] = io.StringIO()
                csv.writer(days[day], lineterminator="\n").writerow(header)
            csv.writer(days[day], lineterminator="\n").writerow(values)
            count += 1
    return days, count


def shared_strings(workbook: zipfile.ZipFile) -> list[str]:
    """Read the texts that cells point to by their numbers."""
    if _STRINGS not in workbook.namelist():
        return []
    with workbook.open(_STRINGS) as stream:
        root = ElementTree.parse(stream).getroot()  # noqa: S314 - see above
    # Phonetic hints (rPh) are no part of the text.
    return [
        "".join(t.text or "" for t in [*entry.findall(f"{_NS}t"), *entry.findall(f"{_NS}r/{_NS}t")]) for entry in root
    ]


def _rows(sheet: IO[bytes], strings: list[str], width: int) -> Iterator[list[str]]:
    for _, element in ElementTree.iterparse(sheet):  # noqa: S314 - see above
        if element.tag == f"{_NS}row":
            cells = [""] * width
            # Empty cells are left out of a row, so that a cell's place is in its reference, not in its order.
            for cell in element:
                column = column_of(cell.get("r", ""))
                if column < width:
                    cells[column] = cell_text(cell, strings)
            yield cells
            element.clear()  # iterparse keeps the whole tree otherwise: gigabytes for half a million rows


def column_of(reference: str) -> int:
    """Find the index of a cell's column: A1 → 0, AB7 → 27."""
    match = re.match(r"[A-Z]+", reference)
    if match is None:
        raise ValueError(f"a cell has the reference {reference!r}")
    index = 0
    for letter in match[0]:
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1


def cell_text(cell: ElementTree.Element, strings: list[str]) -> str:
    """Read a cell as it is stored: days and times are numbers."""
    if cell.get("t") == "inlineStr":
        return "".join(cell.itertext())
    value = cell.findtext(f"{_NS}v") or ""
    return strings[int(value)] if cell.get("t") == "s" and value else value


def moment_text(serial: str, zero: datetime = SERIAL_ZERO) -> str:
    """Write a day or time, which Excel keeps as a number of days, as an ISO instant."""
    # A time is a fraction of a day, which floats hold only nearly; the whole second is what was meant.
    return (zero + timedelta(seconds=round(float(serial) * 86_400))).isoformat(sep=" ")


def _text(value: str, kind: str) -> str:
    """Write a cell as it stands in a CSV file: line breaks are blanks, serial days are ISO instants."""
    if not value:
        return ""
    if kind == "TIMESTAMP":
        return moment_text(value)
    if kind == "INTEGER":
        # Excel has no whole numbers: 6 may stand there as 6.0 or as 6E0.
        return str(int(float(value)))
    if kind == "DOUBLE":
        return repr(float(value))
    return value.replace("\r", " ").replace("\n", " ")
