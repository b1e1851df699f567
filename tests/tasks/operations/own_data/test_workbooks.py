"""Sheets of an Excel workbook become CSV files, with the days, numbers and texts that people see in them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tasks.errors import SpecError
from tasks.operations.own_data import workbooks
from tasks.operations.own_data.begin import begin
from tasks.operations.own_data.workbooks import write_sheets
from tests.tasks.operations.own_data.test_begin import Answers, acts, project

__all__ = ["project"]
MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
LINKS = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
# Style 0 is a number's, 1 Excel's own of a time, 2 one with a d in quotes, 3 one of days that somebody made.
STYLES = f"""<styleSheet {MAIN}><numFmts count="2"><numFmt numFmtId="164" formatCode="0&quot;d&quot;"/>
<numFmt numFmtId="165" formatCode="[$-409]dd\\-mmm\\-yy"/></numFmts><cellXfs count="4"><xf numFmtId="0"/>
<xf numFmtId="22"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs></styleSheet>"""
SERIAL = 45658  # of 2025-01-01


def workbook(path: Path, sheets: dict[str, str], properties: str = "") -> Path:
    """Write a workbook of sheets, whose rows are given as XML."""
    names = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets))
    links = "".join(f'<Relationship Id="r{n}" Target="worksheets/s{n}.xml"/>' for n in range(len(sheets)))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", f"<workbook {MAIN} {LINKS}>{properties}<sheets>{names}</sheets></workbook>")
        archive.writestr("xl/_rels/workbook.xml.rels", f"<Relationships>{links}</Relationships>")
        archive.writestr("xl/styles.xml", STYLES)
        archive.writestr("xl/sharedStrings.xml", f"<sst {MAIN}><si><t>user</t></si><si><t>a, b</t></si></sst>")
        for number, rows in enumerate(sheets.values()):
            sheet = f"<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>"
            archive.writestr(f"xl/worksheets/s{number}.xml", sheet)
    return path


def text(reference: str, value: str) -> str:
    return f'<c r="{reference}" t="inlineStr"><is><t>{value}</t></is></c>'


CELLS = (
    f'<row><c r="A2" t="s"><v>0</v></c>{text("B2", "at")}{text("C2", "n")}{text("E2", "ok")}</row><row/>'
    f'<row><c r="A4" t="s"><v>1</v></c><c r="B4" s="1"><v>{SERIAL}.75</v></c><c r="C4"><v>7.0</v></c>'
    '<c r="E4" t="b"><v>1</v></c><c r="F4"><v>9</v></c></row>'
    f'<row><c r="A5" t="e"><v>#N/A</v></c><c r="B5" s="3"><v>{SERIAL}</v></c><c r="C5" s="2"><v>0.1</v></c></row>'
)


def test_cells_are_written_as_people_see_them(tmp_path: Path) -> None:
    book = workbook(tmp_path / "x.xlsx", {"My sales/2025": CELLS, "note": f"<row>{text('A1', 'alone')}</row>", "": ""})
    (file,) = write_sheets(book, tmp_path / "data")
    assert file == tmp_path / "data" / "My_sales_2025.csv"
    assert file.read_text() == (
        'user,at,n,,ok\n"a, b",2025-01-01 18:00:00,7,,true\n,2025-01-01 00:00:00,0.1,,\n'
    )  # fmt: skip


def test_days_since_1904_are_those_days(tmp_path: Path) -> None:
    book = workbook(tmp_path / "x.xlsx", {"s": CELLS}, '<workbookPr date1904="1"/>')
    (file,) = write_sheets(book, tmp_path / "data")
    assert "2029-01-02 18:00:00" in file.read_text()


def test_what_is_no_workbook_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.xlsx").write_bytes(b"PK but no archive")
    with pytest.raises(SpecError, match=r"x.xlsx: cannot be read as an Excel workbook \(.*\); save its sheets as CSV"):
        write_sheets(tmp_path / "x.xlsx", tmp_path / "data")
    with pytest.raises(SpecError, match=r"y.xlsx: found no sheet with a header and two columns or more"):
        write_sheets(workbook(tmp_path / "y.xlsx", {"s": ""}), tmp_path / "data")
    monkeypatch.setattr(workbooks, "MOST_BYTES", 100)
    with pytest.raises(SpecError, match=r"y.xlsx: unpacks to .* bytes, more than 100; save its sheets"):
        write_sheets(tmp_path / "y.xlsx", tmp_path / "data")


def sales() -> str:
    head = text("A1", "userId") + text("B1", "itemId") + text("C1", "rating") + text("D1", "at")
    rows = (
        f'<row><c r="A{n}"><v>{user}</v></c><c r="B{n}"><v>{item}</v></c><c r="C{n}"><v>{stars}</v></c>'
        f'<c r="D{n}" s="1"><v>{SERIAL + (day - acts()[0][3]).days}.5</v></c></row>'
        for n, (user, item, stars, day) in enumerate(acts(), 2)
    )
    return f"<row>{head}</row>{''.join(rows)}"


def test_a_workbook_becomes_a_valid_pipeline(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(project / "home"))
    book, ask = workbook(project / "sales.xlsx", {"Sales": sales()}), Answers()
    own = begin("shop", book, ask)
    assert ask.questions == []
    assert own.next_command == f"matinee run shop --as-of 2025-04-30 --data {project / 'home' / 'data' / 'shop'}"
    assert (project / "home" / "data" / "shop" / "Sales.csv").read_text().startswith("userId,itemId,rating,at\n")
    with pytest.raises(SpecError, match=r"home/data/shop: is there already; choose another name"):
        begin("shop", book, ask)


def test_an_attempt_that_fails_leaves_no_sheets(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(project / "home"))
    with pytest.raises(SpecError, match="found 1 day of interactions"):
        begin("shop", workbook(project / "x.xlsx", {"s": CELLS}), Answers())
    assert not (project / "home" / "data" / "shop").exists()
