from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine.errors import ArtifactError
from tasks.errors import MatineeError
from tasks.monitoring.drift import Drift
from tasks.monitoring.monitor import (
    MonitorResult,
    compare_with_reference,
    evaluated_before,
    monitor_step,
    unit_of,
    window_of,
)
from tasks.monitoring.skew import Skew
from tasks.spec.feature_catalog import MartFeature
from tasks.spec.load import load_shape
from tasks.spec.parts import Monitor
from tasks.spec.resolved_features import resolve_features

PIPELINES = Path(__file__).resolve().parents[3] / "pipelines"


def write(
    run: Any, part: str, f_one: str, *, weight: str = "1.0", lists: int = 1000, first: str = "2026-02-01"
) -> None:
    """Lists of one row, of a user each, on two days from `first`; every fourth is positive."""
    folder = run.step_dir("sample")
    folder.mkdir(parents=True, exist_ok=True)
    duckdb.sql(
        f"""
        copy (select 'g' || i as group_id, 'u' || i as user_id, 'i' || i as item_id,
                     date '{first}' + (i % 2)::integer as cut, (i % 4 = 0)::tinyint as grade,
                     ({weight})::double as weight, ({f_one})::float as f_one, 1::float as f_two
              from range({lists}) n(i)) to '{folder / part}.parquet' (format parquet)
        """
    )


def drift(run: Any) -> Drift:
    return Drift.read(run.step_dir("monitor") / "drift.json")


def test_the_same_world_is_stable(run: Any) -> None:
    write(run, "train", "i % 100")
    write(run, "test", "(i * 7) % 100", first="2026-02-08")

    assert monitor_step(run) == MonitorResult(
        compared=3, shifted=(), drifted=(), too_few=(), warming_up=0, problem=None, skewed=False
    )
    found = drift(run).to_json()
    assert found["reference"] == {
        "kind": "train", "from": "2026-02-01", "to": "2026-02-02", "rows": 1000, "groups": 1000,
    }  # fmt: skip
    assert found["current"] == {
        "part": "test", "from": "2026-02-08", "to": "2026-02-09", "rows": 1000, "groups": 1000,
    }  # fmt: skip
    assert found["scores"] is None
    assert [record.feature for record in drift(run).compared] == ["f_one", "f_two", "label"]


def test_a_feature_in_another_unit_has_drifted(run: Any) -> None:
    write(run, "train", "i % 100")
    write(run, "test", "(i % 100) * 100")

    assert monitor_step(run).drifted == ("f_one",)
    checks = {check.column: check for check in run.checks("monitor")}
    found, warned = checks["f_one__drift"], checks["features__drift"]
    assert (found.severity, found.success, found.line, found.trend) == ("info", False, "features", ())
    assert found.observed.startswith("median 49 -> 4,900 (PSI ")
    assert (warned.severity, warned.success, warned.line) == ("warning", False, "features")
    assert warned.observed == "f_one: median 49 -> 4,900"
    assert checks["f_two__drift"].success is True
    assert checks["label__drift"].success is True


def test_a_drift_that_is_acknowledged_is_recorded_only(run: Any) -> None:
    run.spec.monitor = Monitor(acknowledged={"f_one": "Prices rose by law."})
    write(run, "train", "i % 100")
    write(run, "test", "(i % 100) * 100")

    assert monitor_step(run).drifted == ("f_one",)
    checks = {check.column: check for check in run.checks("monitor")}
    assert (checks["f_one__drift"].severity, checks["f_one__drift"].success) == ("info", False)
    assert "Prices rose by law." in checks["f_one__drift"].why
    assert checks["features__drift"].success is True


def test_windows_that_are_longer_than_the_history_are_warming_up(run: Any) -> None:
    run.spec.start = date(2026, 1, 1)
    write(run, "train", "i % 100")
    write(run, "test", "i % 100 + 50")

    assert monitor_step(run).warming_up == 2
    assert all(check.success for check in run.checks("monitor"))


def test_the_same_weekdays_are_compared(run: Any) -> None:
    """Sundays are odd, Mondays even; the evaluated window is a Sunday and a Monday, with other shares."""
    run.spec.monitor = Monitor(reference="same_weekday")
    write(run, "train", "i % 2", first="2026-02-01")
    write(run, "validation", "7", first="2026-02-05")
    write(run, "test", "i % 2", first="2026-02-08", lists=999)

    assert monitor_step(run).drifted == ()
    reference = drift(run).reference
    assert reference is not None
    assert (reference.kind, reference.first, reference.last) == ("same_weekday", date(2026, 2, 1), date(2026, 2, 2))


def test_without_a_day_of_the_same_weekday_there_is_nothing_to_compare(run: Any) -> None:
    run.spec.monitor = Monitor(reference="same_weekday")
    write(run, "train", "i", first="2026-02-02")
    write(run, "test", "i", first="2026-02-06")

    assert "no cut before the evaluated window falls on one of its weekdays" in (monitor_step(run).problem or "")


def test_a_few_lists_do_not_alarm_by_chance(run: Any) -> None:
    write(run, "train", "i % 100")
    write(run, "test", "i * 8", lists=12)

    result = monitor_step(run)

    assert result.drifted == ()
    assert "f_one" in result.too_few


def test_label_rate_by_cut(run: Any) -> None:
    write(run, "train", "i")
    write(run, "test", "i")

    monitor_step(run)

    assert [(str(rate.cut), rate.part, rate.groups, rate.rate) for rate in drift(run).label_rate] == [
        ("2026-02-01", "test", 500, 0.5),
        ("2026-02-01", "train", 500, 0.5),
        ("2026-02-02", "test", 500, 0.0),
        ("2026-02-02", "train", 500, 0.0),
    ]


def test_without_a_sample_the_problem_is_recorded(run: Any) -> None:
    result = monitor_step(run)

    assert "nothing to compare" in (result.problem or "")
    assert run.read("monitor", MonitorResult) == result
    assert run.checks("monitor") == ()
    assert drift(run).problem == result.problem


def test_a_missing_feature_is_a_problem_not_a_crash(run: Any) -> None:
    write(run, "train", "i")
    write(run, "test", "i")
    run.spec.features = ("f_three",)
    run.spec.resolved_features = (MartFeature("f_three", "feat_users", "user", 0.0, ""),)

    with pytest.raises(MatineeError, match="cannot be compared"):
        compare_with_reference(run)


def test_what_a_feature_belongs_to_and_how_far_it_looks_back() -> None:
    spec = load_shape(PIPELINES / "streaming.yaml")
    names = ("item_ctr_7d", "user_tenure_days", "user_item_days_since_action", "als_score", "popularity_score")
    features = resolve_features((*names, "item_trend"), spec.retrieval_features)

    assert [unit_of(feature) for feature in features[:5]] == ["item_id", "user_id", "user_id", "user_id", "item_id"]
    assert [window_of(feature) for feature in features] == [7, 0, 365, 365, 28, 28]


def test_a_drift_is_news_on_the_first_day_that_evaluates_on_a_cut() -> None:
    retail = load_shape(PIPELINES / "online_retail.yaml")
    streaming = load_shape(PIPELINES / "streaming.yaml")

    assert evaluated_before(retail, date(2011, 10, 31)) is True
    assert evaluated_before(retail, date(2011, 10, 30)) is False
    assert evaluated_before(streaming, date(2026, 3, 10)) is False


def test_what_was_served_on_the_day_is_compared_too(run: Any) -> None:
    write(run, "train", "i % 100")
    write(run, "test", "i % 100")
    folder = run.home.served("demo") / "ds=2026-02-10"
    folder.mkdir(parents=True)
    (folder / "1-000001.jsonl").write_text("no answer\n")

    assert monitor_step(run).skewed
    assert "1-000001.jsonl:1: " in (Skew.read(run.step_dir("monitor") / "skew.json").problem or "")
    assert [check.column for check in run.checks("monitor") if not check.success] == ["served__log"]


def test_scores_of_the_evaluated_model_are_compared(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write(run, "train", "i % 100", weight="1 + i % 2")
    write(run, "test", "i % 100 + 60")
    folder = run.step_dir("train/everybody-else")
    folder.mkdir(parents=True)
    (folder / "result.json").write_text("{}")
    monkeypatch.setattr("tasks.evaluation.evaluate.model_scores", lambda _, table: -table["f_one"].to_numpy())

    assert "model score" in monitor_step(run).drifted
    assert [record.sentence for record in drift(run).compared][-1] == "median -50 -> -110"
    check = next(check for check in run.checks("monitor") if check.column == "model_score__drift")
    assert (check.table, check.line, check.severity) == ("predictions", "predictions", "warning")


def test_a_model_that_cannot_score_is_a_problem(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write(run, "train", "i")
    write(run, "test", "i")
    folder = run.step_dir("train/everybody-else")
    folder.mkdir(parents=True)
    (folder / "result.json").write_text("{}")

    def fail(*_: Any) -> None:
        raise ArtifactError("evaluated.txt: altered")

    monkeypatch.setattr("tasks.evaluation.evaluate.model_scores", fail)

    assert monitor_step(run).compared == 3
    assert drift(run).scores is None
    assert "evaluated.txt: altered" in (drift(run).problem or "")
