"""What explains the metrics of a run, small and by hand, for the tests of its page."""

from __future__ import annotations

from datetime import date

from engine.evaluation import EvaluationRecord
from tasks.evaluation.calibration import Calibration, CalibrationBin
from tasks.evaluation.candidate_recall import RetrieverRecall
from tasks.evaluation.concentration import Concentration, ContenderConcentration
from tasks.evaluation.diagnostics import Diagnostics
from tasks.evaluation.results import ChampionResult
from tasks.evaluation.user_lists import ListedItem, UserList
from tasks.training.curve import TrainingCurve

LAST = ChampionResult(version="2026-02-09.11111111", since=date(2026, 2, 6))
CURVE = TrainingCurve(
    metric="ndcg@10",
    chosen=3,
    examples=900,
    groups=45,
    values=(0.30, 0.34, 0.33, 0.32),
    standard_errors=(0.01, 0.01, 0.02, 0.02),
)


def recall(of: str, k: int, value: float) -> RetrieverRecall:
    figure = EvaluationRecord(
        metric=f"recall@{k}", of=of, value=value, low=value - 0.05, high=value + 0.05, groups=900, definition="recall"
    )
    return RetrieverRecall(k=k, candidates=k - 0.5, recall=figure)


def listed(item: str, grade: int = 0, title: str | None = None) -> ListedItem:
    return ListedItem(item=item, title=title, grade=grade)


def concentrated(of: str, items: int) -> ContenderConcentration:
    return ContenderConcentration(of=of, places=9000, items=items, coverage=items / 400, gini=0.625, top_share=0.25)


DIAGNOSTICS = Diagnostics(
    candidates=(recall("als", 100, 0.7), recall("popularity", 100, 0.5), recall("union", 200, 0.8)),
    calibration=(
        Calibration(
            population="*",
            bins=(
                CalibrationBin(examples=600, score=-1.0, grade=0.1, low=0.05, high=0.15),
                CalibrationBin(examples=599, score=1.0, grade=0.75, low=0.5, high=1.0),
            ),
        ),
    ),
    concentration=Concentration(
        k=10,
        groups=900,
        catalog=400,
        contenders=(concentrated("model", 300), concentrated("popularity", 100), concentrated("champion", 200)),
    ),
    lists=(
        UserList(
            user="u7",
            cut=date(2026, 2, 7),
            population="*",
            candidates=20,
            consumed=2,
            model=(listed("i1", 3, "Open Ocean"), listed("i2")),
            last=(listed("i2"), listed("i3", 1, "Last Tide")),
        ),
        UserList(
            user="u3", cut=date(2026, 2, 5), population="*", candidates=0, consumed=1, model=(), last=(),
        ),
    ),
    last=LAST,
)  # fmt: skip
