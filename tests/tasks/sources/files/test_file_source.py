"""Data sets of files: their declaration, and the days that their files become."""

from __future__ import annotations

import json
import os
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tasks.errors import SourceError, SpecError
from tasks.sources.datasets import Dataset, load_dataset
from tasks.sources.files.file_source import FileSource
from tasks.sources.files.folders import LocalFolder
from tasks.sources.land import land_range, landed_for
from tasks.store.files import Home

ROOT = Path(__file__).parents[4]
DATA = Path(os.environ.get("MATINEE_DATA", ROOT.parent / "shared" / "data"))
HEADER = b"Id,Name,At\n"

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


def dataset(tmp_path: Path, text: str) -> Dataset:
    name = text.split("name: ")[1].split("\n")[0]
    (tmp_path / f"{name}.yaml").write_text(text)
    return load_dataset(name, tmp_path)


def files(source: FileSource) -> Path:
    assert isinstance(source.folder, LocalFolder)
    return source.folder.path


@pytest.fixture
def shop(tmp_path: Path) -> FileSource:
    folder = tmp_path / "files"
    folder.mkdir()
    for ds in ("2020-01-01", "2020-01-02", "2020-01-04"):
        (folder / f"{ds}.csv").write_bytes(HEADER + b"1,a,\n2,b,\n")
    return FileSource(dataset(tmp_path, SHOP), LocalFolder(folder))


def rows_by_day(source: Any, home: Home, table: str, start: date, end: date) -> dict[int, int]:
    return {p.ds.day: p.rows for p in landed_for(source, home, start, end) if p.table == table}


def test_closed_days_are_empty_days(shop: FileSource, tmp_path: Path) -> None:
    home = Home(tmp_path)
    start, end = date(2020, 1, 1), date(2020, 1, 5)
    land_range(shop, home, start, end)
    assert rows_by_day(shop, home, "lines", start, end) == {1: 2, 2: 2, 3: 0, 4: 2, 5: 0}


def test_a_closed_day_with_a_file_has_its_rows(shop: FileSource, tmp_path: Path) -> None:
    (files(shop) / "2020-01-03.csv").write_bytes(HEADER + b"1,a,\n")
    land_range(shop, Home(tmp_path), date(2020, 1, 3), date(2020, 1, 3))
    assert rows_by_day(shop, Home(tmp_path), "lines", date(2020, 1, 3), date(2020, 1, 3)) == {3: 1}


def test_a_link_is_not_followed_out_of_the_folder(shop: FileSource, tmp_path: Path) -> None:
    """Within the folder it is: data sets that are stored once and named by day are laid out so."""
    file = next(path for path in sorted(files(shop).iterdir()) if path.is_file())
    day = date.fromisoformat(file.stem)
    outside, inside = tmp_path / "outside.csv", files(shop) / "kept"
    inside.mkdir()
    file.rename(inside / file.name)
    file.symlink_to(inside / file.name)
    assert shop.inputs("lines", day)
    outside.write_bytes((inside / file.name).read_bytes())
    file.unlink()
    file.symlink_to(outside)
    with pytest.raises(SourceError, match=r"a link that leads out of the folder of the data; copy the file into it"):
        shop.inputs("lines", day)


def test_a_missing_day_is_an_error_and_nothing_is_landed(shop: FileSource, tmp_path: Path) -> None:
    (files(shop) / "2020-01-02.csv").unlink()
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
    (files(shop) / "2020-01-01.csv").write_bytes(HEADER + b"1,a,\n2,b\n")
    result = land_range(FileSource(shop.dataset, shop.folder), home, start, end)
    assert {(part.table, part.ds.day, part.rows) for part in result.landed} == {("lines", 1, 1), ("_rejects", 1, 1)}
    lines, _, rejected, _ = landed_for(shop, home, start, end)
    assert lines.rejects == 1
    assert duckdb.sql(f"select * exclude error from '{rejected.path}'").fetchall() == [
        ("lines", 3, "at", "2,b", date(2020, 1, 1))
    ]


def test_a_missing_folder_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere: no such folder; expected the files of shop \(\{ds\}.csv\)"):
        FileSource(dataset(tmp_path, SHOP), LocalFolder(tmp_path / "nowhere")).inputs("lines", date(2020, 1, 1))


def test_what_is_landed_is_used_without_the_folder_it_came_from(shop: FileSource, tmp_path: Path) -> None:
    home, start, end = Home(tmp_path), date(2020, 1, 1), date(2020, 1, 2)
    land_range(shop, home, start, end)

    assert landed_for(FileSource(shop.dataset, LocalFolder(tmp_path / "gone")), home, start, end) == landed_for(
        shop, home, start, end
    )


def test_one_file_is_split_into_days_and_a_static_one_lands_on_the_first(tmp_path: Path) -> None:
    (tmp_path / "stars.csv").write_text("who,at\nb,86400\na,259199\nc,\nd,0\ne,172799\nf,172800\ng,x\n")
    (tmp_path / "films.csv").write_text("film\nHeat\n")
    source, home = FileSource(dataset(tmp_path, LOG), LocalFolder(tmp_path)), Home(tmp_path)
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


def test_lines_behind_the_last_day_land_when_the_data_set_is_declared_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "stars.csv").write_text("who,at\nb,86400\nc,345600\n")
    (tmp_path / "films.csv").write_text("film\nHeat\n")
    home, start = Home(tmp_path), date(1970, 1, 2)
    shorter = dataset(tmp_path, LOG.replace("last_day: 1970-01-05", "last_day: 1970-01-04"))
    land_range(FileSource(shorter, LocalFolder(tmp_path)), home, start, start)
    longer = FileSource(dataset(tmp_path, LOG), LocalFolder(tmp_path))
    result = land_range(longer, home, start, date(1970, 1, 5))
    assert {(part.table, part.ds.day, part.rows) for part in result.landed if part.ds == start} == {("_rejects", 2, 0)}
    assert rows_by_day(longer, home, "stars", start, date(1970, 1, 5)) == {2: 1, 3: 0, 4: 0, 5: 1}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("closed:", "shut:", r"shop.yaml:6: unknown key 'shut'; expected one of closed, "),
        (
            "INTEGER",
            "INT",
            r"shop.yaml:11: tables.lines.columns.0.type: found 'INT', expected one of VARCHAR, BOOLEAN, ",
        ),
        ("sunday", "sontag", r"shop.yaml:6: closed.weekdays.0: found 'sontag', expected one of monday, "),
        ("{ds}.csv", "all.csv", "expected exactly one of: a file name with {ds}, `day`, `static: true`"),
        ("{ds}.csv", "../{ds}.csv", "expected a path below the data folder"),
        ("{ds}.csv", "/etc/{ds}", "file: found '/etc/{ds}', expected a path below the data folder"),
        ("INTEGER", '"VARCHAR\'); copy x to y"', r"type: found .*copy x to y\", expected one of VARCHAR, BOOLEAN"),
        ("name: id,", 'name: "id\\"; drop",', r"columns\.0\.name: found 'id\"; drop', expected the form"),
        ("header: Name", "header: Id", "tables.lines: columns: two have the same header"),
        ("first_day: 2020-01-01", "first_day: 9999-12-31", "first_day: found '9999-12-31', expected a day from 1970"),
        ("first_day: 2020-01-01", "first_day: 0001-01-01", "first_day: found '0001-01-01', expected a day from 1970"),
        ("name: at", "name: id", "names must differ"),
        ("name: at", "name: ds", "none may be `line_number` or `ds`"),
        ("name: shop", "name: shoe", r"shop.yaml:2: name: found 'shoe', expected 'shop'"),
        ("first_day: 2020-01-01", "first_day: soon", r"shop.yaml:4: first_day: found 'soon', expected a day"),
        ("first_day: 2020-01-01", "first_day: 0", r"shop.yaml:4: first_day: found 0, expected a day"),
    ],
)
def test_a_wrong_declaration_names_line_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP.replace(old, new, 1))
    with pytest.raises(SpecError, match=message):
        load_dataset("shop", tmp_path)


MARKS = ["", "\n", "\r", "\0", "\u00e9", "\U0001f600", "a", '"']


@pytest.mark.parametrize("mark", MARKS)
def test_a_delimiter_is_one_mark_that_no_line_break_or_quote_is(tmp_path: Path, mark: str) -> None:
    declared = f'    file: "{{ds}}.csv"\n    dialect: {{delimiter: {json.dumps(mark, ensure_ascii=False)}}}\n'
    (tmp_path / "shop.yaml").write_text(SHOP.replace('    file: "{ds}.csv"\n', declared))
    with pytest.raises(
        SpecError, match=r"shop\.yaml:\d+: tables\.lines\.dialect(\.delimiter: found|: delimiter and quote)"
    ):
        load_dataset("shop", tmp_path)


@pytest.mark.parametrize("name", ["o'{ds}.csv", "[a]{ds}.csv", "{ds} 100%.csv", "ü{ds}.csv"])
def test_marks_in_a_files_name_mean_themselves(tmp_path: Path, name: str) -> None:
    (tmp_path / name.replace("{ds}", "2020-01-01")).write_bytes(HEADER + b"1,a,\n")
    source = FileSource(dataset(tmp_path, SHOP.replace("{ds}.csv", name)), LocalFolder(tmp_path))
    (rows,) = source.read(date(2020, 1, 1), ["lines"]).values()
    assert rows.to_reader().read_all().num_rows == 1


def test_words_of_sql_are_names_like_others(tmp_path: Path) -> None:
    (tmp_path / "2020-01-01.csv").write_bytes(b'"Id\'",Name,At\n1,a,\n')
    text = SHOP.replace("header: Id, name: id", 'header: "Id\'", name: select').replace("name: name", "name: end")
    source = FileSource(dataset(tmp_path, text), LocalFolder(tmp_path))
    (rows,) = source.read(date(2020, 1, 1), ["lines"]).values()
    assert [(row["select"], row["end"]) for row in rows.to_reader().read_all().to_pylist()] == [(1, "a")]


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
    source, home = FileSource(load_dataset("online_retail"), LocalFolder(folder)), Home(tmp_path)
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
    source, home = FileSource(load_dataset("ml_latest_small"), LocalFolder(real("ml-latest-small"))), Home(tmp_path)
    start, end = date(2017, 1, 1), date(2017, 1, 31)
    land_range(source, home, start, end)
    parts = landed_for(source, home, start, end)
    assert {p.ds: p.rows for p in parts if p.table == "movies"} == {date(1996, 3, 29): 9742}
    for part in (p for p in parts if p.table == "ratings"):
        times = duckdb.sql(f"select timestamp from '{part.path}'").fetchall()
        assert {date(1970, 1, 1) + timedelta(seconds=second) for (second,) in times} <= {part.ds}
    raw = (files(source) / "ratings.csv").read_text().splitlines()[1:]
    assert sum(p.rows for p in parts if p.table == "ratings") == sum(
        start <= date(1970, 1, 1) + timedelta(seconds=int(line.rsplit(",", 1)[1])) <= end for line in raw
    )
    everything = source._split["ratings"]
    assert everything.rows.num_rows + len(everything.rejects) == len(raw) == 100_836


# ------------------------------------------------------------------- several files, and rows that are sent again
