"""Checks of predictions: the third line of defence, between evaluation and the gates.

The gates ask whether a model is good on what users did; these checks ask whether its lists are lists at all: scores
that differ, titles from all over the catalogue, different lists for different users, the order of yesterday's model
more or less. They are made with the model that would be published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.checks.features import parameters, place
from tasks.checks.gx import judge
from tasks.checks.list_statistics import Pages, agreement, list_statistics, parts
from tasks.checks.suites import load_suite
from tasks.checks.verdicts import CheckResult, finish
from tasks.evaluation.champion import Champion, champion_scores
from tasks.evaluation.evaluate import model_scores, populations_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from tasks.runs.run import Run

    Floats = npt.NDArray[np.float64]


class PredictionCheckResult(CheckResult):
    """What the check of the predictions leaves."""

    champion: dict[str, str | None]
    """The version that the published model was compared with, or the problem."""


def check_predictions(run: Run) -> PredictionCheckResult:
    """Check the lists that the model to publish makes of the test examples, all together and by population.

    Raises:
        CheckFailed: a critical check failed or could not run.
        MatineeError: the model has not been trained and evaluated in this attempt.
    """
    import pyarrow.parquet as pq

    run.result("evaluate")
    path = run.step_dir("sample") / "test.parquet"
    table = pq.read_table(path)
    champion = champion_scores(run, table)
    profiles = [{**place(name, run.as_of, path), **row} for name, row in _profiles(run, table, champion)]
    checks = judge(load_suite(f"predictions.{run.spec.examples.kind}"), profiles, parameters(run))
    return finish(run, "check_predictions", "predictions", checks, PredictionCheckResult, champion=champion.result())


def _profiles(run: Run, table: pa.Table, champion: Champion) -> list[tuple[str, dict[str, Any]]]:
    refit, k = run.spec.publish.refit, cut_off(run)
    judged = model_scores(run, table)
    scores = model_scores(run, table, "published.txt") if refit else judged
    rival, pages, found = champion.scores, Pages.of(table), []
    for name, lists in parts(pages, populations_of(run, table)):
        own, rows = pages.only(lists)
        profile = list_statistics(own, scores[rows], k)
        profile |= _compared("refit", own, scores[rows], judged[rows] if refit else None, k)
        profile |= _compared("champion", own, scores[rows], None if rival is None else rival[rows], k)
        found.append((name, profile))
    return found


def _compared(name: str, pages: Pages, ours: Floats, theirs: Floats | None, k: int) -> dict[str, Any]:
    """Return how the published model agrees with another; nothing is measured where there is no other."""
    if theirs is None:
        return {f"{name}_{measure}": None for measure in ("correlation", "overlap_share", "rbo")}
    return {f"{name}_{measure}": value for measure, value in agreement(pages, ours, theirs, k).items()}


def cut_off(run: Run) -> int:
    """Return the k of the pipeline's first gate (`ndcg@10`), 10 if its metric has none."""
    _, _, k = run.spec.gates[0].metric.partition("@")
    return int(k) if k else 10
