"""Every line of a CSV file is accounted for: landed, or rejected with its reason and raw text."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import SourceError
from tasks.sources.files.csv_files import read_csv
from tasks.sources.layout import Dialect, Layout
from tasks.store.database import connect

LAYOUT = Layout(("Id", "Name", "At"), ("id", "name", "at"), ("INTEGER", "VARCHAR", "TIMESTAMP"))
HEADER = b"Id,Name,At\n"
NOON = datetime(2020, 1, 1, 12)  # noqa: DTZ001


def read(path: Path, content: bytes, layout: Layout = LAYOUT) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Write and read a file; return the rows and (line, column, error, raw) of the rejects."""
    path.write_bytes(content)
    with connect(":memory:") as connection:
        rows, rejects = read_csv(path, layout, connection)
    return (
        [tuple(row.values()) for row in rows.to_pylist()],
        [(one.line, one.column, one.error, one.raw) for one in rejects],
    )


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return tmp_path / "a [b]*.csv"  # characters that DuckDB would take for a pattern


def test_good_lines_are_typed_and_numbered(csv: Path) -> None:
    rows, rejects = read(csv, HEADER + b'1,"a ""b"", c",2020-01-01 12:00:00\n2,,\n3,x"y,2020-01-01T12:00:00')
    assert rows == [(1, 'a "b", c', NOON, 2), (2, None, None, 3), (3, 'x"y', NOON, 4)]
    assert rejects == []


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_line_ends_and_a_byte_order_mark_make_no_difference(csv: Path, end: bytes) -> None:
    content = end.join([b"\xef\xbb\xbfId,Name,At", b"1,a,", b"2,b,"]) + b"\n"
    assert read(csv, content) == ([(1, "a", None, 2), (2, "b", None, 3)], [])


@pytest.mark.parametrize("delimiter", [" ", "\t", ","])
def test_a_field_may_be_empty_before_a_quoted_one(csv: Path, delimiter: str) -> None:
    layout = Layout(("a", "b"), ("a", "b"), ("VARCHAR",) * 2, Dialect(delimiter=delimiter, header=False))
    rows, rejects = read(csv, f'{delimiter}"x"\n{delimiter}"y\nz"\n'.encode(), layout)
    assert (rows, rejects) == ([(None, "x", 1), (None, "y\nz", 2)], [])


TEXTS = ("VARCHAR",) * 3  # no column would refuse a mark


@pytest.mark.parametrize("mark", ["\ufeff", '\ufeff"', '"\ufeff', '\ufeff"\ufeff'])
@pytest.mark.parametrize("header", [True, False])
def test_a_byte_order_mark_at_the_begin_is_no_part_of_the_first_field(csv: Path, mark: str, header: bool) -> None:
    layout = Layout(LAYOUT.header, LAYOUT.names, TEXTS, Dialect(header=header))
    first, end = ("Id" if header else "1"), '"' if '"' in mark else ""
    rows, rejects = read(csv, f'{mark}{first}{end},Name,At\n2,"b\n",c\n'.encode(), layout)
    assert rows == [*([] if header else [("1", "Name", "At", 1)]), ("2", "b\n", "c", 2)]
    assert rejects == []


@pytest.mark.parametrize("mark", ["\ufeff1", '\ufeff"1"', '"\ufeff1"', '"\ufeffId"'])
@pytest.mark.parametrize("header", [True, False])
def test_a_byte_order_mark_within_a_file_is_where_another_file_begins(csv: Path, mark: str, header: bool) -> None:
    layout = Layout(LAYOUT.header, LAYOUT.names, TEXTS, Dialect(header=header))
    rows, rejects = read(csv, f"Id,Name,At\n{mark},b,c\n3,\ufeffd,\n".encode(), layout)
    assert rows[-1] == ("3", "\ufeffd", None, 3), "in another place it is a character like others"
    assert [(line, error) for line, _, error, _ in rejects] == [
        (2, "The line begins with a byte order mark: two files glued together?")
    ]


def test_a_byte_order_mark_stays_where_quotes_are_text(csv: Path) -> None:
    layout = Layout(LAYOUT.header, LAYOUT.names, TEXTS, Dialect(quote=None))
    rows, rejects = read(csv, 'Id,Name,At\n"\ufeff1",b,c\n'.encode(), layout)
    assert (rows, rejects) == ([('"\ufeff1"', "b", "c", 2)], [])


def test_bad_dates_and_numbers_are_rejected_with_their_reason_and_raw_line(csv: Path) -> None:
    bad = b"1,a,31/12/2020\nfoo,b,\n99999999999,c,\n4,d,2020-01-01 12:00:00\n"
    rows, rejects = read(csv, HEADER + bad)
    assert rows == [(4, "d", NOON, 5)]
    assert [(line, column, raw) for line, column, _, raw in rejects] == [
        (2, "at", "1,a,31/12/2020"), (3, "id", "foo,b,"), (4, "id", "99999999999,c,"),
    ]  # fmt: skip
    assert [error for _, _, error, _ in rejects] == [
        "Found '31/12/2020', expected a time from the year 1000 to 2999, written as YYYY-MM-DD….",
        "Found 'foo', expected a whole number from -2147483648 to 2147483647.",
        "Found '99999999999', expected a whole number from -2147483648 to 2147483647.",
    ]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2020-03-29 01:30:00", "2020-03-29 01:30:00"),  # as it stands
        ("2020-03-29T01:30:00Z", "2020-03-29 01:30:00"),
        ("2020-03-29T01:30:00+02:00", "2020-03-28 23:30:00"),
        ("2020-03-29T01:30:00+0200", "2020-03-28 23:30:00"),
        ("2020-12-31 19:00:00-05", "2021-01-01 00:00:00"),
        ("2020-03-29 03:00:00 Europe/Berlin", "2020-03-29 01:00:00"),
        ("2020-02-29", "2020-02-29 00:00:00"),
        ("2020-12-31 23:59:59.999999", "2020-12-31 23:59:59.999999"),
        ("2020-12-31 23:59:59.9999999", "2020-12-31 23:59:59.999999"),  # cut off, not rounded into the next day
    ],
)
def test_times_are_utc_and_offsets_are_honoured(csv: Path, text: str, utc: str) -> None:
    rows, rejects = read(csv, HEADER + f"1,a,{text}\n".encode())
    assert [str(row[2]) for row in rows] == [utc]
    assert rejects == []


@pytest.mark.parametrize(
    "text", ["2021-02-29", "2020-02-30 01:00:00", "29/03/2020", "2020-03-29 25:00:00", "2020-03-29T01:30:00 Mars/Base"]
)
def test_times_that_do_not_exist_are_rejected(csv: Path, text: str) -> None:
    rows, rejects = read(csv, HEADER + f"1,a,{text}\n2,b,\n".encode())
    assert [row[0] for row in rows] == [2]
    assert [(line, column) for line, column, _, _ in rejects] == [(2, "at")]
    assert rejects[0][2].startswith(f"Found {text!r}, expected a time")


@pytest.mark.parametrize("kind", ["TIMESTAMP", "DATE"])
def test_a_time_without_end_is_rejected(csv: Path, kind: str) -> None:
    layout = Layout(LAYOUT.header, LAYOUT.names, ("INTEGER", "VARCHAR", kind))
    rows, rejects = read(csv, HEADER + b"x,a,\n1,b,infinity\n2,c,-infinity\n3,d,2020-01-01\n4,e,\n", layout)
    assert [row[0] for row in rows] == [3, 4]
    assert [(line, column) for line, column, _, _ in rejects] == [(2, "id"), (3, "at"), (4, "at")]
    assert rejects[1][2].startswith("Found 'infinity', expected a")
    assert rejects[1][3] == "1,b,infinity"


@pytest.mark.parametrize(
    ("form", "text", "utc"),
    [
        ("%d/%m/%Y %H:%M", "29/03/2020 01:30", "2020-03-29 01:30:00"),
        ("%d/%m/%Y %H:%M %z", "29/03/2020 01:30 +0200", "2020-03-28 23:30:00"),
    ],
)
def test_a_format_may_have_an_offset(csv: Path, form: str, text: str, utc: str) -> None:
    layout = Layout(LAYOUT.header, LAYOUT.names, LAYOUT.types, Dialect(timestamps=(form,)))
    rows, rejects = read(csv, HEADER + f"1,a,{text}\n2,b,2020-03-29T01:30:00+02:00\n".encode(), layout)
    assert [str(row[2]) for row in rows] == [utc]
    assert [line for line, *_ in rejects] == [3]


def test_lines_with_other_columns_and_empty_lines_are_rejected(csv: Path) -> None:
    rows, rejects = read(csv, HEADER + b"1,a\n1,2,,4\n\n5,e,\n")
    assert rows == [(5, "e", None, 5)]
    assert [(line, raw) for line, _, _, raw in rejects] == [(2, "1,a"), (3, "1,2,,4"), (4, "")]
    assert [error for _, _, error, _ in rejects] == [
        "Found 2 fields, expected 3.", "Found 4 fields, expected 3.", "The line is empty.",
    ]  # fmt: skip


@pytest.mark.parametrize("broken", [b'1,"a,', b'1, "a,', b'1,"a"x,', b'1,x"y,"z', b'1,"a"",'])
def test_an_unbalanced_quote_swallows_nothing(csv: Path, broken: bytes) -> None:
    rows, rejects = read(csv, HEADER + broken + b'\n2,b,\n3,"c",\n')
    assert rows == [(2, "b", None, 3), (3, "c", None, 4)]
    assert rejects == [(2, None, "A quoted field is not closed, or text stands beside its quotes.", broken.decode())]


def test_lines_that_are_no_text_are_rejected_and_kept_escaped(csv: Path) -> None:
    rows, rejects = read(csv, HEADER + b"1,caf\xe9,\n2,\x00,\n3,caf\xc3\xa9,\n4,a\rb,\n")
    assert rows == [(3, "café", None, 4)]
    assert [(line, raw) for line, _, _, raw in rejects] == [(2, r"1,caf\xe9,"), (3, r"2,\x00,"), (5, "4,a\rb,")]
    assert rejects[0][2] == "The line is not UTF-8: byte 0xe9 at column 6."


def test_a_line_without_end_is_rejected(csv: Path) -> None:
    rows, rejects = read(csv, HEADER + b"1," + b"x" * 2_000_000 + b",\n2,b,\n")
    assert rows == [(2, "b", None, 3)]
    assert rejects[0][2].startswith("The line has 2000003 bytes")
    assert len(rejects[0][3]) == 65_536


def test_a_line_may_be_long_and_the_last_one_without_an_end(csv: Path) -> None:
    rows, rejects = read(csv, HEADER + b"1," + b"x" * 900_000 + b",")
    assert [(row[0], len(row[1]), row[-1]) for row in rows] == [(1, 900_000, 2)]
    assert rejects == []


def test_only_line_breaks_end_a_line(csv: Path) -> None:
    """Unicode has other separators, which some programs take for line breaks."""
    rows, rejects = read(csv, HEADER + "1,a\u2028b\x85c\x0bd,\n".encode())
    assert rows == [(1, "a\u2028b\x85c\x0bd", None, 2)]
    assert rejects == []


@pytest.mark.parametrize("broken", [b'"' * 100_001 + b",1,", b'"a""' * 200_000, b"," * 1_000_000])
def test_a_record_made_to_take_long_is_rejected_and_the_next_one_read(csv: Path, broken: bytes) -> None:
    rows, rejects = read(csv, HEADER + broken + b"\n2,b,\n")
    assert rows == [(2, "b", None, 3)]
    assert [reject[0] for reject in rejects] == [2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"the file is empty \(0 bytes\); expected at least the header Id,Name,At"),
        (
            b"Id;Name;At\n1;a;\n",
            r"line 1 is not the header 'Id,Name,At' \(missing: Id, Name, At; field 1 is not declared; it has the "
            r"delimiter ';', declared is ','\)",
        ),
        (b"Id,Nome,At\n", r"\(missing: Name; field 2 is almost Name\)"),
        (b"Id,Name,At,At\n", r"\(a column stands twice\)"),
        (b"Id,Name,At,x,y,z,u,v,w\n", r"\(field 4 is not declared; .*; field 8 is not declared; 1 more fields are not"),
        (b"Id,At,Name\n", r"\(the order differs\)"),
        (b"1,a,2020-01-01\n", r"\(missing: Id, Name, At; field 1 is not declared; field 2 is not declared; field 3"),
        (bytes(range(256)), r"not UTF-8 text: byte 0x00 at column 1 of line 1; expected the header Id,Name,At"),
        ("Id,Name,At\n".encode("utf-16"), r"begins as UTF-16 does; declare `dialect: \{encoding: utf-16\}`"),
        (b"\x1f\x8b\x08" + bytes(9), r"compressed; declare it by its name, which must end in .gz or .zst, or unpack"),
        (b"Id,Name,At\r1,a,\r", r"line 1 has carriage returns within it: lines seem to end in CR alone"),
        (b"Id,Name,At,\n", r"\(field 4 is without a name \(a delimiter at the line's end\?\); `dialect: \{others: ign"),
        (b"PK\x03\x04" + bytes(50), r"not UTF-8 text: byte 0x00 at column 5 of line 1"),
    ],
)
def test_a_file_that_is_another_one_is_refused(csv: Path, content: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message) as error:
        read(csv, content)
    assert str(csv) in str(error.value)


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_no_word_of_another_file_is_quoted(csv: Path, delimiter: str) -> None:
    """A link or a mistake may name any file: what is declared is compared, what stands there is not repeated."""
    secret = f"toor:x:0:0{delimiter}hunter2{delimiter}Id\n".encode()
    for content in (secret, secret * 3, secret + b"\0", b"\xff" + secret, b'"' + secret):
        with pytest.raises(SourceError) as caught:
            read(csv, content)
        assert not any(word in str(caught.value) for word in ("toor", "hunter2", "0:0"))


@pytest.mark.parametrize(
    "again", ["Id,Name,At", "id,NAME,at", " Id , Name,At ", '"Id","Name","At"', "\ufeffId,Name,At"]
)
@pytest.mark.parametrize("first", ["Id,Name,At", "id, name, at", '"Id","Name","At"'])
def test_a_header_within_a_file_is_no_row(csv: Path, first: str, again: str) -> None:
    texts = Layout(LAYOUT.header, LAYOUT.names, ("VARCHAR",) * 3)  # no other column would refuse the line
    rows, rejects = read(csv, f"{first}\n1,a,x\n{again}\nId,b,At\nIdName,At,\n".encode(), texts)
    assert rows == [("1", "a", "x", 2), ("Id", "b", "At", 4), ("IdName", "At", None, 5)]
    assert [(line, raw) for line, _, _, raw in rejects] == [(3, again)]
    assert rejects[0][2].endswith(": two files glued together?")


@pytest.mark.parametrize("delimiter", [" ", "\t"])
def test_a_blank_that_is_the_delimiter_tells_names_apart(csv: Path, delimiter: str) -> None:
    layout = Layout(("a", "b"), ("a", "b"), ("VARCHAR",) * 2, Dialect(delimiter=delimiter))
    lines = [("a", "b"), ("ab", ""), ("A", "B"), ("a", "c")]
    rows, rejects = read(csv, "".join(f"{delimiter.join(line)}\n" for line in lines).encode(), layout)
    assert rows == [("ab", None, 2), ("a", "c", 4)]
    assert [line for line, *_ in rejects] == [3]


def test_a_header_alone_is_a_file_without_rows(csv: Path) -> None:
    assert read(csv, HEADER) == read(csv, HEADER.strip()) == ([], [])


def test_a_missing_file_is_named(csv: Path) -> None:
    with duckdb.connect() as connection, pytest.raises(SourceError, match=r"cannot be read \(No such file"):
        read_csv(csv, LAYOUT, connection)


@given(st.lists(st.one_of(
    st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")),
    st.text('1,"ab\r é', max_size=12).map(str.encode),
    st.sampled_from([b"1,a,", b'2,"b",2020-01-01', b'"', b",,"]),
), max_size=12))  # fmt: skip
def test_every_line_is_a_row_or_a_reject(lines: list[bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        content = HEADER + b"".join(line + b"\n" for line in lines)
        rows, rejects = read(Path(folder) / "a.csv", content)
    # A field in quotes may hold line breaks: its record has all the lines up to the closing quote.
    numbers = [row[-1] + n for row in rows for n in range(1 + (row[1] or "").count("\n"))]
    numbers += [reject[0] + n for reject in rejects for n in range(1 + reject[3].count("\n"))]
    assert sorted(numbers) == list(range(2, len(lines) + 2))
    good = [row[:2] for row, raw in ((row, lines[row[-1] - 2]) for row in rows) if raw == b"1,a,"]
    within = sum(reject[3].split("\n").count("1,a,") for reject in rejects)
    within += sum((row[1] or "").split("\n").count("1,a,") for row in rows)
    assert good == [(1, "a")] * (lines.count(b"1,a,") - within), "a good line is read unless quotes surround it"
