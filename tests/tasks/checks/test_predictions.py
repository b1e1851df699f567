from __future__ import annotations

from pathlib import Path

import pytest

from tasks.checks.predictions import check_predictions, cut_off
from tasks.checks.verdicts import read_checks
from tasks.errors import CheckFailed
from tasks.evaluation.results import ChampionResult
from tasks.runs.run import Run
from tasks.store.files import read_json
from tests.tiny_pipelines import Tiny, in_process

pytestmark = in_process


def failed(run: Run) -> set[tuple[str, str]]:
    checks = read_checks(run.step_dir("check_predictions")) or ()
    return {(check.table, check.column) for check in checks if not check.success}


def every_tree_says(run: Run, value: str) -> None:
    """Replace the leaves of the models to publish."""
    for path in run.step_dir("train").glob("*/published.txt"):
        lines = path.read_text(encoding="utf-8").splitlines()
        for n, line in enumerate(lines):
            if line.startswith("leaf_value="):
                count = len(line.split())
                lines[n] = "leaf_value=" + " ".join([value] * count)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_the_lists_of_a_trained_model_are_lists(shown: Tiny, tmp_path: Path) -> None:
    run = shown.copied(tmp_path / "home").prepared()

    result = check_predictions(run)

    checks = read_checks(run.step_dir("check_predictions")) or ()
    assert result.failed_critical == 0
    assert result.champion == ChampionResult(version=None)
    assert {check.line for check in checks} == {"predictions"}
    assert "everybody" in {check.table for check in checks}


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


@pytest.mark.slow
def test_the_champion_as_of_the_day_before_is_executed_on_the_same_examples(shown: Tiny, tmp_path: Path) -> None:
    tiny = shown.copied(tmp_path / "home")
    run = tiny.run(tiny.as_of.replace(day=tiny.as_of.day + 1))

    champion = read_json(run.step_dir("check_predictions") / "result.json")["champion"]
    checks = read_checks(run.step_dir("check_predictions")) or ()
    (correlation,) = (check for check in checks if (check.table, check.column) == ("everybody", "champion_correlation"))
    assert champion["version"].startswith(str(tiny.as_of))
    assert -1 <= correlation.observed <= 1


def test_the_cut_off_is_that_of_the_first_gate(shown: Tiny) -> None:
    assert cut_off(shown.prepared()) == 10
