"""Gates on differences known by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import GateFailed
from tasks.gate import gate_step, judge, judge_refit
from tasks.home import Home, read_json
from tasks.run import Run
from tasks.spec_parts import BeatsGate, NotWorseGate
from tests.tasks.handmade import day, spec_of


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
    assert judge(gate, paired(ours, theirs))["passed"] is passed


def test_a_verdict_says_what_was_measured() -> None:
    assert judge(beats(0.01), paired([0.5, 0.5], [0.4, 0.4])) == {
        "gate": "ndcg@10 beats popularity by 0.01",
        "passed": True,
        "detail": "difference +0.1000 [+0.1000, +0.1000] over 50 groups",
    }
    assert (
        judge(not_worse(0.005), paired([0.5], [0.5]))["gate"] == "ndcg@10 not worse than popularity by more than 0.005"
    )


def test_one_user_proves_nothing() -> None:
    table = pa.table({"user_id": ["u"] * 9, "ndcg@10 of model": [1.0] * 9, "ndcg@10 of popularity": [0.0] * 9})
    assert judge(beats(0.01), table)["passed"] is False


def test_no_groups_prove_nothing() -> None:
    assert judge(beats(0.0), paired([math.nan], [0.5]))["passed"] is False
    assert judge(not_worse(0.5), paired([math.nan], [0.5]))["passed"] is False


def test_a_rival_that_was_not_measured_holds_the_version_back() -> None:
    assert judge(not_worse(0.5, "champion"), paired([0.5], [0.5])) == {
        "gate": "ndcg@10 not worse than champion by more than 0.5",
        "passed": False,
        "detail": "champion was not measured in this run",
    }


def judged(folder: Path, table: pa.Table, *gates: dict[str, Any]) -> Run:
    run = Run(spec_of(gates=list(gates), publish={"refit": False}), Home(folder), day("02-20"), "1")
    run.step_dir("evaluate").mkdir(parents=True)
    pq.write_table(table, run.step_dir("evaluate") / "groups.parquet")
    return run


def test_gates_that_hold_let_the_run_go_on(tmp_path: Path) -> None:
    gate = {"metric": "ndcg@10", "beats": "popularity", "by": 0.01}
    run = judged(tmp_path, paired([0.5, 0.5], [0.4, 0.4]), gate)
    result = gate_step(run)
    assert result["passed"] is True
    assert result == run.result("gate")


def test_gates_that_do_not_hold_stop_the_run_and_are_kept(tmp_path: Path) -> None:
    held, broken = ({"metric": "ndcg@10", "beats": "popularity", "by": by} for by in (0.01, 0.2))
    run = judged(tmp_path, paired([0.5, 0.5], [0.4, 0.4]), held, broken)

    with pytest.raises(GateFailed) as caught:
        gate_step(run)

    assert str(caught.value) == (
        "tiny 2026-02-20: the model is not published, 1 of 2 gates do not hold; the champion stays:\n"
        "  ndcg@10 beats popularity by 0.2: difference +0.1000 [+0.1000, +0.1000] over 50 groups"
    )
    assert run.result("gate")["passed"] is False
    assert [verdict["passed"] for verdict in read_json(run.step_dir("gate") / "gates.json")] == [True, False]


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
    run = Run(spec_of(gates=[{"metric": "ndcg@10", "beats": "popularity"}]), Home(tmp_path), day("02-20"), "1")
    run.step_dir("evaluate").mkdir(parents=True)
    pq.write_table(table, run.step_dir("evaluate") / "groups.parquet")
    with pytest.raises(GateFailed, match="1 of 2 gates do not hold"):
        gate_step(run)


def test_a_refit_that_could_not_be_compared_does_not_agree() -> None:
    table = paired([math.nan], [0.5])
    table = table.append_column("ndcg@10 of refit", pa.array([0.5] * table.num_rows))
    assert judge_refit("ndcg@10", table)["passed"] is False
