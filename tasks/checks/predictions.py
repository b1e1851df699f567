"""Checks of predictions: the third line of defense, between evaluation and the gates.

The gates ask whether a model is good on what users did; these checks ask whether its lists make sense at all: scores
that differ, items from all over the catalog, different lists for different users, about the order of yesterday's
model. They run on the model that would be published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.checks.gx import evaluate_suite, run_parameters
from tasks.checks.list_statistics import Pages, Statistics, agreement, list_statistics, parts
from tasks.checks.profile_row import measured
from tasks.checks.suites import load_suite
from tasks.checks.verdicts import CheckResult, finish
from tasks.evaluation.champion import Champion, champion_scores, say_champion
from tasks.evaluation.diagnostics import DIAGNOSTICS_FILE, diagnose
from tasks.evaluation.evaluate import model_scores, populations_of
from tasks.evaluation.final_lists import FinalLists, Ranked
from tasks.evaluation.results import ChampionResult, EvaluateResult
from tasks.runs.narration import counted, say
from tasks.training.models import PUBLISHED

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tasks.runs.run import Run

    Floats = npt.NDArray[np.float64]


class PredictionCheckResult(CheckResult):
    """What the check of the predictions leaves."""

    champion: ChampionResult
    """The version that the published model was compared with, or the problem."""


def check_predictions(run: Run) -> PredictionCheckResult:
    """Check the lists that the model to publish makes of the test examples, all together and by population.

    Beside the verdicts it leaves what explains them and the metrics (`tasks.evaluation.diagnostics`).

    Raises:
        CheckFailed: a critical check failed or could not run.
        MatineeError: the model has not been trained and evaluated in this attempt.
    """
    import pyarrow.parquet as pq

    run.read("evaluate", EvaluateResult)  # for its error: without evaluation there is no model to check
    path = run.file("sample", "test.parquet")
    table = pq.read_table(path)
    final = FinalLists(run, table)
    champion = champion_scores(final)
    say_champion(champion, run.as_of, "the lists cannot be compared with its")
    say("{examples:,} test examples as lists, cut off at {k}", examples=table.num_rows, k=cut_off(run))
    evaluated = final.rank(model_scores(run, table), run.spec.rerank)
    profiles = [measured(name, run.as_of, path, row) for name, row in _profiles(final, evaluated, champion)]
    checks = evaluate_suite(load_suite(f"predictions.{run.spec.examples.kind}"), profiles, run_parameters(run))
    # Here rather than in `evaluate`: no version depends on it, and days come here in the order of their champions.
    files = {DIAGNOSTICS_FILE: diagnose(run, table, evaluated, champion, cut_off(run))}
    return finish(run, "check_predictions", checks, PredictionCheckResult, files, champion=champion.record())


def _profiles(final: FinalLists, evaluated: Ranked, champion: Champion) -> list[tuple[str, Statistics]]:
    run, table = final.run, final.table
    refit, k, ours = run.spec.publish.refit, cut_off(run), evaluated
    if refit:  # else the evaluated model is the one that is published
        ours = final.rank(model_scores(run, table, PUBLISHED), run.spec.rerank)
    rival, pages, profiles = champion.scores, Pages.of(table), []
    for name, lists in counted(list(parts(pages, populations_of(run, table))), "populations"):
        chosen, rows = pages.only(lists)
        measures = list_statistics(chosen, ours.scores[rows], k, ours.final[rows] if run.spec.rerank else None)
        measures |= _compared("refit", chosen, ours.final[rows], evaluated.final[rows] if refit else None, k)
        measures |= _compared("champion", chosen, ours.final[rows], None if rival is None else rival[rows], k)
        profiles.append((name, measures))
    return profiles


def _compared(name: str, pages: Pages, ours: Floats, theirs: Floats | None, k: int) -> Statistics:
    """How the published model agrees with another; nothing is measured where there is no other."""
    if theirs is None:
        return {f"{name}_{measure}": None for measure in ("correlation", "overlap_share", "rbo")}
    return {f"{name}_{measure}": value for measure, value in agreement(pages, ours, theirs, k).items()}


def cut_off(run: Run) -> int:
    """The k of the pipeline's first gate (`ndcg@10`), 10 if its metric has none."""
    _, _, k = run.spec.gates[0].metric.partition("@")
    return int(k) if k else 10
