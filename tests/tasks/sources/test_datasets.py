"""Data sets of files: their declaration, and every line of a file accounted for."""

from __future__ import annotations

import os
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import SourceError, SpecError
from tasks.sources.csv_files import Layout, read_csv
from tasks.sources.datasets import Dataset, load_dataset
from tasks.sources.file_source import FileSource
from tasks.sources.land import land_range, landed_for
from tasks.store.database import connect
from tasks.store.files import Home

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("MATINEE_DATA", ROOT.parent / "shared" / "data"))
LAYOUT = Layout(("Id", "Name", "At"), ("id", "name", "at"), ("INTEGER", "VARCHAR", "TIMESTAMP"))
HEADER = b"Id,Name,At\n"
NOON = datetime(2020, 1, 1, 12)  # noqa: DTZ001

SHOP = """
name: shop
description: A shop.
first_day: 2020-01-01
last_day: 2020-01-31
closed: {weekdays: [sunday], days: [2020-01-03]}
tables:
  lines:
    file: "{ds}.csv"
    columns:
      - {header: Id, name: id, type: INTEGER}
      - {header: Name, name: name, type: VARCHAR}
      - {header: At, name: at, type: TIMESTAMP}
"""
LOG = """
name: log
description: A log in one file, and a catalogue.
first_day: 1970-01-02
last_day: 1970-01-05
tables:
  stars:
    file: stars.csv
    day: {column: at, unit: epoch_seconds}
    columns:
      - {header: who, name: who, type: VARCHAR}
      - {header: at, name: at, type: BIGINT}
  films:
    file: films.csv
    static: true
    columns: [{header: film, name: film, type: VARCHAR}]
"""


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


# --- lines


def test_good_lines_are_typed_and_numbered(csv: Path) -> None:
    rows, rejects = read(csv, HEADER + b'1,"a ""b"", c",2020-01-01 12:00:00\n2,,\n3,x"y,2020-01-01T12:00:00')
    assert rows == [(1, 'a "b", c', NOON, 2), (2, None, None, 3), (3, 'x"y', NOON, 4)]
    assert rejects == []


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_line_ends_and_a_byte_order_mark_make_no_difference(csv: Path, end: bytes) -> None:
    content = end.join([b"\xef\xbb\xbfId,Name,At", b"1,a,", b"2,b,"]) + b"\n"
    assert read(csv, content) == ([(1, "a", None, 2), (2, "b", None, 3)], [])


def test_bad_dates_and_numbers_are_rejected_with_their_reason_and_raw_line(csv: Path) -> None:
    bad = b"1,a,31/12/2020\nfoo,b,\n99999999999,c,\n4,d,2020-01-01 12:00:00\n"
    rows, rejects = read(csv, HEADER + bad)
    assert rows == [(4, "d", NOON, 5)]
    assert [(line, column, raw) for line, column, _, raw in rejects] == [
        (2, "at", "1,a,31/12/2020"), (3, "id", "foo,b,"), (4, "id", "99999999999,c,"),
    ]  # fmt: skip
    assert "Could not convert string \"31/12/2020\" to 'TIMESTAMP WITH TIME ZONE'" in rejects[0][2]


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
    assert "Could not convert string" in rejects[0][2]


@pytest.mark.parametrize("kind", ["TIMESTAMP", "DATE"])
def test_a_time_without_end_is_rejected(csv: Path, kind: str) -> None:
    layout = Layout(LAYOUT.header, LAYOUT.names, ("INTEGER", "VARCHAR", kind))
    rows, rejects = read(csv, HEADER + b"x,a,\n1,b,infinity\n2,c,-infinity\n3,d,2020-01-01\n4,e,\n", layout)
    assert [row[0] for row in rows] == [3, 4]
    assert [(line, column) for line, column, _, _ in rejects] == [(2, "id"), (3, "at"), (4, "at")]
    assert rejects[1][2:] == ("The value of at is no day.", "1,b,infinity")


@pytest.mark.parametrize(
    ("form", "text", "utc"),
    [
        ("%d/%m/%Y %H:%M", "29/03/2020 01:30", "2020-03-29 01:30:00"),
        ("%d/%m/%Y %H:%M %z", "29/03/2020 01:30 +0200", "2020-03-28 23:30:00"),
    ],
)
def test_a_format_may_have_an_offset(csv: Path, form: str, text: str, utc: str) -> None:
    layout = Layout(LAYOUT.header, LAYOUT.names, LAYOUT.types, timestamp_format=form)
    rows, rejects = read(csv, HEADER + f"1,a,{text}\n2,b,2020-03-29T01:30:00+02:00\n".encode(), layout)
    assert [str(row[2]) for row in rows] == [utc]
    assert [line for line, *_ in rejects] == [3]


def test_lines_with_other_columns_and_empty_lines_are_rejected(csv: Path) -> None:
    rows, rejects = read(csv, HEADER + b"1,a\n1,2,,4\n\n5,e,\n")
    assert rows == [(5, "e", None, 5)]
    assert [(line, raw) for line, _, _, raw in rejects] == [(2, "1,a"), (3, "1,2,,4"), (4, "")]
    assert "Expected Number of Columns: 3 Found: 2" in rejects[0][2]


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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"the file is empty \(0 bytes\); expected at least the header Id,Name,At"),
        (
            b"Id;Name;At\n1;a;\n",
            r"line 1: found the header 'Id;Name;At', expected 'Id,Name,At' \(missing: Id, Name, At",
        ),
        (b"Id,Nome,At\n", r"\(missing: Name; unknown: Nome\)"),
        (b"Id,At,Name\n", r"\(the order differs\)"),
        (b"1,a,2020-01-01\n", r"found the header '1,a,2020-01-01'"),
        (bytes(range(256)), r"not UTF-8 text, it begins with b'\\x00"),
        ("Id,Name,At\n".encode("utf-16"), r"not UTF-8 text, it begins with b'\\xff\\xfe"),
        (b"PK\x03\x04" + bytes(50), r"not UTF-8 text, it begins with b'PK"),
    ],
)
def test_a_file_that_is_another_one_is_refused(csv: Path, content: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message) as error:
        read(csv, content)
    assert str(csv) in str(error.value)


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
    numbers = sorted([row[-1] for row in rows] + [reject[0] for reject in rejects])
    assert numbers == list(range(2, len(lines) + 2))
    good = [row[:2] for row, raw in ((row, lines[row[-1] - 2]) for row in rows) if raw == b"1,a,"]
    assert good == [(1, "a")] * lines.count(b"1,a,"), "a good line is read whatever stands around it"


# --- days


def dataset(tmp_path: Path, text: str) -> Dataset:
    name = text.split("name: ")[1].split("\n")[0]
    (tmp_path / f"{name}.yaml").write_text(text)
    return load_dataset(name, tmp_path)


@pytest.fixture
def shop(tmp_path: Path) -> FileSource:
    folder = tmp_path / "files"
    folder.mkdir()
    for ds in ("2020-01-01", "2020-01-02", "2020-01-04"):
        (folder / f"{ds}.csv").write_bytes(HEADER + b"1,a,\n2,b,\n")
    return FileSource(dataset(tmp_path, SHOP), folder)


def rows_by_day(source: Any, home: Home, table: str, start: date, end: date) -> dict[int, int]:
    return {p.ds.day: p.rows for p in landed_for(source, home, start, end) if p.table == table}


def test_closed_days_are_empty_days(shop: FileSource, tmp_path: Path) -> None:
    home = Home(tmp_path)
    start, end = date(2020, 1, 1), date(2020, 1, 5)
    land_range(shop, home, start, end)
    assert rows_by_day(shop, home, "lines", start, end) == {1: 2, 2: 2, 3: 0, 4: 2, 5: 0}


def test_a_closed_day_with_a_file_has_its_rows(shop: FileSource, tmp_path: Path) -> None:
    (shop.folder / "2020-01-03.csv").write_bytes(HEADER + b"1,a,\n")
    land_range(shop, Home(tmp_path), date(2020, 1, 3), date(2020, 1, 3))
    assert rows_by_day(shop, Home(tmp_path), "lines", date(2020, 1, 3), date(2020, 1, 3)) == {3: 1}


def test_a_missing_day_is_an_error_and_nothing_is_landed(shop: FileSource, tmp_path: Path) -> None:
    (shop.folder / "2020-01-02.csv").unlink()
    with pytest.raises(SourceError, match=r"2020-01-02.csv: no file for Thursday 2020-01-02.*add the day to `closed`"):
        land_range(shop, Home(tmp_path), date(2020, 1, 1), date(2020, 1, 4))
    assert list(tmp_path.rglob("*.parquet")) == []


@pytest.mark.parametrize(("start", "end"), [("2019-12-31", "2020-01-01"), ("2020-01-01", "2020-02-01")])
def test_days_outside_of_the_data_set_are_refused(shop: FileSource, start: str, end: str) -> None:
    with pytest.raises(SourceError, match=f"shop covers 2020-01-01 to 2020-01-31; found the days {start} to {end}"):
        shop.partitions("lines", date.fromisoformat(start), date.fromisoformat(end))


def test_a_corrected_file_is_landed_again_and_rejects_with_it(shop: FileSource, tmp_path: Path) -> None:
    home, start, end = Home(tmp_path), date(2020, 1, 1), date(2020, 1, 2)
    land_range(shop, home, start, end)
    (shop.folder / "2020-01-01.csv").write_bytes(HEADER + b"1,a,\n2,b\n")
    result = land_range(FileSource(shop.dataset, shop.folder), home, start, end)
    assert {(part.table, part.ds.day, part.rows) for part in result.landed} == {("lines", 1, 1), ("_rejects", 1, 1)}
    lines, _, rejected, _ = landed_for(shop, home, start, end)
    assert lines.rejects == 1
    assert duckdb.sql(f"select * exclude error from '{rejected.path}'").fetchall() == [
        ("lines", 3, "at", "2,b", date(2020, 1, 1))
    ]


def test_a_missing_folder_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere: no such folder; expected the files of shop \(\{ds\}.csv\)"):
        FileSource(dataset(tmp_path, SHOP), tmp_path / "nowhere").inputs("lines", date(2020, 1, 1))


def test_what_is_landed_is_used_without_the_folder_it_came_from(shop: FileSource, tmp_path: Path) -> None:
    home, start, end = Home(tmp_path), date(2020, 1, 1), date(2020, 1, 2)
    land_range(shop, home, start, end)

    assert landed_for(FileSource(shop.dataset, tmp_path / "gone"), home, start, end) == landed_for(
        shop, home, start, end
    )


def test_one_file_is_split_into_days_and_a_static_one_lands_on_the_first(tmp_path: Path) -> None:
    (tmp_path / "stars.csv").write_text("who,at\nb,86400\na,259199\nc,\nd,0\ne,172799\nf,172800\ng,x\n")
    (tmp_path / "films.csv").write_text("film\nHeat\n")
    source, home = FileSource(dataset(tmp_path, LOG), tmp_path), Home(tmp_path)
    assert source.entities == {"films"}
    start, end = date(1970, 1, 2), date(1970, 1, 4)
    land_range(source, home, start, end)
    assert rows_by_day(source, home, "stars", start, end) == {2: 2, 3: 2, 4: 0}
    assert rows_by_day(source, home, "films", date(1970, 1, 4), end) == {2: 1}, "needed by any day"
    (rejects,) = [p for p in landed_for(source, home, start, start) if p.table == "_rejects"]
    found = duckdb.sql(f"select line, error, raw from '{rejects.path}'").fetchall()
    assert [(line, raw) for line, _, raw in found] == [(4, "c,"), (5, "d,0"), (8, "g,x")]
    assert found[0][1] == "The row belongs to no day: at is empty."
    assert found[1][1] == "The row belongs to no day: at lies outside 1970-01-02 to 1970-01-05."


# --- declarations


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("closed:", "shut:", r"shop.yaml:6: shut: Extra inputs are not permitted"),
        ("INTEGER", "INT", r"shop.yaml:11: tables.lines.columns.0.type: Input should be 'VARCHAR'"),
        ("sunday", "sontag", r"shop.yaml:6: closed.weekdays.0: Input should be 'monday'"),
        ("{ds}.csv", "all.csv", "expected exactly one of: a file name with {ds}, `day`, `static: true`"),
        ("{ds}.csv", "../{ds}.csv", "expected a path below the data folder"),
        ("name: at", "name: id", "names must differ"),
        ("name: at", "name: ds", "none may be `line_number` or `ds`"),
        ("name: shop", "name: shoe", r"shop.yaml:2: name: found 'shoe', expected 'shop'"),
        ("first_day: 2020-01-01", "first_day: soon", r"shop.yaml:4: first_day: Input should be a valid date"),
    ],
)
def test_a_wrong_declaration_names_line_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP.replace(old, new, 1))
    with pytest.raises(SpecError, match=message):
        load_dataset("shop", tmp_path)


def test_the_day_column_must_be_declared_with_its_type(tmp_path: Path) -> None:
    (tmp_path / "log.yaml").write_text(LOG.replace("type: BIGINT", "type: VARCHAR"))
    with pytest.raises(
        SpecError, match="found column 'at' of type VARCHAR; expected one of the columns, of type BIGINT"
    ):
        load_dataset("log", tmp_path)


def test_an_unknown_data_set_names_the_nearest() -> None:
    with pytest.raises(SpecError, match=r"no such data set; .*did you mean 'online_retail'"):
        load_dataset("online_retale")


# --- real files


def real(folder: str) -> Path:
    path = DATA / folder
    if not path.is_dir():
        pytest.skip(f"{path} is absent; set MATINEE_DATA to the folder that holds {folder}/")
    return path


def test_online_retail_lands_line_for_line(tmp_path: Path) -> None:
    folder = real("online_retail")
    source, home = FileSource(load_dataset("online_retail"), folder), Home(tmp_path)
    start, end = date(2010, 12, 1), date(2011, 10, 31)
    land_range(source, home, start, end)
    parts = landed_for(source, home, start, end)
    files = list(folder.glob("*.csv"))
    lines = sum(path.read_bytes().count(b"\n") for path in files)
    assert (len(files), lines) == (271, 431_944)
    assert sum(p.rows for p in parts) == lines - len(files) == 431_673
    assert sum(p.rows for p in parts if p.table == "_rejects") == 0
    assert {p.ds for p in parts} == {start + timedelta(days=n) for n in range(335)}
    day = next(p.path for p in parts if p.table == "lines" and p.ds == start)
    columns = [column.name for column in source.dataset.tables["lines"].columns]
    first = duckdb.sql(f"select {', '.join(columns)}, line_number from '{day}' limit 1").fetchall()
    description = "WHITE HANGING HEART T-LIGHT HOLDER"
    moment = datetime(2010, 12, 1, 8, 26)  # noqa: DTZ001
    assert first == [("536365", "85123A", description, 6, moment, 2.55, "17850.0", "United Kingdom", 2)]


def test_movielens_ratings_are_split_into_days(tmp_path: Path) -> None:
    source, home = FileSource(load_dataset("ml_latest_small"), real("ml-latest-small")), Home(tmp_path)
    start, end = date(2017, 1, 1), date(2017, 1, 31)
    land_range(source, home, start, end)
    parts = landed_for(source, home, start, end)
    assert {p.ds: p.rows for p in parts if p.table == "movies"} == {date(1996, 3, 29): 9742}
    for part in (p for p in parts if p.table == "ratings"):
        times = duckdb.sql(f"select timestamp from '{part.path}'").fetchall()
        assert {date(1970, 1, 1) + timedelta(seconds=second) for (second,) in times} <= {part.ds}
    raw = (source.folder / "ratings.csv").read_text().splitlines()[1:]
    assert sum(p.rows for p in parts if p.table == "ratings") == sum(
        start <= date(1970, 1, 1) + timedelta(seconds=int(line.rsplit(",", 1)[1])) <= end for line in raw
    )
    everything = source._split["ratings"]
    assert everything.rows.num_rows + len(everything.rejects) == len(raw) == 100_836
