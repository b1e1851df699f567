from __future__ import annotations

import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from engine.metrics import parse_metric
from tasks.checks.predictions import check_predictions, cut_off
from tasks.checks.verdicts import read_checks
from tasks.errors import CheckFailed
from tasks.evaluation.diagnostics import DIAGNOSTICS_FILE, Diagnostics
from tasks.evaluation.evaluate import model_scores
from tasks.evaluation.held_out import HeldOut, truth_of
from tasks.evaluation.results import ChampionResult, EvaluateResult
from tasks.runs.run import Run
from tasks.store.files import DIGESTS, read_json, write_digests
from tasks.training.train import populations
from tests.tiny_pipelines import Tiny, in_process

pytestmark = in_process


def failed(run: Run) -> set[tuple[str, str]]:
    checks = read_checks(run.step_dir("check_predictions")) or ()
    return {(check.table, check.column) for check in checks if not check.success}


def every_tree_says(run: Run, value: str) -> None:
    """Replace the leaves of the models to publish."""
    for path in run.step_dir("train").glob("*/published/trees.txt"):
        lines = path.read_text(encoding="utf-8").splitlines()
        for n, line in enumerate(lines):
            if line.startswith("leaf_value="):
                count = len(line.split())
                lines[n] = "leaf_value=" + " ".join([value] * count)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        (path.parents[1] / DIGESTS).unlink()
        write_digests(path.parents[1])  # as the step would have, had it trained such trees


def test_the_lists_of_a_trained_model_are_lists(shown: Tiny, tmp_path: Path) -> None:
    run = shown.copied(tmp_path / "home").prepared()

    result = check_predictions(run)

    checks = read_checks(run.step_dir("check_predictions")) or ()
    assert result.failed_critical == 0
    assert result.champion == ChampionResult(version=None)
    assert {check.line for check in checks} == {"predictions"}
    assert "everybody" in {check.table for check in checks}


def diagnostics(run: Run) -> Diagnostics:
    return Diagnostics.read(run.step_dir("check_predictions") / DIAGNOSTICS_FILE)


def test_what_explains_the_metrics_is_left_beside_the_verdicts(shown: Tiny, tmp_path: Path) -> None:
    run = shown.copied(tmp_path / "home").prepared()
    before = (run.step_dir("check_predictions") / DIAGNOSTICS_FILE).read_bytes()

    check_predictions(run)

    found = diagnostics(run)
    groups = run.read("evaluate", EvaluateResult).groups
    assert (run.step_dir("check_predictions") / DIAGNOSTICS_FILE).read_bytes() == before
    assert [(row.recall.of, row.k) for row in found.candidates] == [
        ("als", 10), ("popularity", 10), ("history", 10), ("union", 30),
    ]  # fmt: skip
    assert found.concentration is not None
    assert {row.recall.groups for row in found.candidates} == {found.concentration.groups} == {groups}
    assert [one.population for one in found.calibration] == sorted(
        populations(run), key=lambda name: (name == "*", name)
    )
    rows = pq.read_metadata(run.step_dir("sample") / "test.parquet").num_rows
    assert sum(each.examples for one in found.calibration for each in one.bins) == rows
    assert [one.of for one in found.concentration.contenders] == ["model", "popularity", "history", "logged_order"]
    assert all(one.places <= 10 * groups for one in found.concentration.contenders)
    assert found.last == ChampionResult(version=None)
    assert len(found.lists) == 3
    assert all(one.last is None and one.consumed > 0 for one in found.lists)
    assert all(item.title for one in found.lists for item in one.model)


def test_a_retrieval_that_is_no_longer_kept_costs_its_figures_not_the_check(shown: Tiny, tmp_path: Path) -> None:
    run = shown.copied(tmp_path / "home").prepared()
    shutil.rmtree(run.home.retrieval("shown") / f"cut={run.windows.test[-1]}")

    assert check_predictions(run).failed_critical == 0

    found = diagnostics(run)
    assert re.match(r"retrieval/shown/cut=2026-01-16/\w+ is gone; run the step `retrieve` again", found.problem or "")
    assert (found.candidates, found.concentration) == ((), None)
    assert found.calibration
    assert all(item.title is None for one in found.lists for item in one.model)


def test_what_all_retrievers_find_is_what_a_model_of_snapshots_can_list(bought: Tiny) -> None:
    run = bought.prepared()
    table = pq.read_table(run.step_dir("sample") / "test.parquet")
    held_out = HeldOut.of(run.spec, table, truth_of(run))
    every_place = parse_metric("recall@30")(held_out.lists(model_scores(run, table)))

    found = diagnostics(run)
    (union,) = (row.recall for row in found.candidates if row.recall.of == "union")

    assert (union.metric, union.groups) == ("recall@30", len(every_place))
    assert union.value == pytest.approx(every_place.mean())
    assert found.concentration is not None
    assert found.concentration.catalog == 25


def test_snapshots_are_checked_by_their_own_suite(bought: Tiny, tmp_path: Path) -> None:
    run = bought.copied(tmp_path / "home").prepared()

    assert check_predictions(run).suites == ("predictions.snapshots",)


def test_a_model_that_says_the_same_of_everything_stops_the_run(shown: Tiny, tmp_path: Path) -> None:
    run = shown.copied(tmp_path / "home").prepared()
    every_tree_says(run, "0.25")

    with pytest.raises(CheckFailed, match="score spread is 0, expected above 0"):
        check_predictions(run)

    assert {("everybody", "score_spread"), ("everybody", "constant_list_share")} <= failed(run)
    assert not (run.step_dir("check_predictions") / "result.json").exists()
    assert diagnostics(run).candidates  # a page of a failed run shows them


@pytest.mark.slow
def test_the_champion_as_of_the_day_before_is_executed_on_the_same_examples(shown: Tiny, tmp_path: Path) -> None:
    tiny = shown.copied(tmp_path / "home")
    run = tiny.run(tiny.as_of.replace(day=tiny.as_of.day + 1))

    champion = read_json(run.step_dir("check_predictions") / "result.json")["champion"]
    checks = read_checks(run.step_dir("check_predictions")) or ()
    (correlation,) = (check for check in checks if (check.table, check.column) == ("everybody", "champion_correlation"))
    found = diagnostics(run)
    assert found.last.version == champion["version"]
    assert found.concentration is not None
    assert found.concentration.contenders[-1].of == "champion"
    assert all(one.last is not None for one in found.lists)
    assert champion["version"].startswith(str(tiny.as_of))
    assert -1 <= correlation.observed <= 1


def test_the_cut_off_is_that_of_the_first_gate(shown: Tiny) -> None:
    assert cut_off(shown.prepared()) == 10
