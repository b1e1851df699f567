"""Decide whether the evaluated model may be published; differences are paired and carry their noise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from engine.evaluation import CHAMPION, MODEL, alone, feature_of
from tasks.errors import GateFailed
from tasks.evaluation import results as evaluation
from tasks.evaluation.baselines import BASELINES_FILE, Baselines
from tasks.evaluation.champion import against_champion
from tasks.evaluation.figures import INTERVAL_SEED
from tasks.evaluation.leakage import LEAKAGE_FILE, FeaturePower, Leakage
from tasks.evaluation.results import GROUPS_FILE, REFIT, ChampionResult, EvaluateResult, FigureKey, GroupValues
from tasks.evaluation.single_features import single_values
from tasks.publishing.publish import this_version, withdraw_version
from tasks.publishing.results import GATE_STEP, VERDICTS_FILE, GateResult, GateVerdict
from tasks.runs.narration import say, warn
from tasks.spec.parts import BEST_BASELINE, BEST_FEATURE, BeatsGate, NotWorseGate
from tasks.store.records import write_list

if TYPE_CHECKING:
    from engine.intervals import Interval
    from tasks.evaluation.noise import NoiseFloor
    from tasks.runs.run import Run

NO_LEAKAGE = "no leakage suspected"


def evaluate_gate(
    gate: BeatsGate | NotWorseGate, groups: GroupValues, baselines: Baselines, noise: NoiseFloor | None = None
) -> GateVerdict:
    """Compare the model with a gate's contender, group by group.

    `beats`: the mean difference is at least `by` and its 95 % interval lies above 0. `not_worse_than`: the interval
    lies above `-margin`. A contender that was not measured, or too few users for an interval: the gate fails. Where the
    noise of training is measured, the interval holds it, of both where the contender is a model, too; a difference
    that only it makes too small is called inconclusive.
    """
    contender = gate.contender
    if isinstance(gate, BeatsGate):
        sentence = f"{gate.metric} beats {contender} by {gate.by:g}"
    else:
        sentence = f"{gate.metric} not worse than {contender} by more than {gate.margin:g}"
    measured = _measured(gate.metric, contender, groups, baselines)
    over_lists = _over_best(groups, gate.metric, measured)
    if over_lists is None:
        return GateVerdict(gate=sentence, passed=False, detail=f"{contender} was not measured in this run")
    models = 2 if contender == CHAMPION else 1
    difference = over_lists if noise is None else noise.widen(over_lists, gate.metric, models)
    passed = _passes(gate, difference)
    strongest = _best_of(groups, gate.metric, measured)
    detail = f"{_figures(difference)} over {difference.groups} groups"
    if noise is not None:
        detail += f", with the noise of training, ±{noise.of(gate.metric):.4f}"
        if not passed and _passes(gate, over_lists):
            detail = f"inconclusive, as training again may change it: {detail}"
    if contender in {BEST_BASELINE, BEST_FEATURE}:
        named = feature_of(strongest) or strongest
        detail += f", to {named}, the best of {len(measured)}; the interval covers this choice"
    vacuous = baselines.vacuous(strongest)
    if vacuous:
        detail += f". Beating {strongest} shows nothing: {vacuous}"
    return GateVerdict(gate=sentence, passed=passed, detail=detail)


def _passes(gate: BeatsGate | NotWorseGate, difference: Interval) -> bool:
    # An undefined interval is NaN, and every comparison with NaN is false: what was not measured fails.
    if isinstance(gate, BeatsGate):
        return bool(difference.value >= gate.by and difference.low > 0)
    return bool(difference.low > -gate.margin)


def _measured(metric: str, contender: str, groups: GroupValues, baselines: Baselines) -> list[str]:
    """List whose best a gate compares with: one contender, all baselines, or all features alone."""
    if contender == BEST_BASELINE:
        return [finding.of for finding in baselines.findings]
    if contender == BEST_FEATURE:
        return [alone(name) for name in single_values(groups, metric)]
    return [contender]


def _best_of(groups: GroupValues, metric: str, contenders: Sequence[str]) -> str:
    """Name the contender with the highest mean, the first of equal ones."""
    import numpy as np

    means = {name: float(np.nan_to_num(groups.values[FigureKey(metric, name)]).sum()) for name in contenders}
    return max(means, key=lambda name: means[name])


def evaluate_refit(metric: str, groups: GroupValues, noise: NoiseFloor | None = None) -> GateVerdict:
    """Check that the model to publish agrees with the evaluated one.

    It was trained on the test window too, so there it must not be worse beyond noise: the 95 % interval of its mean
    difference to the evaluated model must not lie below 0. If it does, training again went wrong. Both are trained, so
    the interval holds the noise of both where that is measured.
    """
    difference = _difference(groups, metric, REFIT, MODEL)
    sentence = f"{metric} of the refitted model is not below the evaluated one's"
    if difference is None:
        return GateVerdict(gate=sentence, passed=False, detail="the refitted model was not measured in this run")
    if noise is not None:
        difference = noise.widen(difference, metric, models=2)
    detail = f"{_figures(difference)} on cuts the refit was trained on"
    return GateVerdict(gate=sentence, passed=bool(difference.high >= 0), detail=detail)


def _difference(groups: GroupValues, metric: str, ours: str, theirs: str) -> Interval | None:
    from engine.intervals import paired_interval, user_blocks

    our_values, their_values = groups.of(metric, ours), groups.of(metric, theirs)
    if our_values is None or their_values is None:
        return None
    # By users, not by lists, because the lists of a user are alike; with the seed of the evaluation, so that
    # the intervals are those that it shows.
    return paired_interval(our_values, their_values, user_blocks(groups.users, INTERVAL_SEED), INTERVAL_SEED)


def _over_best(groups: GroupValues, metric: str, contenders: Sequence[str]) -> Interval | None:
    """The model's lead over whichever contender is the best; None if one of them was not measured."""
    from engine.intervals import margin_over_best, user_blocks

    ours, theirs = groups.of(metric, MODEL), [groups.of(metric, name) for name in contenders]
    measured = [values for values in theirs if values is not None]
    if ours is None or not measured or len(measured) < len(theirs):
        return None
    # Chosen again in every replicate: the best is the best of these very lists, by some luck.
    return margin_over_best(ours, measured, user_blocks(groups.users, INTERVAL_SEED), INTERVAL_SEED)


def _figures(difference: Interval) -> str:
    return f"difference {difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]"


def evaluate_leakage(leakage: Leakage, pipeline: str, as_of: date) -> GateVerdict:
    """Check that no single feature ranks so well that it must have seen the future.

    Features that the pipeline file acknowledges are shown, and do not count.
    """
    blocking = [power for power in leakage.suspicious if power.acknowledged is None]
    details = [_alone(leakage, power) for power in blocking]
    if blocking:
        names = ", ".join(f'{power.feature}: "why it is legal"' for power in blocking)
        details.append(
            "look in the SQL for rows after the cut, "
            f"run `matinee prove {pipeline} --as-of {as_of}`, or, if it is legal, say why in the pipeline file: "
            f"evaluate: {{acknowledged: {{{names}}}}}"
        )
    details += [
        f"{_alone(leakage, power)}, acknowledged: {power.acknowledged}"
        for power in leakage.suspicious
        if power.acknowledged is not None
    ]
    detail = "; ".join(details) if leakage.suspicious else _strongest(leakage)
    return GateVerdict(gate=NO_LEAKAGE, passed=not blocking, detail=detail)


def _alone(leakage: Leakage, power: FeaturePower) -> str:
    metric, reference = leakage.metric, leakage.reference
    return (
        f"{power.feature} alone has {metric} {power.value:.4f} and AUC {power.auc:.4f} "
        f"[{power.auc_low:.4f}, {power.auc_high:.4f}], where {reference.of} has {metric} "
        f"{reference.value:.4f} and a perfect ranking {leakage.perfect:.4f}"
    )


def _strongest(leakage: Leakage) -> str:
    power, thresholds, baseline = leakage.features[0], leakage.suspicious_from, leakage.reference.of
    if power.groups < thresholds.groups:
        return f"not evaluated: {power.groups} lists hold both a hit and a miss, expected at least {thresholds.groups}"
    if power.closes is None:
        return f"the best baseline ({baseline}) is perfect already, and no feature's AUC is above {thresholds.auc:.2f}"
    return (
        f"the strongest single feature ({power.feature}) closes {100 * power.closes:.0f} % of the gap between the "
        f"best baseline ({baseline}) and a perfect ranking; the alarm starts at {100 * thresholds.closes:.0f} %"
    )


def gate_step(run: Run) -> GateResult:
    """Write every gate's verdict.

    Raises:
        GateFailed: at least one gate failed; names each with what was measured.
    """
    evaluated = run.read(evaluation.STEP, EvaluateResult)
    groups = GroupValues.read(run.file(evaluation.STEP, GROUPS_FILE))
    folder = run.step_dir(evaluation.STEP)
    baselines = Baselines.read(folder / BASELINES_FILE)
    noise = evaluated.noise
    verdicts = [
        _verdict(run, gate, evaluate_gate(gate, groups, baselines, noise), evaluated.champion)
        for gate in run.spec.gates
    ]
    if run.spec.publish.refit:
        # The metric of the first gate is the primary one, here as in the test for leakage.
        verdicts.append(evaluate_refit(run.spec.gates[0].metric, groups, noise))
    verdicts.append(evaluate_leakage(Leakage.read(folder / LEAKAGE_FILE), run.spec.name, run.as_of))
    for verdict in verdicts:
        (say if verdict.passed else warn)(
            "{_state}: {gate}: {detail}",
            _state="passed" if verdict.passed else "failed",
            gate=verdict.gate,
            detail=verdict.detail,
        )
    failed = [verdict for verdict in verdicts if not verdict.passed]
    result = GateResult(
        passed=not failed,
        gates=verdicts,
        version=this_version(run),
        champion=None if evaluated.champion is None else evaluated.champion.version,
    )
    # Before the error: pages show these verdicts, and a backfill takes a day with a failed gate for finished.
    with run.write(GATE_STEP) as target:
        write_list(target.path / VERDICTS_FILE, verdicts)
        target.result = result
    if failed:
        # The day may have been published when it was evaluated earlier, against another champion.
        withdraw_version(run)
        raise GateFailed(
            f"{run.spec.name} {run.as_of}: the model is not published, {len(failed)} of {len(verdicts)} gates failed; "
            "the champion stays:\n" + "\n".join(f"  {verdict}" for verdict in failed)
        )
    return result


def _verdict(
    run: Run, gate: BeatsGate | NotWorseGate, verdict: GateVerdict, champion: ChampionResult | None
) -> GateVerdict:
    """Correct a verdict on the champion: it passes if there is none yet, and fails if it cannot be compared."""
    if champion is None or not against_champion(gate):
        return verdict
    # Or a pipeline could never publish its first version.
    if champion.version is None:
        return verdict.model_copy(update={"passed": True, "detail": f"no {CHAMPION} before {run.as_of}"})
    # What could not be compared is not known to be no worse.
    if champion.problem is not None:
        detail = f"inconclusive: {champion.version} cannot be compared: {champion.problem}"
        return verdict.model_copy(update={"passed": False, "detail": detail})
    detail = f"{verdict.detail} since {champion.since}, new to the champion {champion.version}"
    return verdict.model_copy(update={"detail": detail})
