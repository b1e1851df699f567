"""Releases checked by the real SQL: what comes back, what is rejected again, and exactly which days become stale."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tasks.cli.render.quarantine import rejected_rows_csv, rejected_rows_jsonl
from tasks.features import build
from tasks.features.engines import warehouse_of
from tasks.features.ledger import plan_build
from tasks.operations.staleness import stale_after
from tasks.quarantine.corrected_rows import CorrectedRow, Match, match_rows, read_corrected_rows
from tasks.quarantine.rejected_rows import (
    QuarantinedRows,
    RejectedRow,
    quarantine_rows,
    read_rejected_rows,
    rejected_parts,
)
from tasks.quarantine.release import propose_rows, propose_rule, release
from tasks.runs.run import Run
from tasks.sources.land import land_step, open_source, read_manifests
from tasks.sources.rejects import REJECTS
from tasks.store.files import Home
from tests.copied_transforms import copied_transforms, edit
from tests.tasks.handmade import spec_of
from tests.tasks.without_dbt import january, shop_run, write_files
from tests.tiny_pipelines import in_process, parsed_once, threads

pytestmark = [in_process, pytest.mark.slow]
EARLY, DIRTY, LATE = 13, 14, 16
LINES = {
    "nobody": "500001,20002,CUP,1,2011-01-14 11:00:00,2.5,,France",
    "postage": "500002,POST,POSTAGE,1,2011-01-14 12:00:00,2.5,12003,France",
    "torn": "500003,20003,JUG,one,2011-01-14 13:00:00,2.5,12004,France",
    "twin": "500004,20004,PAN,1,2011-01-14 14:00:00,2.5,,France",
}


def built(run: Run) -> Run:
    """Land and build a run, and put what it rejects into quarantine."""
    with threads(2), parsed_once(run):
        land_step(run)
        build.build_step(run)
    put(run)
    return run


def put(run: Run) -> dict[str, QuarantinedRows]:
    with warehouse_of(run.home, run.spec.name).open() as tables:
        return quarantine_rows(tables, run, "rejected_rows")


def rejected(run: Run) -> list[RejectedRow]:
    return read_rejected_rows(rejected_parts(run.home, run.spec.name, date.min, date.max))


def rules(run: Run) -> dict[str, int]:
    return {
        rule: n for one in rejected_parts(run.home, run.spec.name, date.min, date.max) for rule, n in one.rules.items()
    }


def query(run: Run, sql: str) -> list[tuple[Any, ...]]:
    with warehouse_of(run.home, run.spec.name).open() as tables:
        return tables.rows(sql)


def up_to_date(run: Run) -> bool:
    return plan_build(build.needed(run), build.ledger_of(run), build.code_of_tables(run.spec)).empty


@dataclass(frozen=True)
class Dirty:
    """A shop with a dirty day, run for a day before it and a day after it."""

    early: Run
    late: Run

    def copied(self, folder: Path) -> Dirty:
        assert self.late.data is not None
        shutil.copytree(self.late.home.root.parent, folder)
        home, files = Home(folder / "home"), folder / "files"
        return Dirty(replace(self.early, home=home, data=files), replace(self.late, home=home, data=files))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Dirty:
    folder = tmp_path_factory.mktemp("dirty")
    files = write_files(folder / "files", LATE)
    with (files / f"{january(DIRTY)}.csv").open("a", encoding="utf-8") as stream:
        stream.write("\n".join([*LINES.values(), ""]))
    return Dirty(built(shop_run(folder, EARLY)), built(shop_run(folder, LATE)))


@pytest.fixture
def dirty(first: Dirty, tmp_path: Path) -> Dirty:
    return first.copied(tmp_path / "copy")


def test_every_row_of_a_file_is_accepted_or_rejected(first: Dirty) -> None:
    days = january(4), january(LATE)
    landed = read_manifests(first.late.home, "online_retail", ["lines"], *days)
    offered = {part.ds: part.rows + part.rejects for part in landed}
    accepted = dict(query(first.late, "select ds, count(*) from interactions group by 1"))
    kept: dict[date, int] = {one.ds: one.rejected for one in rejected_parts(first.late.home, "shop", *days)}
    assert offered == {ds: accepted.get(ds, 0) + kept.get(ds, 0) for ds in offered}
    assert offered[january(DIRTY)] == 1 + len(LINES)
    assert rules(first.late) == {"no_customer": 2, "not_a_product": 1, "unparseable": 1}


def test_every_row_of_the_simulated_service_is_accepted_or_rejected(tmp_path: Path) -> None:
    spec = spec_of(source={"type": "simulated", "users": 60, "items": 30, "seed": 1})
    run = built(Run(spec, Home(tmp_path), date(2026, 1, 23), "1"))
    tables = {"events": "interactions", "impressions": "impressions", "users": "stg_users", "items": "stg_items"}
    rule = {"users": " where rule is null", "items": " where rule is null"}
    kept: dict[tuple[str, date], int] = {
        (one.table, one.ds): one.rejected for one in rejected_parts(run.home, spec.name, date.min, date.max)
    }
    for table, name in tables.items():
        parts = read_manifests(run.home, spec.source_name, [table], None, run.as_of)
        accepted = dict(query(run, f"select ds, count(*) from {name}{rule.get(table, '')} group by 1"))
        assert {p.ds: p.rows for p in parts} == {
            p.ds: accepted.get(p.ds, 0) + kept.get((table, p.ds), 0) for p in parts
        }
    assert sum(kept.values()) > 5, "there was dirt"


def test_what_is_kept_says_where_it_came_from(first: Dirty) -> None:
    by_rule = {row.rule: row for row in rejected(first.late)}
    assert by_rule["not_a_product"].content["description"] == "POSTAGE"
    assert by_rule["not_a_product"].line == 4
    torn = by_rule["unparseable"]
    assert (torn.line, torn.content["raw"]) == (5, LINES["torn"])
    assert "one" in (torn.error or "")


def test_the_files_are_a_function_of_the_landing(first: Dirty, tmp_path: Path) -> None:
    dirty = first.copied(tmp_path / "copy")
    folder = dirty.late.home.quarantine("shop")
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.parquet")}
    shutil.rmtree(folder)
    assert put(dirty.early) == {}
    put(replace(dirty.late, attempt="another"))
    assert {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.parquet")} == before
    assert len(before) == 1


def corrected(dirty: Dirty, path: Path) -> list[Match]:
    """What `show` writes, with some rows corrected, and the others as they were."""
    rows = rejected(dirty.late)
    text = rejected_rows_csv(rows) if path.suffix == ".csv" else rejected_rows_jsonl(rows)
    text = text.replace("500001,20002,CUP,1,2011-01-14 11:00:00,2.5,,", "500001,20002,CUP,1,2011-01-14 11:00:00,2.5,7,")
    text = text.replace("JUG,one,", "JUG,1,").replace("POSTAGE,1,", "POSTAGE,2,")
    path.write_text(text, encoding="utf-8")
    return match_rows(read_corrected_rows(path), rows, None)


def test_corrected_rows_come_back_and_exactly_the_days_that_read_them_are_stale(dirty: Dirty, tmp_path: Path) -> None:
    run = dirty.late
    source = open_source(run.spec, run.home, run.data)
    proposal = propose_rows(run.spec, run.home, source, corrected(dirty, tmp_path / "m.csv"), rejected(run))
    assert sorted((row.line, row.rule) for row in proposal.accepted) == [(3, "no_customer"), (5, "unparseable")]
    assert sorted((row.line, rule) for row, rule in proposal.rejected) == [(4, "not_a_product"), (6, "no_customer")]
    assert proposal.newly_rejected == 0

    stale = stale_after(run.spec, run.home, source, proposal.parts, run.data)
    assert stale.runs == (january(LATE),), "the run of the day before the dirty one does not see it"
    assert up_to_date(run), "nothing was written yet"

    release(run.spec, run.home, source, proposal, "ann", "the till's log says who and how many")
    assert up_to_date(dirty.early)
    plan = plan_build(build.needed(run), build.ledger_of(run), build.code_of_tables(run.spec))
    assert (tuple(sorted(plan.features)), tuple(sorted(plan.labels))) == (stale.features, stale.labels)
    assert plan.changed == {("lines", january(DIRTY)), (REJECTS, january(DIRTY))}

    built(run)
    there = query(run, f"select user_id from interactions where ds = date '{january(DIRTY)}' order by 1")
    assert there == [("12001",), ("12004",), ("7",)]
    assert rules(run) == {"no_customer": 1, "not_a_product": 1}
    earlier = rejected_parts(run.home, "shop", january(DIRTY), january(DIRTY), earlier=True)
    assert [one.rejected for one in earlier] == [4, 2], "what was rejected before stays"

    again = propose_rows(run.spec, run.home, source, corrected(dirty, tmp_path / "n.csv"), rejected(run))
    assert again.accepted == []


def test_a_release_ends_in_the_tables_of_a_corrected_file(dirty: Dirty, tmp_path: Path) -> None:
    run = dirty.late
    source = open_source(run.spec, run.home, run.data)
    release(
        run.spec, run.home, source,
        propose_rows(run.spec, run.home, source, corrected(dirty, tmp_path / "m.csv"), rejected(run)), "ann", "why",
    )  # fmt: skip
    built(run)
    files = write_files(tmp_path / "other" / "files", LATE)
    lines = [*LINES.values()]
    lines[0], lines[2] = lines[0].replace("2.5,,", "2.5,7,"), lines[2].replace("one", "1")
    with (files / f"{january(DIRTY)}.csv").open("a", encoding="utf-8") as stream:
        stream.write("\n".join([*lines, ""]))
    other = built(shop_run(tmp_path / "other", LATE))
    since = f"date '{january(DIRTY)}'"
    for table in ("interactions", "rejected_rows", "feat_users", "feat_items"):
        day = "as_of" if table.startswith("feat") else "ds"
        sql = f"select * from {table} where {day} >= {since} order by all"
        assert query(run, sql) == query(other, sql), table
    assert build.needed(run).features == build.needed(other).features


def test_a_corrected_row_that_makes_another_one_a_copy_is_rejected(dirty: Dirty) -> None:
    run = dirty.late
    rows = [row for row in rejected(run) if row.rule == "no_customer"]
    twin = {"invoice_no": "500009", "customer_id": "9", "invoice_date": "2011-01-14 15:00", "description": "PAN"}
    alike = [Match(row, CorrectedRow(f"m:{n}", {**twin, "stock_code": "20009"})) for n, row in enumerate(rows)]
    source = open_source(run.spec, run.home, run.data)
    proposal = propose_rows(run.spec, run.home, source, alike, rejected(run))
    assert [row.line for row in proposal.accepted] == [3]
    assert [(row.line, rule) for row, rule in proposal.rejected] == [(6, "exact_duplicate")]


def test_rows_come_back_when_the_rule_is_corrected(
    dirty: Dirty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = dirty.late
    source = open_source(run.spec, run.home, run.data)
    rows = [row for row in rejected(run) if row.rule == "not_a_product"]
    assert propose_rule(run.spec, run.home, source, rows).accepted == [], "the rule is as it was"

    copy = copied_transforms(tmp_path, monkeypatch)
    edit(copy / "models" / "staging" / "online_retail" / "stg_lines.sql", "'^[0-9]{5}'", "'^([0-9]{5}|POST)'")
    proposal = propose_rule(run.spec, run.home, source, rejected(run))
    assert [row.rule for row in proposal.accepted] == ["not_a_product"]
    assert sorted(rule for _, rule in proposal.rejected) == ["no_customer", "no_customer", "unparseable"]
    parts = [(row.table, row.ds) for row in proposal.accepted]
    stale = stale_after(run.spec, run.home, source, parts, run.data)
    assert (stale.runs, stale.other_code) == ((january(LATE),), True)
    released = release(run.spec, run.home, source, proposal, "ann", "postage is a product now")
    assert (released.record.kind, released.record.touches) == ("corrected rule", {})
    built(run)
    assert "not_a_product" not in rules(run)
