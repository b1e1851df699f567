"""Decide whether the judged model may be published; differences are paired and carry their noise."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from tasks.errors import GateFailed
from tasks.evaluation.champion import against_champion
from tasks.evaluation.evaluate import INTERVAL_SEED, MODEL, REFIT
from tasks.publishing.publish import this_version, withdraw_version
from tasks.spec.parts import BeatsGate, NotWorseGate
from tasks.store.files import read_json, write_json

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.runs.run import Run


def evaluate_gate(gate: BeatsGate | NotWorseGate, groups: pa.Table) -> dict[str, Any]:
    """Return a gate's verdict.

    `beats`: the mean difference is at least `by` and its 95 % interval lies above 0. `not_worse_than`: the interval
    lies above `-margin`. A rival that was not measured, or too few users for an interval: the gate does not hold.
    """
    import numpy as np

    from engine.intervals import paired_interval, user_blocks

    rival = gate.beats if isinstance(gate, BeatsGate) else gate.not_worse_than
    if isinstance(gate, BeatsGate):
        text = f"{gate.metric} beats {rival} by {gate.by:g}"
    else:
        text = f"{gate.metric} not worse than {rival} by more than {gate.margin:g}"
    columns = [f"{gate.metric} of {name}" for name in (MODEL, rival)]
    if not set(columns) <= set(groups.column_names):
        return {"gate": text, "passed": False, "detail": f"{rival} was not measured in this run"}
    ours, theirs = (groups[name].to_numpy() for name in columns)
    blocks = user_blocks(groups["user_id"].to_pylist(), INTERVAL_SEED)
    span = paired_interval(np.asarray(ours), np.asarray(theirs), blocks, INTERVAL_SEED)
    passed = span.value >= gate.by and span.low > 0 if isinstance(gate, BeatsGate) else span.low > -gate.margin
    detail = f"difference {span.value:+.4f} [{span.low:+.4f}, {span.high:+.4f}] over {span.groups} groups"
    return {"gate": text, "passed": bool(passed), "detail": detail}


def judge_refit(metric: str, groups: pa.Table) -> dict[str, Any]:
    """Return whether the model to publish agrees with the judged one.

    It has learnt from the test window too, so there it must not be worse beyond noise: the 95 % interval of its mean
    difference to the judged model must not lie below 0. If it does, training again went wrong.
    """
    import numpy as np

    from engine.intervals import paired_interval, user_blocks

    refit, judged = (np.asarray(groups[f"{metric} of {name}"].to_numpy()) for name in (REFIT, MODEL))
    blocks = user_blocks(groups["user_id"].to_pylist(), INTERVAL_SEED)
    span = paired_interval(refit, judged, blocks, INTERVAL_SEED)
    return {
        "gate": f"{metric} of the refitted model is not below the judged one's",
        "passed": bool(span.high >= 0),  # not where it is undefined
        "detail": f"difference {span.value:+.4f} [{span.low:+.4f}, {span.high:+.4f}] on cuts the refit has learnt from",
    }


def judge_features(found: Mapping[str, Any], pipeline: str, as_of: date) -> dict[str, Any]:
    """Return whether no feature alone is too good to be true, given what `suspicion.json` holds.

    Features that the pipeline file acknowledges are shown, and do not count.
    """
    suspicious = [row for row in found["features"] if row["suspicious"]]
    blocking = [row for row in suspicious if row["acknowledged"] is None]
    parts = [_alone(found, row) for row in blocking]
    if blocking:
        names = ", ".join(f'{row["feature"]}: "why it is legal"' for row in blocking)
        parts.append(
            "look in the SQL for rows after the cut, "
            f"run `matinee prove {pipeline} --as-of {as_of}`, or, if it is legal, say why in the pipeline file: "
            f"evaluate: {{acknowledged: {{{names}}}}}"
        )
    parts += [f"{_alone(found, row)}, acknowledged: {row['acknowledged']}" for row in suspicious if row not in blocking]
    detail = "; ".join(parts) if suspicious else _nothing_suspicious(found)
    return {"gate": "no feature is too good to be true", "passed": not blocking, "detail": detail}


def _alone(found: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    against = found["reference"]
    return (
        f"{row['feature']} alone has {found['metric']} {row['value']:.4f} and AUC {row['auc']:.4f} "
        f"[{row['auc_low']:.4f}, {row['auc_high']:.4f}], where {against['of']} has {found['metric']} "
        f"{against['value']:.4f} and a perfect order {found['perfect']:.4f}"
    )


def _nothing_suspicious(found: Mapping[str, Any]) -> str:
    best, least = found["features"][0], found["suspicious_from"]
    if best["groups"] < least["groups"]:
        return f"not judged: {best['groups']} lists hold both a hit and a miss, expected at least {least['groups']}"
    if best["closes"] is None:
        return f"{found['reference']['of']} is perfect already, and no feature's AUC is above {least['auc']:.2f}"
    return (
        f"the strongest alone, {best['feature']}, closes {100 * best['closes']:.0f} % of the gap between "
        f"{found['reference']['of']} and a perfect order; suspicious from {100 * least['closes']:.0f} % on"
    )


def gate_step(run: Run) -> dict[str, Any]:
    """Write every gate's verdict.

    Raises:
        GateFailed: at least one gate does not hold; names each with what was measured.
    """
    import pyarrow.parquet as pq

    judged = run.result("evaluate")
    groups = pq.read_table(run.step_dir("evaluate") / "groups.parquet")
    verdicts = [_judge_against(run, gate, groups) for gate in run.spec.gates]
    if run.spec.publish.refit:
        verdicts.append(judge_refit(run.spec.gates[0].metric, groups))
    found = read_json(run.step_dir("evaluate") / "suspicion.json")
    verdicts.append(judge_features(found, run.spec.name, run.as_of))
    result = {
        "passed": all(verdict["passed"] for verdict in verdicts),
        "gates": verdicts,
        "version": this_version(run),
        **({"champion": judged["champion"]["version"]} if "champion" in judged else {}),
    }
    with run.step("gate", result) as folder:
        write_json(folder / "gates.json", verdicts)
    failed = [f"  {v['gate']}: {v['detail']}" for v in verdicts if not v["passed"]]
    if failed:
        withdraw_version(run)
        raise GateFailed(
            f"{run.spec.name} {run.as_of}: the model is not published, {len(failed)} of {len(verdicts)} gates do not "
            "hold; the champion stays:\n" + "\n".join(failed)
        )
    return result


def _judge_against(run: Run, gate: BeatsGate | NotWorseGate, groups: pa.Table) -> dict[str, Any]:
    """Judge a gate; one against the champion holds if there is none yet, and not if it cannot be compared."""
    verdict = evaluate_gate(gate, groups)
    if not against_champion(gate):
        return verdict
    champion = run.result("evaluate")["champion"]
    if champion["version"] is None:
        return verdict | {"passed": True, "detail": f"no champion before {run.as_of}"}
    if champion["problem"] is not None:
        detail = f"inconclusive: {champion['version']} cannot be compared: {champion['problem']}"
        return verdict | {"passed": False, "detail": detail}
    detail = f"{verdict['detail']} since {champion['since']}, new to the champion {champion['version']}"
    return verdict | {"detail": detail}
