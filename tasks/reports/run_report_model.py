"""Parts of the run report about the model: metrics, each feature alone, what the models use, what it was made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from engine.evaluation import MODEL, EvaluationRecord, overall, select
from tasks.evaluation import results as evaluation
from tasks.evaluation.leakage import LEAKAGE_FILE, Leakage
from tasks.evaluation.results import records_if_valid
from tasks.publishing.results import GATE_STEP, PUBLISH_STEP, GateResult, PublishResult
from tasks.reports.svg_plots import intervals, powers
from tasks.store.files import canonical_json
from tasks.store.run_files import RunFiles, optional

if TYPE_CHECKING:
    from tasks.runs.run import Run

TOP_FEATURES = 20


def metrics(run: RunFiles) -> list[dict[str, Any]] | None:
    """Read the metrics that were measured; None if none were."""
    records = records_if_valid(run.step_dir(evaluation.STEP))
    return None if records is None else by_metric(records)


def by_metric(records: Sequence[EvaluationRecord]) -> list[dict[str, Any]]:
    """Arrange the records of each metric: contenders as an interval plot, then populations and slices as rows."""
    metrics = []
    for name in dict.fromkeys(record.metric for record in records):
        contenders = sorted(select(records, metric=name, is_overall=True), key=lambda record: record.of != MODEL)
        metrics.append(
            {
                "metric": name,
                "definition": select(records, metric=name)[0].definition,
                "overall": contenders,
                "plot": intervals(contenders),
                "parts": _pivot(select(records, metric=name, is_overall=False)),
            }
        )
    return metrics


def _pivot(records: Iterable[EvaluationRecord]) -> list[dict[str, Any]]:
    """Turn records into a row for each population and slice, with the value of every contender."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for record in records:
        piece = record.slice
        name = ", ".join(f"{k} {v}" for k, v in piece.items()) if isinstance(piece, dict) else piece or "all"
        row = rows.setdefault((record.population, name), {"groups": record.groups, "of": {}})
        row["of"][record.of] = record.value
    return [{"population": population, "slice": name, **row} for (population, name), row in rows.items()]


def alone(run: RunFiles) -> dict[str, Any] | None:
    """Show the power of each feature alone beside the best baseline, the model and a perfect ranking."""
    folder = run.step_dir(evaluation.STEP)
    leakage, records = Leakage.read_if_valid(folder / LEAKAGE_FILE), records_if_valid(folder)
    if leakage is None or records is None:
        return None
    record = overall(records, leakage.metric, MODEL)
    model = None if record is None else record.value
    plot = powers(leakage.features, {"baseline": leakage.reference.value, "model": model}, leakage.perfect or 1.0)
    shown = max(TOP_FEATURES // 2, len(leakage.suspicious))
    return {**leakage.to_json(), "model": model, **plot, "shown": shown}


def models(run: RunFiles) -> list[dict[str, Any]]:
    """Return each population's model: what it learned from, its settings, its features by gain."""
    found = []
    for path in sorted(run.step_dir("train").glob("*/result.json")):
        result = optional(path) or {}
        gains = sorted(result.get("importance", {}).items(), key=lambda pair: (-pair[1], pair[0]))
        total = sum(gain for _, gain in gains) or 1.0
        greatest = max((gain for _, gain in gains), default=0.0) or 1.0
        found.append(
            {
                "population": result.get("population", path.parent.name),
                "examples": result.get("examples"),
                "groups": result.get("groups"),
                "settings": result.get("settings") or {},
                "importance": [(name, gain / total, gain / greatest) for name, gain in gains[:TOP_FEATURES]],
                "unused": [name for name, gain in gains if gain == 0],
            }
        )
    return found


def lineage(run: Run) -> dict[str, Any] | None:
    """Return what the run was made from: its landing, and, once it has published, what the descriptor says."""
    land, tried = (optional(run.step_dir(step) / "result.json") for step in ("land", "retrieve"))
    published = PublishResult.read_if_valid(run.step_dir(PUBLISH_STEP) / "result.json")
    gate = GateResult.read_if_valid(run.step_dir(GATE_STEP) / "result.json")
    if land is None and tried is None and published is None:
        return None
    path = None if published is None else published.path
    descriptor = (optional(run.home.root / path / "descriptor.json") if path else None) or {}
    made_from = descriptor.get("lineage") or {}
    landing = land or {}
    return {
        "version": None if published is None else published.version,
        "would_be": None if gate is None else gate.version,
        "champion": None if gate is None else gate.champion,
        "descriptor": f"{path}/descriptor.json" if descriptor else None,
        "artifacts": descriptor.get("artifacts", {}),
        "data": made_from.get("data") or (tried or {}).get("data"),
        "code": made_from.get("code"),
        "libraries": made_from.get("libraries", {}),
        "spec": canonical_json(made_from["spec"]) if "spec" in made_from else None,
        "landed": {name: landing.get(name) for name in ("start", "end", "rows")} if landing.get("rows") else None,
    }
