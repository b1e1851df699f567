"""`matinee labels`: what it counts and what it prints, on a warehouse made by hand and on one that was run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from tasks.cli.render.labels import render_labels
from tasks.errors import BuildError
from tasks.examples import label_report as labels
from tasks.examples.label_report import Interaction, Labels, label_report
from tasks.runs.run import Run
from tasks.store.files import Home
from tests.tasks.handmade import day, document, spec_of
from tests.tiny_pipelines import Tiny, in_process

RULES = [
    {"grade": 3, "when": "kind = 'play' and value >= 0.9"},
    {"grade": 0, "pair": "play_count > 0 and play_max < 0.1"},
    {"grade": 2, "when": "kind = 'play' and value >= 0.95"},
    {"grade": 1, "when": "kind = 'list_add'"},
    {"grade": 4, "pair": "purchase_count > 0"},
]
AS_OF = day("01-31")
CUT = day("01-20")
LABELS = [  # user, item, rules that hold
    ("ana", "watched", "10000"),
    ("ana", "watched to the end", "10100"),
    ("ana", "saved, watched", "10010"),
    ("ben", "abandoned", "01000"),
    ("ben", "saved, abandoned", "01010"),
    ("ben", "saved", "00010"),
    ("eve", "left in the middle", "00000"),
]
DONE = [  # user, item, kind, value, occurred at, landed
    ("ben", "saved, abandoned", "list_add", 1.0, "2026-01-21 20:00", "2026-01-21"),
    ("ben", "saved, abandoned", "play", 0.05, "2026-01-21 21:30", "2026-01-23"),
    ("ben", "saved, abandoned", "play", 0.99, "2026-01-21 22:00", "2026-01-24"),  # known too late
    ("ben", "saved, abandoned", "play", 0.99, "2026-01-22 00:00", "2026-01-22"),  # after the horizon
    ("ben", "abandoned", "play", 0.05, "2026-01-20 20:00", "2026-01-20"),  # before the cut
    ("ben", "abandoned", "play", 0.05, "2026-01-21 20:00", "2026-01-21"),
]
Warehouse = Callable[..., Run]


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """Return a function that makes the tables that `label_report` reads, and the run they are of."""
    monkeypatch.setattr(labels, "require_built", lambda *_: None)
    monkeypatch.setattr(labels, "needed", lambda *_: None)
    monkeypatch.setattr(labels, "cut_folders", lambda run, _: {cut: tmp_path / str(cut) for cut in run.windows.refit})

    def make(rules: Any = RULES, rows: Any = LABELS) -> Run:
        run = Run(spec_of(label={"grades": rules}), Home(tmp_path), AS_OF, "cli")
        path = run.home.warehouse(run.spec.name)
        path.parent.mkdir(parents=True)
        with duckdb.connect(path) as connection:
            connection.execute("create schema control")
            connection.execute("create table control.ledger (model text, part text, day date, digest text)")
            entries = [["labels", "", cut, "digest"] for cut in run.windows.refit]
            connection.executemany("insert into control.ledger values (?, ?, ?, ?)", entries)
            connection.execute(
                "create table labels (user_id text, item_id text, cut date, rule integer, holds text,"
                " impression_id text default '')"
            )
            made = [[user, item, CUT, holds.find("1") + 1, holds] for user, item, holds in rows]
            connection.executemany(
                "insert into labels (user_id, item_id, cut, rule, holds) values (?, ?, ?, ?, ?)", made
            )
            connection.execute(
                "create table interactions (interaction_id text, user_id text, item_id text, kind text, value double,"
                " occurred_at timestamp, ds date)"
            )
            done = [[f"e{number}", *row] for number, row in enumerate(DONE)]
            connection.executemany("insert into interactions values (?, ?, ?, ?, ?, ?, ?)", done)
        return run

    return make


def retrieved(run: Run, folder: Path, shown: list[tuple[str, str]]) -> None:
    """Write the candidates of every cut; those of `CUT` are the ones given."""
    for cut in run.windows.refit:
        (folder / str(cut)).mkdir()
        with duckdb.connect() as connection:
            connection.execute("create table candidates (user_id text, item_id text, cut date)")
            for user, item in shown if cut == CUT else [("kim", "anything")]:
                connection.execute("insert into candidates values (?, ?, ?)", [user, item, cut])
            connection.execute(f"copy candidates to '{folder / str(cut) / labels.CANDIDATES}' (format parquet)")


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}")


def printed(found: Labels) -> list[str]:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(render_labels(found), highlight=False)
    return [line.rstrip() for line in captured.get().splitlines()]


def test_each_rule_is_counted(warehouse: Warehouse) -> None:
    found = label_report(warehouse())
    counts = {rule.number: (rule.decides, rule.shadowed, rule.examples) for rule in found.rules}
    assert counts == {
        1: (3, {}, None),
        2: (2, {}, None),
        3: (0, {1: 1}, None),
        4: (1, {1: 1, 2: 1}, None),
        5: (0, {}, None),
    }
    assert (found.undecided.decides, found.nothing_followed) == (1, None)
    assert found.idle == [3, 5]
    assert found.mix() == {4: 0, 3: 3, 2: 0, 1: 1, 0: 3}


def test_examples_are_counted_once_they_are_there(warehouse: Warehouse, tmp_path: Path) -> None:
    run = warehouse()
    retrieved(run, tmp_path, [("ana", "watched"), ("ana", "watched"), ("eve", "left in the middle"), ("eve", "saved")])
    found = label_report(run)
    assert [rule.examples for rule in found.rules] == [2, 0, 0, 0, 0]
    assert found.undecided.examples == 1
    assert found.nothing_followed == 1 + len(run.windows.refit) - 1
    assert found.mix() == {4: 0, 3: 2, 2: 0, 1: 0, 0: 1 + len(run.windows.refit)}
    features = len(run.spec.features)
    few = f"few positives: 2 examples with a grade above 0, fewer than 10 for each of {features} features"
    assert found.few == few
    assert f"Note: {few}." in printed(found)


def test_before_there_are_examples_they_are_not_called_few(warehouse: Warehouse) -> None:
    assert label_report(warehouse()).few is None


def test_pairs_come_with_what_the_rule_saw(warehouse: Warehouse) -> None:
    found = label_report(warehouse(), examples=2)
    assert {pair.item_id: (pair.user_id, pair.cut, pair.interactions) for pair in found.rules[1].pairs} == {
        "abandoned": ("ben", CUT, (Interaction("play", 0.05, at("01-21 20:00"), True),)),
        "saved, abandoned": (
            "ben",
            CUT,
            (Interaction("list_add", 1.0, at("01-21 20:00"), True), Interaction("play", 0.05, at("01-21 21:30"), True)),
        ),
    }


def test_the_pairs_that_are_chosen_are_the_same_every_time(warehouse: Warehouse) -> None:
    run = warehouse()
    both, one = (label_report(run, examples=number).rules[1].pairs for number in (2, 1))
    assert one == both[:1]
    assert label_report(run, examples=2).rules[1].pairs == both
    assert label_report(run, examples=0).rules[1].pairs == ()


def test_rules_that_look_back_show_what_was_before(warehouse: Warehouse) -> None:
    run = warehouse([{"grade": 1, "pair": "play_before > 0"}], [("ben", "abandoned", "1")])
    assert "  ben  abandoned  cut 2026-01-20  before: play 0.05 (2026-01-20); then: play 0.05 (01-21 20:00)" in printed(
        label_report(run)
    )


def test_the_table_is_plain(warehouse: Warehouse, tmp_path: Path) -> None:
    run = warehouse()
    lines = printed(label_report(run))
    assert lines[:15] == [
        "tiny as of 2026-01-31: 13 cuts, 2026-01-16 to 2026-01-28; labels look 1 day ahead and wait 2 more",
        "",
        "rule  grade  matches when                             pairs  examples  remark",
        "   1      3  when: kind = 'play' and value >= 0.9         3         –",
        "   2      0  pair: play_count > 0 and play_max < 0.1      2         –",
        "   3      2  when: kind = 'play' and value >= 0.95        0         –  always shadowed by 1 (1)",
        "   4      1  when: kind = 'list_add'                      1         –  shadowed by 1 (1), 2 (1)",
        "   5      4  pair: purchase_count > 0                     0         –  never fires",
        "   –      0  something followed, no rule matches          1         –",
        "   –      0  shown, nothing followed                      –         –",
        "",
        "grades of the 7 pairs",
        "  4                                    0.0%  0",
        "  3  █████████████                    42.9%  3",
        "  2                                    0.0%  0",
    ]
    assert "The examples are counted once `matinee retrieve tiny --as-of 2026-01-31` has run." in lines
    assert "rule 2, grade 0, for example" in lines
    retrieved(run, tmp_path, [("ana", "watched")])
    assert not any("matinee retrieve" in line for line in printed(label_report(run)))


def test_labels_that_are_not_built_are_said_to_be_so(warehouse: Warehouse) -> None:
    run = warehouse()
    with duckdb.connect(run.home.warehouse("tiny")) as connection:
        connection.execute("delete from control.ledger where day > '2026-01-25'")
    with pytest.raises(BuildError) as caught:
        label_report(run)
    assert str(caught.value) == (
        "tiny 2026-01-31: the labels of 3 of its 13 cuts are not built, the first of 2026-01-26; run `matinee build "
        "tiny --as-of 2026-01-31` first"
    )


def called(monkeypatch: pytest.MonkeyPatch, home: Path, *args: str | Path) -> int:
    from tasks.cli.main import main

    monkeypatch.setenv("MATINEE_HOME", str(home))
    monkeypatch.setattr(sys, "argv", ["matinee", "labels", *map(str, args)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(("more", "code"), [((), 0), (("--strict",), 1)])
def test_a_rule_that_decides_nothing_is_a_failure_only_when_asked(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...], code: int
) -> None:
    warehouse()
    file = tmp_path / "tiny.yaml"
    file.write_text(json.dumps(document(label={"grades": RULES})))
    assert called(monkeypatch, tmp_path, file, "--as-of", str(AS_OF), *more) == code


@in_process
def test_a_day_that_was_run_is_explained(
    shown: Tiny, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert called(monkeypatch, shown.home, shown.file, "--as-of", str(shown.as_of), "--strict") == 0
    out, err = capfd.readouterr()
    assert err == ""
    found = label_report(shown.prepared())
    (rule,) = found.rules
    assert rule.examples is not None
    assert rule.decides > 0
    assert f"when: kind = 'play' and value >= 0.5  {rule.decides:,}" in " ".join(out.split("   "))
    assert sum(found.mix().values()) > found.mix()[2] == rule.examples > 0


@in_process
def test_a_day_that_was_not_built_says_what_to_run(
    shown: Tiny, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert called(monkeypatch, tmp_path, shown.file, "--as-of", str(shown.as_of)) == 1
    assert "not built yet; run `matinee build shown --as-of …` first" in capfd.readouterr().err
    later = date.fromordinal(shown.as_of.toordinal() + 1)
    assert called(monkeypatch, shown.home, shown.file, "--as-of", str(later)) == 1
    assert f"run `matinee build shown --as-of {later}` first" in capfd.readouterr().err
