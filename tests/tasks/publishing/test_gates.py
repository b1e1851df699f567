"""Gates on differences known by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import GateFailed, MatineeError
from tasks.publishing.gates import evaluate_gate, gate_step, judge_features, judge_refit
from tasks.publishing.publish import this_version
from tasks.runs.run import Run
from tasks.spec.parts import BeatsGate, NotWorseGate
from tasks.store.files import Home, read_json, write_json
from tests.tasks.handmade import day, finish_step, spec_of


def paired(ours: list[float], theirs: list[float], times: int = 25) -> pa.Table:
    """Each pair of values, for `times` users."""
    size = len(ours) * times
    return pa.table(
        {
            "user_id": [f"u{n:03}" for n in range(size)],
            "ndcg@10 of model": ours * times,
            "ndcg@10 of popularity": theirs * times,
        }
    )


def beats(by: float) -> BeatsGate:
    return BeatsGate(metric="ndcg@10", beats="popularity", by=by)


def not_worse(margin: float, rival: str = "popularity") -> NotWorseGate:
    return NotWorseGate(metric="ndcg@10", not_worse_than=rival, margin=margin)


@pytest.mark.parametrize(
    ("gate", "ours", "theirs", "passed"),
    [
        (beats(0.01), [0.5, 0.6, 0.4, 0.5], [0.4, 0.5, 0.35, 0.45], True),  # +0.075, hardly any noise
        (beats(0.08), [0.5, 0.6, 0.4, 0.5], [0.4, 0.5, 0.35, 0.45], False),  # +0.075 is less than asked for
        (beats(0.0), [0.5, 0.5], [0.5, 0.5], False),  # no difference is no victory
        (beats(0.01), [1.0, 0.0], [0.0, 0.96], False),  # +0.02 on average, but well within noise
        (beats(0.01), [0.4, 0.5], [0.5, 0.6], False),
        (not_worse(0.0), [0.5, 0.6], [0.4, 0.5], True),
        (not_worse(0.005), [0.5, 0.5], [0.5, 0.5], True),
        (not_worse(0.0), [0.5, 0.5], [0.5, 0.5], False),  # the interval must lie above −0
        (not_worse(0.005), [0.5, 0.5], [0.51, 0.51], False),
        (not_worse(0.02), [0.5, 0.5], [0.51, 0.51], True),
        (not_worse(0.005), [1.0, 0.0], [0.0, 1.0], False),  # equal on average, but nobody knows
        (beats(0.01), [0.5, math.nan, 0.5], [0.4, 0.9, math.nan], True),  # only groups that both have count
    ],
)
def test_verdicts(gate: BeatsGate | NotWorseGate, ours: list[float], theirs: list[float], passed: bool) -> None:
    assert evaluate_gate(gate, paired(ours, theirs))["passed"] is passed


def test_a_verdict_says_what_was_measured() -> None:
    assert evaluate_gate(beats(0.01), paired([0.5, 0.5], [0.4, 0.4])) == {
        "gate": "ndcg@10 beats popularity by 0.01",
        "passed": True,
        "detail": "difference +0.1000 [+0.1000, +0.1000] over 50 groups",
    }
    assert (
        evaluate_gate(not_worse(0.005), paired([0.5], [0.5]))["gate"]
        == "ndcg@10 not worse than popularity by more than 0.005"
    )


def test_one_user_proves_nothing() -> None:
    table = pa.table({"user_id": ["u"] * 9, "ndcg@10 of model": [1.0] * 9, "ndcg@10 of popularity": [0.0] * 9})
    assert evaluate_gate(beats(0.01), table)["passed"] is False


def test_no_groups_prove_nothing() -> None:
    assert evaluate_gate(beats(0.0), paired([math.nan], [0.5]))["passed"] is False
    assert evaluate_gate(not_worse(0.5), paired([math.nan], [0.5]))["passed"] is False


def test_a_rival_that_was_not_measured_holds_the_version_back() -> None:
    assert evaluate_gate(not_worse(0.5, "champion"), paired([0.5], [0.5])) == {
        "gate": "ndcg@10 not worse than champion by more than 0.5",
        "passed": False,
        "detail": "champion was not measured in this run",
    }


def power(feature: str, **changes: Any) -> dict[str, Any]:
    """A feature's row of `suspicion.json`; an ordinary one."""
    figures = {"value": 0.46, "closes": 0.12, "auc": 0.7, "auc_low": 0.68, "auc_high": 0.72, "groups": 900}
    row = {"feature": feature, "direction": "higher", **figures, "suspicious": False, "acknowledged": None}
    return row | changes


LEAK = {"value": 0.94, "closes": 0.9, "auc": 0.99, "auc_low": 0.985, "auc_high": 0.995, "suspicious": True}


def alone(*rows: dict[str, Any]) -> dict[str, Any]:
    """What `suspicion.json` holds."""
    return {
        "metric": "ndcg@10",
        "reference": {"of": "popularity", "value": 0.4},
        "perfect": 1.0,
        "suspicious_from": {"closes": 1 / 3, "auc": 0.97, "groups": 30},
        "features": list(rows),
    }


def judged(folder: Path, table: pa.Table, *gates: dict[str, Any], refit: bool = False) -> Run:
    run = Run(spec_of(gates=list(gates), publish={"refit": refit}), Home(folder), day("02-20"), "1")
    finish_step(run, "retrieve", {"data": "digest of the landing"})
    finish_step(run, "evaluate", {"metrics": {}})
    pq.write_table(table, run.step_dir("evaluate") / "groups.parquet")
    write_json(run.step_dir("evaluate") / "suspicion.json", alone(power("item_actions_28d")))
    return run


def test_gates_that_hold_let_the_run_go_on(tmp_path: Path) -> None:
    gate = {"metric": "ndcg@10", "beats": "popularity", "by": 0.01}
    run = judged(tmp_path, paired([0.5, 0.5], [0.4, 0.4]), gate)
    result = gate_step(run)
    assert result["passed"] is True
    assert result["version"] == this_version(run)
    assert "champion" not in result  # no gate asks for one
    assert result == run.result("gate")


def test_gates_that_do_not_hold_stop_the_run_and_are_kept(tmp_path: Path) -> None:
    held, broken = ({"metric": "ndcg@10", "beats": "popularity", "by": by} for by in (0.01, 0.2))
    run = judged(tmp_path, paired([0.5, 0.5], [0.4, 0.4]), held, broken)

    with pytest.raises(GateFailed) as caught:
        gate_step(run)

    assert str(caught.value) == (
        "tiny 2026-02-20: the model is not published, 1 of 3 gates do not hold; the champion stays:\n"
        "  ndcg@10 beats popularity by 0.2: difference +0.1000 [+0.1000, +0.1000] over 50 groups"
    )
    assert run.result("gate")["passed"] is False
    assert [verdict["passed"] for verdict in read_json(run.step_dir("gate") / "gates.json")] == [True, False, True]


@pytest.mark.parametrize(("refit", "agrees"), [(0.6, True), (0.5, True), (0.4, False)])
def test_a_refitted_model_below_the_judged_one_on_what_it_has_learnt_is_held_back(refit: float, agrees: bool) -> None:
    table = paired([0.5, 0.5], [0.4, 0.4])
    table = table.append_column("ndcg@10 of refit", pa.array([refit] * table.num_rows))
    verdict = judge_refit("ndcg@10", table)
    assert verdict["passed"] is agrees
    assert verdict["gate"] == "ndcg@10 of the refitted model is not below the judged one's"
    assert verdict["detail"].startswith(f"difference {refit - 0.5:+.4f}")


def test_a_refit_that_disagrees_stops_the_run(tmp_path: Path) -> None:
    table = paired([0.5, 0.5], [0.4, 0.4])
    table = table.append_column("ndcg@10 of refit", pa.array([0.1] * table.num_rows))
    run = judged(tmp_path, table, {"metric": "ndcg@10", "beats": "popularity"}, refit=True)
    with pytest.raises(GateFailed, match="1 of 3 gates do not hold"):
        gate_step(run)


def test_a_refit_that_could_not_be_compared_does_not_agree() -> None:
    table = paired([math.nan], [0.5])
    table = table.append_column("ndcg@10 of refit", pa.array([0.5] * table.num_rows))
    assert judge_refit("ndcg@10", table)["passed"] is False


GATE = {"metric": "ndcg@10", "beats": "popularity", "by": 0.01}


def test_a_feature_that_is_too_good_to_be_true_stops_the_run(tmp_path: Path) -> None:
    run = judged(tmp_path, paired([0.5, 0.5], [0.4, 0.4]), GATE)
    write_json(run.step_dir("evaluate") / "suspicion.json", alone(power("plays_tomorrow", **LEAK), power("honest")))

    with pytest.raises(GateFailed) as caught:
        gate_step(run)

    assert str(caught.value) == (
        "tiny 2026-02-20: the model is not published, 1 of 2 gates do not hold; the champion stays:\n"
        "  no feature is too good to be true: plays_tomorrow alone has ndcg@10 0.9400 and AUC 0.9900 [0.9850, 0.9950], "
        "where popularity has ndcg@10 0.4000 and a perfect order 1.0000; look in the SQL for rows after the cut, run "
        "`matinee prove tiny --as-of 2026-02-20`, or, if it is legal, say why in the pipeline file: "
        'evaluate: {acknowledged: {plays_tomorrow: "why it is legal"}}'
    )
    assert run.result("gate")["passed"] is False


def test_an_acknowledged_feature_is_shown_and_blocks_nothing() -> None:
    known = power("price_at_checkout", **LEAK, acknowledged="The shop sets it a day ahead.")
    verdict = judge_features(alone(known), "tiny", day("02-20"))
    assert verdict["passed"] is True
    assert verdict["detail"].endswith("a perfect order 1.0000, acknowledged: The shop sets it a day ahead.")

    both = judge_features(alone(known, power("leak", **LEAK)), "tiny", day("02-20"))
    assert both["passed"] is False
    assert "{acknowledged: {leak: " in both["detail"]
    assert "acknowledged: The shop sets it a day ahead." in both["detail"]


@pytest.mark.parametrize(
    ("strongest", "detail"),
    [
        (
            power("als_score"),
            "the strongest alone, als_score, closes 12 % of the gap between popularity and a perfect order; "
            "suspicious from 33 % on",
        ),
        (power("als_score", groups=12), "not judged: 12 lists hold both a hit and a miss, expected at least 30"),
        (power("als_score", closes=None), "popularity is perfect already, and no feature's AUC is above 0.97"),
    ],
)
def test_nothing_suspicious_is_said_with_its_reason(strongest: dict[str, Any], detail: str) -> None:
    assert judge_features(alone(strongest), "tiny", day("02-20")) == {
        "gate": "no feature is too good to be true",
        "passed": True,
        "detail": detail,
    }


def test_a_suspicion_that_was_not_measured_is_no_pass(tmp_path: Path) -> None:
    run = judged(tmp_path, paired([0.5, 0.5], [0.4, 0.4]), GATE)
    (run.step_dir("evaluate") / "suspicion.json").unlink()
    with pytest.raises(MatineeError, match=r"suspicion\.json: no such file"):
        gate_step(run)
