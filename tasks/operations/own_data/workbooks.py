"""Excel workbooks: each sheet that is a table becomes a CSV file, which is what then lands.

A workbook is a zip archive of XML files. Days and times are numbers there, told from others by their cells' format.
"""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

from tasks.errors import SpecError, first_line
from tasks.sources.excel import SERIAL_ZERO, cell_text, column_of, moment_text, shared_strings

MOST_BYTES = 4 << 30
"""Of all that is packed in a workbook: an archive of some kilobytes can unpack to a full disk."""
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_DAYS = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
"""Excel's own formats of days and times."""
# Of a format that somebody made: texts in quotes, colors and locales in brackets say nothing of days.
_SAYS_NOTHING = re.compile(r'"[^"]*"|\[(?!h+\]|m+\]|s+\])[^\]]*\]|\\.')


def is_workbook(place: Path) -> bool:
    """Tell a workbook by its name."""
    return place.suffix.lower() in {".xlsx", ".xlsm"}


def write_sheets(place: Path, folder: Path) -> list[Path]:
    """Write each sheet with two columns or more as a CSV file of its name.

    Raises:
        SpecError: the file is no workbook, or too large, or has no such sheet.
    """
    written: list[Path] = []
    try:
        with zipfile.ZipFile(place) as workbook:
            if (size := sum(one.file_size for one in workbook.infolist())) > MOST_BYTES:
                raise SpecError(f"{place}: unpacks to {size:,} bytes, more than {MOST_BYTES:,}; save its sheets as CSV")
            for name, member in _sheets(workbook):
                file = folder / f"{re.sub(r'[^A-Za-z0-9]+', '_', name).strip('_') or f'sheet_{len(written) + 1}'}.csv"
                if _write(_rows(workbook, member), file):
                    written.append(file)
    except (OSError, zipfile.BadZipFile, KeyError, ElementTree.ParseError, ValueError, IndexError) as error:
        raise SpecError(
            f"{place}: cannot be read as an Excel workbook ({first_line(error)}); save its sheets as CSV"
        ) from None
    if not written:
        raise SpecError(f"{place}: found no sheet with a header and two columns or more")
    return written


def _sheets(workbook: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """List the sheets: their names, and their files in the archive."""
    links = {one.get("Id"): one.get("Target", "") for one in _xml(workbook, "xl/_rels/workbook.xml.rels")}
    for sheet in _xml(workbook, "xl/workbook.xml").iter(f"{_MAIN}sheet"):
        target = links[sheet.get(_LINK)].lstrip("/")
        yield sheet.get("name", ""), target if target.startswith("xl/") else f"xl/{target}"


def _xml(workbook: zipfile.ZipFile, member: str) -> ElementTree.Element:
    with workbook.open(member) as stream:
        return ElementTree.parse(stream).getroot()  # noqa: S314 - expat refuses entities that grow


def _rows(workbook: zipfile.ZipFile, member: str) -> Iterator[list[str]]:
    """Read the rows of a sheet that have any cell, from the one on that has the names."""
    strings, days = shared_strings(workbook), _day_styles(workbook)
    # Workbooks of old Macs count days from 1904.
    since_1904 = any(
        one.get("date1904") in {"1", "true"} for one in _xml(workbook, "xl/workbook.xml").iter(f"{_MAIN}workbookPr")
    )
    zero = datetime(1904, 1, 1) if since_1904 else SERIAL_ZERO  # noqa: DTZ001 - naive UTC, as everywhere
    with workbook.open(member) as stream:
        for _, element in ElementTree.iterparse(stream):  # noqa: S314 - see above
            if element.tag != f"{_MAIN}row":
                continue
            cells: dict[int, str] = {}
            for cell in element:
                text = _text(cell, strings, days, zero)
                if text:
                    cells[column_of(cell.get("r", ""))] = text
            element.clear()  # iterparse keeps the whole tree otherwise
            if cells:
                yield [cells.get(place, "") for place in range(max(cells) + 1)]


def _day_styles(workbook: zipfile.ZipFile) -> set[str]:
    """Number the styles of cells that hold days or times."""
    if "xl/styles.xml" not in workbook.namelist():
        return set()
    styles = _xml(workbook, "xl/styles.xml")
    own = {one.get("numFmtId"): one.get("formatCode", "") for one in styles.iter(f"{_MAIN}numFmt")}
    days = {key for key, code in own.items() if re.search(r"[dmyhs]", _SAYS_NOTHING.sub("", code).lower())}
    days |= {str(number) for number in _DAYS} - own.keys()
    formats = styles.find(f"{_MAIN}cellXfs")
    return {str(n) for n, one in enumerate(formats if formats is not None else ()) if one.get("numFmtId") in days}


def _text(cell: ElementTree.Element, strings: list[str], days: set[str], zero: datetime) -> str:
    value, kind = cell_text(cell, strings), cell.get("t", "n")
    if kind == "e":
        return ""  # a formula that failed has no value
    if kind == "b":
        return "true" if value == "1" else "false"
    if kind != "n" or not value:
        return value
    if cell.get("s") in days:
        return moment_text(value, zero)
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else value


def _write(rows: Iterator[list[str]], file: Path) -> bool:
    header = next(rows, [])
    if sum(map(bool, header)) < 2:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("x", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        # Notes beside the table have no name above them.
        writer.writerows((row + [""] * len(header))[: len(header)] for row in rows)
    return True
