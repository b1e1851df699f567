"""The quarantine's files, and the commands that show them and bring rows back."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

from tasks.cli.main import app
from tasks.errors import MatineeError
from tasks.features.duckdb_warehouse import DuckDBTables
from tasks.features.ledger import CODE
from tasks.quarantine import release as release_module
from tasks.quarantine.rejected_rows import (
    QuarantinedRows,
    RejectedPart,
    quarantine_rows,
    read_rejected_rows,
    rejected_parts,
)
from tasks.quarantine.revalidate import rows_as_json
from tasks.runs.run import Run
from tasks.sources.land import land_range, open_source
from tasks.sources.rejects import REJECTS
from tasks.sources.released_rows import releases_of
from tasks.spec.load import load_spec
from tasks.store.files import Home
from tasks.store.partitions import read_manifests
from tests.tasks.handmade import document
from tests.tasks.without_dbt import HEADER, SHOP, january
from tests.tiny_pipelines import pipeline_file

FIRST, LAST = 4, 6
NOBODY = "5000{n},20002,CUP,1,2011-01-0{n} 11:00:00,2.5,,France"
TORN = "5001{n},20003,JUG,one,2011-01-0{n} 12:00:00,2.5,12003,France"
GOOD = "5002{n},20001,MUG,1,2011-01-0{n} 10:00:00,2.5,12001,France"


class Shop:
    """A shop of three days, each with a good line, one without a customer, and one that can't be read."""

    def __init__(self, folder: Path) -> None:
        self.file = pipeline_file(folder, document(**SHOP))
        self.home, self.files = Home(folder / "home"), folder / "files"
        self.files.mkdir()
        for n in range(FIRST, LAST + 1):
            self.write(n, GOOD, NOBODY, TORN)
        self.land()
        self.put_aside(LAST)

    def write(self, n: int, *lines: str) -> None:
        text = "\n".join([HEADER, *(line.format(n=n) for line in lines), ""])
        (self.files / f"{january(n)}.csv").write_text(text, encoding="utf-8")

    def land(self) -> None:
        source = open_source(load_spec(self.file), self.home, self.files)
        land_range(source, self.home, january(FIRST), january(LAST))

    def put_aside(self, n: int, code: str = "code", attempt: str = "1") -> dict[str, QuarantinedRows]:
        """What check_features does, with a warehouse in which lines without a customer are rejected."""
        run = Run(load_spec(self.file), self.home, january(n), attempt)
        with duckdb.connect() as connection:
            connection.execute('create table rejected_rows (table_name varchar, rule varchar, "row" varchar, ds date)')
            connection.execute("create schema control")
            connection.execute("create table control.ledger (model varchar, part varchar, day date, digest varchar)")
            connection.execute("insert into control.ledger values (?, ?, ?, ?)", [*CODE, code])
            for part in read_manifests(self.home, "online_retail", ["lines", REJECTS], None, january(LAST)):
                entry = ["rejected_rows", part.table, part.ds, part.sha256]
                connection.execute("insert into control.ledger values (?, ?, ?, ?)", entry)
                rows = pq.read_table(part.path)
                columns = dict.fromkeys(name for name in rows.column_names if name not in {"ds", "table_name"})
                for row, text in zip(rows.to_pylist(), rows_as_json(rows, json.dumps(columns)), strict=True):
                    rule = "unparseable" if part.table == REJECTS else "no_customer"
                    if row.get("customer_id") is None:
                        connection.execute("insert into rejected_rows values ('lines', ?, ?, ?)", [rule, text, part.ds])
            return quarantine_rows(DuckDBTables(connection), run, "rejected_rows")

    def all(self, *, earlier: bool = False) -> list[RejectedPart]:
        return rejected_parts(self.home, "shop", date.min, date.max, earlier=earlier)

    def call(self, *words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["quarantine", words[0], str(self.file), *words[1:]])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    made = Shop(tmp_path)
    monkeypatch.setenv("MATINEE_HOME", str(made.home.root))
    monkeypatch.setenv("MATINEE_DATA_ONLINE_RETAIL", str(made.files))
    monkeypatch.setattr(release_module, "rejected_now", lambda *_: {})
    monkeypatch.setattr("tasks.cli.quarantine.console", Console(width=120))
    return made


def test_every_rejected_row_is_kept_whole(shop: Shop) -> None:
    rows = read_rejected_rows(shop.all())
    assert [(row.ds.day, row.rule, row.line) for row in rows] == [
        (n, rule, line) for n in (4, 5, 6) for rule, line in (("no_customer", 3), ("unparseable", 4))
    ]
    assert rows[0].content == {
        "invoice_no": "50004", "stock_code": "20002", "description": "CUP", "quantity": 1,
        "invoice_date": "2011-01-04 11:00:00", "unit_price": 2.5, "customer_id": None, "country": "France",
        "line_number": 3,
    }  # fmt: skip
    assert rows[1].content["raw"] == TORN.format(n=4)
    assert [one.offered for one in shop.all()] == [3, 3, 3]
    assert len({row.id for row in rows}) == len(rows)


def test_the_run_that_put_a_row_aside_first_is_kept(shop: Shop) -> None:
    shop.put_aside(5, attempt="another")
    assert {row.run for row in read_rejected_rows(shop.all())} == {"2011-01-06/1"}
    shop.write(5, NOBODY)
    shop.land()
    shop.put_aside(5, attempt="another")
    assert {row.run for row in read_rejected_rows([one for one in shop.all() if one.ds.day == 5])} == {
        "2011-01-05/another"
    }


def test_whichever_run_puts_a_row_aside_the_file_is_the_same(shop: Shop) -> None:
    before = {one.path: one.path.read_bytes() for one in shop.all() if one.path}
    assert shop.put_aside(5, attempt="another") == {
        "lines": QuarantinedRows(rows=2, file=next(p.path.name for p in shop.all() if p.path and p.ds.day == 5))
    }
    assert {one.path: one.path.read_bytes() for one in shop.all(earlier=True) if one.path} == before


def test_a_day_after_the_run_is_not_put_aside(tmp_path: Path) -> None:
    made = Shop(tmp_path)
    for one in made.all():
        for path in (one.path or tmp_path).parent.iterdir():
            path.unlink()
    made.put_aside(5)
    assert [one.ds.day for one in made.all()] == [4, 5]


def test_a_day_landed_again_keeps_what_was_rejected_before(shop: Shop) -> None:
    shop.write(5, GOOD, TORN)
    shop.land()
    shop.put_aside(LAST)
    assert [one.rules for one in shop.all() if one.ds.day == 5] == [{"unparseable": 1}]
    everything = [one for one in shop.all(earlier=True) if one.ds.day == 5]
    assert [(one.rules, one.current) for one in everything] == [
        ({"no_customer": 1, "unparseable": 1}, False),
        ({"unparseable": 1}, True),
    ]
    assert len(read_rejected_rows(everything)) == 3
    shop.write(5, GOOD)
    shop.land()
    shop.put_aside(LAST)
    assert [(one.rules, one.path) for one in shop.all() if one.ds.day == 5] == [({}, None)]


def test_rows_that_say_the_same_have_ids_of_their_own(tmp_path: Path) -> None:
    rows = [("events", "missing_id", '{"a":1}', january(4))] * 3
    made = Shop(tmp_path)
    with duckdb.connect() as connection:
        connection.execute('create table rejected_rows (table_name varchar, rule varchar, "row" varchar, ds date)')
        connection.executemany("insert into rejected_rows values (?, ?, ?, ?)", rows)
        connection.execute("create schema control")
        connection.execute("create table control.ledger (model varchar, part varchar, day date, digest varchar)")
        connection.execute("insert into control.ledger values ('rejected_rows', 'events', ?, 'x')", [january(4)])
        quarantine_rows(
            DuckDBTables(connection), Run(load_spec(made.file), made.home, january(4), "1"), "rejected_rows"
        )
    parts = rejected_parts(made.home, "shop", january(4), january(4), "events")
    ids = [row.id for row in read_rejected_rows(parts)]
    assert [name.removeprefix(ids[0]) for name in ids] == ["", "-2", "-3"]


# ---------------------------------------------------------------------------------------------- list


def test_list_counts_by_rule_with_shares(shop: Shop) -> None:
    code, said = shop.call("list")
    assert code == 0
    assert "no_customer     3   33 %     3  2011-01-04  ███" in said
    assert "The line names no customer" in said
    code, said = shop.call("list", "--as-of", "2011-01-05", "--rule", "no_customer", "--days")
    assert (code, said.count("no_customer"), "33.33 %" in said) == (0, 2, True)


def test_list_as_json(shop: Shop) -> None:
    listing = json.loads(shop.call("list", "--json", "--from", "2011-01-05")[1])
    assert [(one["rule"], one["rows"], one["rate"], one["first_seen"]) for one in listing["rejected"]] == [
        ("no_customer", 2, 1 / 3, "2011-01-04"),
        ("unparseable", 2, 1 / 3, "2011-01-04"),
    ]
    assert listing["rejected"][0]["days"] == [
        {"ds": f"2011-01-0{n}", "rejected": 1, "offered": 3, "rate": 1 / 3} for n in (5, 6)
    ]


def test_an_empty_quarantine_is_said_to_be(shop: Shop) -> None:
    assert "The quarantine is empty" in shop.call("list", "--as-of", "2011-01-09")[1]
    assert "The quarantine is empty" in shop.call("show", "--as-of", "2011-01-09")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list", "--rule", "no_custommer"], "unknown 'no_custommer'"),
        (["show", "--table", "line"], "unknown 'line'"),
        (["list", "--as-of", "2011-01-04", "--to", "2011-01-05"], "one or the other"),
        (["list", "--from", "2011-01-06", "--to", "2011-01-05"], "the first day is after the last"),
        (["show", "--format", "xml"], "expected table, jsonl, csv"),
        (["release", "--why", " "], "expected a reason"),
        (["release"], "Missing option '--why'"),
    ],
)
def test_wrong_usage_is_exit_code_2(shop: Shop, words: list[str], said: str) -> None:
    code, output = shop.call(*words)
    assert (code, said in " ".join(output.replace("│", " ").split())) == (2, True), output


# ---------------------------------------------------------------------------------------------- show


def test_show_says_what_a_row_says_and_why_it_was_rejected(shop: Shop) -> None:
    said = " ".join(shop.call("show", "--as-of", "2011-01-04")[1].split())
    assert "lines: no_customer The line names no customer" in said
    assert "customer_id null" in said
    assert "expected a whole number" in said
    assert "2 of 6 rows; --limit shows more" in " ".join(shop.call("show", "--limit", "2")[1].split())


def test_bytes_of_the_source_do_not_reach_the_terminal(shop: Shop) -> None:
    shop.write(4, GOOD, "\x1b[2J\x07,20002,[bold]CUP,1,2011-01-04 11:00:00,2.5,,France", "\x1b]0;x,y")
    shop.land()
    shop.put_aside(LAST)
    said = shop.call("show", "--as-of", "2011-01-04")[1]
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "[bold]CUP" in said


def test_files_have_every_column_of_the_rows(shop: Shop, tmp_path: Path) -> None:
    code, said = shop.call("show", "--format", "csv", "--out", str(tmp_path / "rows.csv"))
    assert (code, "wrote 6 of 6 rows to" in said) == (0, True)
    lines = (tmp_path / "rows.csv").read_text().splitlines()
    assert lines[0].startswith("rejected_id,rejected_table,rejected_day,rejected_rule,rejected_run,invoice_no,")
    assert len(lines) == 7
    records = [
        json.loads(line) for line in shop.call("show", "--format", "jsonl", "--rule", "unparseable")[1].splitlines()
    ]
    assert [one["raw_line"] for one in records] == [TORN.format(n=n) for n in (4, 5, 6)]


# ---------------------------------------------------------------------------------------------- release


def correct(shop: Shop, path: Path) -> None:
    shop.call("show", "--format", "csv", "--to", "2011-01-05", "--out", str(path))
    text = path.read_text().replace("2.5,,France", "2.5,12002,France").replace("JUG,one", "JUG,1")
    path.write_text(text)


def test_a_dry_run_writes_nothing(shop: Shop, tmp_path: Path) -> None:
    correct(shop, tmp_path / "m.csv")
    before = sorted(shop.home.root.rglob("*"))
    code, said = shop.call("release", "--with", str(tmp_path / "m.csv"), "--why", "a log", "--dry-run")
    assert (code, sorted(shop.home.root.rglob("*"))) == (0, before)
    assert "2011-01-04, 2011-01-05" in said or "2011-01-04 … 2011-01-05 (2 days)" in said
    assert "no run depends on these days" in said


def test_corrected_rows_are_released_once(shop: Shop, tmp_path: Path) -> None:
    correct(shop, tmp_path / "m.csv")
    words = ("release", "--with", str(tmp_path / "m.csv"), "--who", "ann", "--why", "a log")
    code, said = shop.call(*words)
    (made,) = releases_of(shop.home, "online_retail")
    assert (code, made.folder.name in said) == (0, True)
    assert (made.record.who, made.record.why) == ("ann", "a log")
    landed = read_manifests(shop.home, "online_retail", ["lines"], january(4), january(6))
    assert [(part.rows, part.rejects) for part in landed] == [(3, 0), (3, 0), (2, 1)]

    code, said = shop.call(*words)
    assert (code, f"no_customer, {made.folder.name}" in said) == (0, True)
    assert len(releases_of(shop.home, "online_retail")) == 1

    said = shop.call("list")[1]
    assert "ann" in said
    assert "2011-01-04 … 2011-01-06" in said, "no day was checked by the SQL as it is"


def test_a_line_number_tells_the_row_where_it_is_enough(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("line_number,customer_id\n3,12002\n")
    with pytest.raises(Exception, match="3 rejected rows have it; give --table and --as-of"):
        shop.call("release", "--with", str(tmp_path / "m.csv"), "--why", "a log")
    code, _ = shop.call("release", "--with", str(tmp_path / "m.csv"), "--as-of", "2011-01-05", "--why", "a log")
    assert code == 0
    (made,) = releases_of(shop.home, "online_retail")
    assert made.record.touches == {"lines": {january(5): 1}}


def test_a_column_can_be_named_that_tells_the_row(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"invoice_no": "50005", "customer_id": 12002}\n')
    code, _ = shop.call("release", "--with", str(tmp_path / "m.jsonl"), "--match", "invoice_no", "--why", "a log")
    assert code == 0
    (released,) = releases_of(shop.home, "online_retail")[0].corrections("lines").to_pylist()
    assert (released["ds"], released["after"]["customer_id"]) == (january(5), "12002")


def test_nothing_that_comes_back_is_exit_code_1(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("rejected_day,line_number,raw_line\n2011-01-04,4,still torn\n")
    code, said = shop.call("release", "--with", str(tmp_path / "m.csv"), "--why", "a log")
    assert (code, "nothing comes back" in said) == (1, True)
    assert releases_of(shop.home, "online_retail") == []


def test_a_corrected_rule_is_tried_on_days_that_were_checked_as_they_are_landed(shop: Shop, tmp_path: Path) -> None:
    correct(shop, tmp_path / "m.csv")
    shop.call("release", "--with", str(tmp_path / "m.csv"), "--why", "a log")
    with pytest.raises(Exception, match=r"2011-01-04 … 2011-01-05 \(2 days\): landed again since .* run the day"):
        shop.call("release", "--rule", "no_customer", "--why", "the rule was wrong")
    words = ("release", "--rule", "no_customer", "--why", "the rule was wrong", "--from", "2011-01-06")
    assert shop.call(*words)[0] == 0
    assert "already released" in shop.call(*words)[1]
    assert [one.record.kind for one in releases_of(shop.home, "online_retail")] == ["corrected rows", "corrected rule"]


def test_a_release_needs_the_source(shop: Shop, tmp_path: Path) -> None:
    correct(shop, tmp_path / "m.csv")
    (shop.files / "2011-01-05.csv").unlink()
    with pytest.raises(Exception, match=r"2011-01-05.csv: no file for"):
        shop.call("release", "--with", str(tmp_path / "m.csv"), "--why", "a log")
    assert releases_of(shop.home, "online_retail") == []


@pytest.mark.parametrize("name", ["manifest.json", "*.parquet"])
def test_rows_that_were_changed_since_are_not_given_out(shop: Shop, name: str) -> None:
    path = next(shop.home.quarantine("shop").glob(f"*/ds=2011-01-05/{name}"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(MatineeError, match=rf"{path}: .*delete"):
        read_rejected_rows(shop.all())
