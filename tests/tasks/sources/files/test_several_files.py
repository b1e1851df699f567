"""Several files of a day, rows that they bring again, and declarations that make no sense."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import SpecError
from tasks.sources.datasets import load_dataset
from tasks.sources.files.file_source import FileSource
from tasks.sources.files.folders import LocalFolder
from tasks.sources.land import land_range, landed_for
from tasks.sources.rejects import told_rejects
from tasks.store.files import Home
from tests.tasks.sources.files.test_file_source import SHOP, dataset, files

EVENTS = """
name: events
description: Events.
first_day: 2020-01-01
tables:
  events:
    file: "{ds}/*.csv"
    key: [id]
    unique_within: 2d
    columns:
      - {name: id, type: VARCHAR}
      - {name: value, type: INTEGER}
"""


@pytest.fixture
def events(tmp_path: Path) -> FileSource:
    folder = tmp_path / "files"
    for day, name, lines in (
        (1, "a", "1,1\n2,2\n"), (2, "b", "2,2\n3,3\n"), (2, "a", "4,4\n5,x\n"), (3, "a", "1,1\n4,9\n,7\n"),
        (5, "a", "2,2\n,7\n"),
    ):  # fmt: skip
        (folder / f"2020-01-0{day}").mkdir(parents=True, exist_ok=True)
        (folder / f"2020-01-0{day}" / f"{name}.csv").write_text(f"id,value\n{lines}")
    return FileSource(dataset(tmp_path, EVENTS), LocalFolder(folder))


def test_the_files_of_a_day_are_read_in_the_order_of_their_names(events: FileSource) -> None:
    read = events.read(date(2020, 1, 2), ["events", "_rejects"])
    rows = read["events"].to_reader().read_all().to_pylist()
    assert [(row["id"], row["line_number"]) for row in rows] == [
        ("4", 2),
        ("2", 5),
        ("3", 6),
    ]
    (reject,) = read["_rejects"].to_reader().read_all().to_pylist()
    assert (reject["line"], reject["raw"]) == (3, "5,x")
    assert reject["error"].startswith("2020-01-02/a.csv, line 3: Found 'x', expected a whole number")


def test_each_file_of_a_day_may_begin_with_a_byte_order_mark(events: FileSource, tmp_path: Path) -> None:
    for name, mark in (("a", "\ufeffid"), ("b", '\ufeff"id"'), ("c", '"\ufeffid"')):
        (tmp_path / "files" / "2020-01-02" / f"{name}.csv").write_text(f"{mark},value\n{name},1\n")
    read = events.read(date(2020, 1, 2), ["events", "_rejects"])
    rows = read["events"].to_reader().read_all()
    assert rows["id"].to_pylist() == ["a", "b", "c"]
    assert read["_rejects"].to_reader().read_all().num_rows == 0


def test_a_header_may_be_empty(tmp_path: Path) -> None:
    """As of the index that pandas writes."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "2020-01-01.csv").write_bytes(b",Name,At\n1,a,\n")
    source = FileSource(dataset(tmp_path, SHOP.replace("header: Id", "header: ''")), LocalFolder(tmp_path / "files"))
    assert source.read(date(2020, 1, 1), ["lines"])["lines"]["id"].to_pylist() == [1]


def test_the_first_records_that_could_not_be_read_are_told_with_their_reasons(tmp_path: Path) -> None:
    rows = [
        {"table_name": table, "line": line, "column_name": column, "error": error}
        for table, line, column, error in (
            ("sales", 2, "price", "Found 'NaN', expected a finite number."), ("sales", 9, None, "The line is empty."),
            ("sales", 10, None, "The line is empty."), ("sales", 11, None, "x"), ("items", 3, None, "y"),
        )
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert told_rejects(tmp_path / "a.parquet", 2) == (
        "sales 4 (line 2, price: Found 'NaN', expected a finite number; line 9: The line is empty), items 1 (line 3: y)"
    )


def test_a_row_tells_the_last_day_that_sent_its_key(events: FileSource) -> None:
    def told(day: int) -> list[tuple[str | None, int | None]]:
        rows = events.read(date(2020, 1, day), ["events"])["events"].to_reader().read_all().to_pylist()
        return [(row["id"], row["sent_before"] and row["sent_before"].day) for row in rows]

    assert told(1) == [("1", None), ("2", None)]
    assert told(2) == [("4", None), ("2", 1), ("3", None)]
    assert told(3) == [("1", 1), ("4", 2), (None, None)], "the window is two days long, and no key is equal to none"
    assert told(5) == [("2", None), (None, None)]


def test_days_land_the_same_in_any_order_and_again_when_a_day_before_them_changes(
    events: FileSource, tmp_path: Path
) -> None:
    (files(events) / "2020-01-04").mkdir()
    (files(events) / "2020-01-04" / "a.csv").write_text("id,value\n")
    days = [date(2020, 1, day) for day in range(1, 6)]
    for name, order in (("a", days), ("b", days[::-1])):
        for day in order:
            land_range(FileSource(events.dataset, events.folder), Home(tmp_path / name), day, day)
    landed = [
        [(part.table, part.ds, part.sha256) for part in landed_for(events, Home(tmp_path / name), days[0], days[-1])]
        for name in "ab"
    ]
    assert landed[0] == landed[1]
    # The day that sent 1 first now does not: two days later it is new.
    (files(events) / "2020-01-01" / "a.csv").write_text("id,value\n2,2\n")
    land_range(FileSource(events.dataset, events.folder), Home(tmp_path / "a"), days[0], days[-1])
    now = {(part.table, part.ds, part.sha256) for part in landed_for(events, Home(tmp_path / "a"), days[0], days[-1])}
    assert {ds.day for _, ds, _ in now - set(landed[0])} == {1, 3}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("key: [id]", "key: [ID2]", "key"),
        ("key: [id]", "key: [id, id]", "key: found a column twice"),
        ("key: [id]\n", "\n", "unique_within: expected a `key`"),
        ('file: "{ds}/*.csv"', "file: events.csv\n    static: true", "unique_within: expected a `key`, and a file per"),
        ("unique_within: 2d", "unique_within: 200d", "unique_within"),
        ("unique_within: 2d", "dialect: {decimal: ',', thousands: ','}", "decimal and thousands are both ','"),
        ("unique_within: 2d", "dialect: {encoding: utf8mb4}", "encoding"),
        ('file: "{ds}/*.csv"', "from: events", "expected exactly one of: a file name with {ds}, `day`, `static: true`"),
        ('file: "{ds}/*.csv"', 'file: "{ds}.csv"\n    from: events', "expected exactly one of: `file`, `from`"),
        ('    file: "{ds}/*.csv"\n', "", "expected exactly one of: `file`, `from`"),
        ('file: "{ds}/*.csv"', "from: a.b.c", "events.from: "),
        ('file: "{ds}/*.csv"', "form: events", "did you mean 'from'"),
        ("unique_within: 2d", "updated: at", "updated: is for tables of a database"),
        (
            'file: "{ds}/*.csv"\n    key: [id]\n    unique_within: 2d',
            "from: events\n    static: true\n    updated: at",
            "updated: expected a `key`",
        ),
        (
            'file: "{ds}/*.csv"',
            "from: events\n    static: true\n    dialect: {quote: null}",
            "dialect: is for files; a database's values have types",
        ),
        (
            "  events:\n",
            "  users: {from: users, static: true, columns: [{name: id, type: VARCHAR}]}\n  events:\n",
            "some have `file` and some have `from`",
        ),
        ("unique_within: 2d", "dialect: {timestamps: ['%Q']}", r"timestamps.0: found '%Q', expected the form"),
        ("unique_within: 2d", "dialect: {delimiter: é}", "delimiter: found 'é', expected the form"),
        ("{name: id,", '{header: "a\\nb", name: id,', "header"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in EVENTS
    with pytest.raises(SpecError, match=message):
        dataset(tmp_path, EVENTS.replace(old, new))


def test_a_column_without_a_name_in_the_file_is_declared_by_an_empty_header(tmp_path: Path) -> None:
    log = load_dataset("open_bandit").layout("items")
    assert (log.header[:2], log.names[:2]) == (("", "item_id"), ("line_id", "item_id"))
