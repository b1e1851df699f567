"""The end of a run on the terminal: metrics, times and failures."""

from __future__ import annotations

import io
from datetime import date

from rich.console import Console

from engine.evaluation import EvaluationRecord
from tasks.operations.progress import Cell
from tasks.operations.summary import DaySummary, best_features, failure, metrics_table, times_table


def text_of(renderable: object, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def record(metric: str, of: str, value: float | None, population: str = "*") -> EvaluationRecord:
    low, high = (None, None) if value is None else (value - 0.01, value + 0.01)
    common = {"metric": metric, "of": of, "population": population, "definition": "any", "groups": 100}
    return EvaluationRecord.model_validate({**common, "value": value, "low": low, "high": high})


def test_metrics_stand_beside_the_baselines() -> None:
    records = [
        record("ndcg@10", "popularity", 0.25),
        record("ndcg@10", "model", 0.31),
        record("ndcg@10", "model", 0.99, population="BR"),
        record("mrr", "model", None),
        record("auc", "model", 0.5),
    ]
    lines = text_of(metrics_table(records, ("ndcg@10", "mrr"))).splitlines()
    assert lines[0].split() == ["metric", "model", "popularity"]
    assert lines[1].split() == ["ndcg@10", "0.3100", "±0.0100", "0.2500", "±0.0100"]
    assert lines[2].split() == ["mrr", "–", "–"]


def test_of_the_features_alone_only_the_best_is_shown() -> None:
    records = [record("ndcg@10", "feature:item_trend", 0.2), record("ndcg@10", "feature:als_score", 0.3)]
    records += [record("ndcg@10", "model", 0.31), record("mrr", "model", 0.5)]
    assert text_of(metrics_table(records, ("mrr",))).split() == ["metric", "model", "mrr", "0.5000", "±0.0100"]
    assert best_features(records, ("mrr", "ndcg@10")) == "ndcg@10 0.3000 ±0.0100 (als_score)"
    assert best_features(records, ("mrr",)) is None


def day(state: str, **steps: Cell) -> DaySummary:
    return DaySummary(date(2026, 3, 1), "run", "run", state, steps)


def test_times_leave_out_steps_that_did_not_run() -> None:
    text = text_of(times_table([day("failed", land=Cell("success", 1.25, 1, 1), gate=Cell("upstream_failed"))]))
    assert "land" in text
    assert "1.2" in text
    assert "gate" not in text


def test_failure_quotes_the_step() -> None:
    text = text_of(failure(day("failed"), {"build": "BuildError: stg_users[3]: no such column"}))
    assert "2026-03-01 failed" in text
    assert "build: BuildError: stg_users[3]: no such column" in text
