"""Gates on differences known by hand."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.errors import GateFailed, MatineeError
from tasks.evaluation.baselines import BaselineFinding, Baselines
from tasks.evaluation.leakage import FeaturePower, Leakage, Reference, Thresholds
from tasks.evaluation.noise import NoiseFloor
from tasks.evaluation.results import EvaluateResult, FigureKey, GroupValues
from tasks.examples.candidates import RetrieveResult
from tasks.publishing.gates import evaluate_gate, evaluate_leakage, evaluate_refit, gate_step
from tasks.publishing.publish import this_version
from tasks.publishing.results import GateResult, GateVerdict, verdicts_if_valid
from tasks.runs.run import Run
from tasks.spec.parts import BeatsGate, NotWorseGate
from tasks.store.files import Home
from tests.tasks.handmade import day, finish_step, spec_of

NOTHING_SAID = Baselines(rule="keep", relevant=0, repeated=0, findings=())


def groups_of(users: list[str], **values: list[float]) -> GroupValues:
    """Values of ndcg@10 by contender."""
    return GroupValues(users, {FigureKey("ndcg@10", name): np.asarray(column) for name, column in values.items()})


def paired(ours: list[float], theirs: list[float], times: int = 25, **more: list[float]) -> GroupValues:
    """Each pair of values, for `times` users."""
    users = [f"u{n:03}" for n in range(len(ours) * times)]
    columns = {"model": ours, "popularity": theirs, **more}
    return groups_of(users, **{name: column * times for name, column in columns.items()})


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
    assert evaluate_gate(gate, paired(ours, theirs), NOTHING_SAID).passed is passed


def test_a_verdict_says_what_was_measured() -> None:
    assert evaluate_gate(beats(0.01), paired([0.5, 0.5], [0.4, 0.4]), NOTHING_SAID) == GateVerdict(
        gate="ndcg@10 beats popularity by 0.01",
        passed=True,
        detail="difference +0.1000 [+0.1000, +0.1000] over 50 groups",
    )
    verdict = evaluate_gate(not_worse(0.005), paired([0.5], [0.5]), NOTHING_SAID)
    assert verdict.gate == "ndcg@10 not worse than popularity by more than 0.005"


NOISE = NoiseFloor(trainings=5, sigma={"ndcg@10": 0.01}, values={"ndcg@10": (0.4,) * 5})


def test_a_lead_within_the_noise_of_training_is_inconclusive() -> None:
    """+0.0200 on every list, but trainings differ by ±0.01: with 4 degrees of freedom that is ±0.0278."""
    small = paired([0.42, 0.42], [0.4, 0.4])
    assert evaluate_gate(beats(0.01), small, NOTHING_SAID).passed
    assert evaluate_gate(beats(0.01), small, NOTHING_SAID, NOISE) == GateVerdict(
        gate="ndcg@10 beats popularity by 0.01",
        passed=False,
        detail="inconclusive, as training again may change it: difference +0.0200 [-0.0078, +0.0478] over 50 groups, "
        "with the noise of training, ±0.0100",
    )
    large = evaluate_gate(beats(0.01), paired([0.5, 0.5], [0.4, 0.4]), NOTHING_SAID, NOISE)
    assert (large.passed, large.detail) == (
        True,
        "difference +0.1000 [+0.0722, +0.1278] over 50 groups, with the noise of training, ±0.0100",
    )
    worse = evaluate_gate(beats(0.01), paired([0.3, 0.3], [0.4, 0.4]), NOTHING_SAID, NOISE)
    assert (worse.passed, worse.detail.startswith("difference -0.1000")) == (False, True)


def test_a_champion_has_noise_of_its_own() -> None:
    """√2 times as much as beside a baseline: ±0.0393 in place of ±0.0278."""
    equal = paired([0.4, 0.4], [0.4, 0.4], champion=[0.4, 0.4])
    assert evaluate_gate(not_worse(0.03), equal, NOTHING_SAID, NOISE).passed
    assert not evaluate_gate(not_worse(0.03, "champion"), equal, NOTHING_SAID, NOISE).passed
    assert evaluate_gate(not_worse(0.04, "champion"), equal, NOTHING_SAID, NOISE).passed


def test_a_refit_may_be_off_by_the_noise_of_two_trainings() -> None:
    off = paired([0.5, 0.5], [0.4, 0.4], refit=[0.47, 0.47])
    assert not evaluate_refit("ndcg@10", off).passed
    assert evaluate_refit("ndcg@10", off, NOISE).passed
    assert not evaluate_refit("ndcg@10", paired([0.5, 0.5], [0.4, 0.4], refit=[0.45, 0.45]), NOISE).passed


def baselines(**means: float) -> Baselines:
    """Baselines with their means of ndcg@10."""
    findings = [BaselineFinding(of=name, values={"ndcg@10": mean}, seen_share=0.0) for name, mean in means.items()]
    return Baselines(rule="keep", relevant=99, repeated=50, findings=tuple(findings))


BEST = BeatsGate(metric="ndcg@10", beats="best_baseline", by=0.01)


def test_the_best_baseline_is_the_strongest_that_was_measured() -> None:
    groups = paired([0.5, 0.5], [0.4, 0.4], als=[0.45, 0.45])
    assert evaluate_gate(BEST, groups, baselines(popularity=0.4, als=0.45)) == GateVerdict(
        gate="ndcg@10 beats best_baseline by 0.01",
        passed=True,
        detail="difference +0.0500 [+0.0500, +0.0500] over 50 groups, to als, the best of 2; the interval covers this "
        "choice",
    )
    weaker = paired([0.44, 0.44], [0.4, 0.4], als=[0.45, 0.45])
    assert evaluate_gate(BEST, weaker, baselines(popularity=0.4, als=0.45)).passed is False
    assert evaluate_gate(beats(0.01), weaker, baselines(popularity=0.4, als=0.45)).passed is True


def test_the_best_baseline_must_be_beaten_for_sure_whichever_it_is() -> None:
    """Two baselines, each of which is beaten in most groups: the better of the two, chosen anew, is closer."""
    random = np.random.default_rng(3)
    base = random.random(200)
    one, two = base + random.normal(0, 0.2, 200), base + random.normal(0, 0.2, 200)
    ours = base + 0.02
    groups = groups_of([f"u{n}" for n in range(200)], model=list(ours), popularity=list(one), als=list(two))
    both = evaluate_gate(BEST, groups, baselines(popularity=float(one.mean()), als=float(two.mean()))).detail
    lows = [float(re.search(r"\[([-+.0-9]+),", text)[1]) for text in (  # type: ignore[index]
        both,
        evaluate_gate(beats(0.0), groups, NOTHING_SAID).detail,
        evaluate_gate(BeatsGate(metric="ndcg@10", beats="als"), groups, NOTHING_SAID).detail,
    )]  # fmt: skip
    assert lows[0] <= min(lows[1:])


def test_a_best_baseline_of_which_one_was_not_measured_fails() -> None:
    verdict = evaluate_gate(BEST, paired([0.5], [0.4]), baselines(popularity=0.4, als=0.1))
    assert (verdict.passed, verdict.detail) == (False, "best_baseline was not measured in this run")


def test_the_best_feature_is_the_strongest_that_was_measured_alone() -> None:
    gate = BeatsGate(metric="ndcg@10", beats="best_feature", by=0.02)
    features: dict[str, list[float]] = {"feature:item_trend": [0.3, 0.3], "feature:als_score": [0.45, 0.45]}
    assert evaluate_gate(gate, paired([0.5, 0.5], [0.4, 0.4], **features), NOTHING_SAID) == GateVerdict(
        gate="ndcg@10 beats best_feature by 0.02",
        passed=True,
        detail="difference +0.0500 [+0.0500, +0.0500] over 50 groups, to als_score, the best of 2; the interval covers "
        "this choice",
    )
    no_loss = not_worse(0.005, "best_feature")
    assert evaluate_gate(no_loss, paired([0.448, 0.448], [0.4, 0.4], **features), NOTHING_SAID).passed is True
    assert evaluate_gate(no_loss, paired([0.44, 0.44], [0.4, 0.4], **features), NOTHING_SAID).passed is False
    # A baseline that is stronger is another gate's business.
    assert evaluate_gate(gate, paired([0.5, 0.5], [0.6, 0.6], **features), NOTHING_SAID).passed is True
    assert evaluate_gate(gate, paired([0.46, 0.46], [0.4, 0.4], **features), NOTHING_SAID).passed is False


def test_a_run_without_features_alone_fails_a_gate_on_the_best() -> None:
    gate = BeatsGate(metric="ndcg@10", beats="best_feature")
    verdict = evaluate_gate(gate, paired([0.5], [0.4]), NOTHING_SAID)
    assert (verdict.passed, verdict.detail) == (False, "best_feature was not measured in this run")


def test_a_verdict_on_a_vacuous_baseline_says_so() -> None:
    empty = BaselineFinding(
        of="popularity", values={"ndcg@10": 0.0}, seen_share=0.9, vacuous="it scores 0 in every list"
    )
    found = Baselines(rule="keep", relevant=99, repeated=0, findings=(empty,))
    for gate in (BEST, beats(0.01), not_worse(0.0)):
        detail = evaluate_gate(gate, paired([0.5, 0.5], [0.0, 0.0]), found).detail
        assert detail.endswith(". Beating popularity shows nothing: it scores 0 in every list")


def test_one_user_proves_nothing() -> None:
    groups = groups_of(["u"] * 9, model=[1.0] * 9, popularity=[0.0] * 9)
    assert evaluate_gate(beats(0.01), groups, NOTHING_SAID).passed is False


def test_no_groups_prove_nothing() -> None:
    assert evaluate_gate(beats(0.0), paired([math.nan], [0.5]), NOTHING_SAID).passed is False
    assert evaluate_gate(not_worse(0.5), paired([math.nan], [0.5]), NOTHING_SAID).passed is False


def test_a_contender_that_was_not_measured_holds_the_version_back() -> None:
    assert evaluate_gate(not_worse(0.5, "champion"), paired([0.5], [0.5]), NOTHING_SAID) == GateVerdict(
        gate="ndcg@10 not worse than champion by more than 0.5",
        passed=False,
        detail="champion was not measured in this run",
    )


def power(feature: str, **changes: Any) -> FeaturePower:
    """The figures of a feature; of an ordinary one, unless changed."""
    figures = {"value": 0.46, "closes": 0.12, "auc": 0.7, "auc_low": 0.68, "auc_high": 0.72, "groups": 900}
    return FeaturePower.model_validate(
        {"feature": feature, "direction": "higher", **figures, "suspicious": False, **changes}
    )


LEAK = {"value": 0.94, "closes": 0.9, "auc": 0.99, "auc_low": 0.985, "auc_high": 0.995, "suspicious": True}


def alone(*powers: FeaturePower) -> Leakage:
    return Leakage(
        metric="ndcg@10",
        reference=Reference(of="popularity", value=0.4),
        perfect=1.0,
        suspicious_from=Thresholds(closes=1 / 3, auc=0.97, groups=30),
        features=list(powers),
    )


def evaluated(folder: Path, groups: GroupValues, *gates: dict[str, Any], refit: bool = False) -> Run:
    run = Run(spec_of(gates=list(gates), publish={"refit": refit}), Home(folder), day("02-20"), "1")
    retrieved = RetrieveResult(data="digest of the landing", cuts=0, made=0, folders={}, kernels=[])
    finish_step(run, "retrieve", retrieved.to_json())
    finish_step(run, "evaluate", EvaluateResult(groups=len(groups.users), metrics={}).to_json())
    groups.write(run.step_dir("evaluate") / "groups.parquet")
    alone(power("item_actions_28d")).write(run.step_dir("evaluate") / "leakage.json")
    NOTHING_SAID.write(run.step_dir("evaluate") / "baselines.json")
    return run


def refusal(run: Run) -> str:
    """The message with which the step holds a model back."""
    with pytest.raises(GateFailed) as caught:
        gate_step(run)
    return str(caught.value)


def test_gates_that_pass_let_the_run_go_on(tmp_path: Path) -> None:
    gate = {"metric": "ndcg@10", "beats": "popularity", "by": 0.01}
    run = evaluated(tmp_path, paired([0.5, 0.5], [0.4, 0.4]), gate)
    result = gate_step(run)
    assert result.passed is True
    assert result.version == this_version(run)
    assert result.champion is None  # no gate asks for one
    assert result == run.read("gate", GateResult)


def test_gates_that_fail_stop_the_run_and_are_kept(tmp_path: Path) -> None:
    low, high = ({"metric": "ndcg@10", "beats": "popularity", "by": by} for by in (0.01, 0.2))
    run = evaluated(tmp_path, paired([0.5, 0.5], [0.4, 0.4]), low, high)

    assert refusal(run) == (
        "tiny 2026-02-20: the model is not published, 1 of 3 gates failed; the champion stays:\n"
        "  ndcg@10 beats popularity by 0.2: difference +0.1000 [+0.1000, +0.1000] over 50 groups"
    )
    assert run.read("gate", GateResult).passed is False
    verdicts = verdicts_if_valid(run.dir)
    assert verdicts is not None
    assert [verdict.passed for verdict in verdicts] == [True, False, True]


@pytest.mark.parametrize(("refit", "agrees"), [(0.6, True), (0.5, True), (0.4, False)])
def test_a_refitted_model_below_the_evaluated_one_on_its_own_training_cuts_is_held_back(
    refit: float, agrees: bool
) -> None:
    verdict = evaluate_refit("ndcg@10", paired([0.5, 0.5], [0.4, 0.4], refit=[refit, refit]))
    assert verdict.passed is agrees
    assert verdict.gate == "ndcg@10 of the refitted model is not below the evaluated one's"
    assert verdict.detail.startswith(f"difference {refit - 0.5:+.4f}")


def test_a_refit_that_disagrees_stops_the_run(tmp_path: Path) -> None:
    groups = paired([0.5, 0.5], [0.4, 0.4], refit=[0.1, 0.1])
    run = evaluated(tmp_path, groups, {"metric": "ndcg@10", "beats": "popularity"}, refit=True)
    with pytest.raises(GateFailed, match="1 of 3 gates failed"):
        gate_step(run)


def test_a_refit_that_could_not_be_compared_does_not_agree() -> None:
    assert evaluate_refit("ndcg@10", paired([math.nan], [0.5], refit=[0.5])).passed is False
    assert evaluate_refit("ndcg@10", paired([0.5], [0.5])).passed is False


GATE = {"metric": "ndcg@10", "beats": "popularity", "by": 0.01}


def test_a_feature_suspected_of_leakage_stops_the_run(tmp_path: Path) -> None:
    run = evaluated(tmp_path, paired([0.5, 0.5], [0.4, 0.4]), GATE)
    alone(power("plays_tomorrow", **LEAK), power("honest")).write(run.step_dir("evaluate") / "leakage.json")

    assert refusal(run) == (
        "tiny 2026-02-20: the model is not published, 1 of 2 gates failed; the champion stays:\n"
        "  no leakage suspected: plays_tomorrow alone has ndcg@10 0.9400 and AUC 0.9900 [0.9850, 0.9950], "
        "where popularity has ndcg@10 0.4000 and a perfect ranking 1.0000; look in the SQL for rows after the cut, run "
        "`matinee prove tiny --as-of 2026-02-20`, or, if it is legal, say why in the pipeline file: "
        'evaluate: {acknowledged: {plays_tomorrow: "why it is legal"}}'
    )
    assert run.read("gate", GateResult).passed is False


def test_an_acknowledged_feature_is_shown_and_blocks_nothing() -> None:
    known = power("price_at_checkout", **LEAK, acknowledged="The shop sets it a day ahead.")
    verdict = evaluate_leakage(alone(known), "tiny", day("02-20"))
    assert verdict.passed is True
    assert verdict.detail.endswith("a perfect ranking 1.0000, acknowledged: The shop sets it a day ahead.")

    both = evaluate_leakage(alone(known, power("leak", **LEAK)), "tiny", day("02-20"))
    assert both.passed is False
    assert "{acknowledged: {leak: " in both.detail
    assert "acknowledged: The shop sets it a day ahead." in both.detail


@pytest.mark.parametrize(
    ("strongest", "detail"),
    [
        (
            power("als_score"),
            "the strongest single feature (als_score) closes 12 % of the gap between the best baseline (popularity) "
            "and a perfect ranking; the alarm starts at 33 %",
        ),
        (power("als_score", groups=12), "not evaluated: 12 lists hold both a hit and a miss, expected at least 30"),
        (
            power("als_score", closes=None),
            "the best baseline (popularity) is perfect already, and no feature's AUC is above 0.97",
        ),
    ],
)
def test_nothing_suspicious_is_said_with_its_reason(strongest: FeaturePower, detail: str) -> None:
    assert evaluate_leakage(alone(strongest), "tiny", day("02-20")) == GateVerdict(
        gate="no leakage suspected", passed=True, detail=detail
    )


def test_leakage_that_was_not_measured_is_no_pass(tmp_path: Path) -> None:
    run = evaluated(tmp_path, paired([0.5, 0.5], [0.4, 0.4]), GATE)
    (run.step_dir("evaluate") / "leakage.json").unlink()
    with pytest.raises(MatineeError, match=r"leakage\.json: no such file"):
        gate_step(run)
