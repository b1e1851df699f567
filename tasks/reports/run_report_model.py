"""Parts of the run report about the model: metrics, each feature alone, what the models use, what it was made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tasks.reports.svg_plots import intervals, powers
from tasks.store.files import canonical_json
from tasks.store.run_files import RunFiles, optional

if TYPE_CHECKING:
    from tasks.runs.run import Run

TOP_FEATURES = 20


def metrics(run: RunFiles) -> list[dict[str, Any]] | None:
    """Return the metrics that were measured; None if none were."""
    records = optional(run.step_dir("evaluate") / "records.json")
    return None if records is None else by_metric(records)


def by_metric(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return, for each metric, everybody's records as an interval plot, and the records of populations and slices."""
    found = []
    for name in dict.fromkeys(record["metric"] for record in records):
        own = [record for record in records if record["metric"] == name]
        overall = [r for r in own if r["population"] == "*" and r["slice"] is None]
        overall.sort(key=lambda r: r["of"] != "model")
        found.append(
            {
                "metric": name,
                "definition": own[0].get("definition", ""),
                "overall": overall,
                "plot": intervals(overall),
                "parts": _pivot(record for record in own if record not in overall),
            }
        )
    return found


def _pivot(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Turn records into a row for each population and slice, with the value of everybody who was measured."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for record in records:
        piece = record["slice"]
        name = ", ".join(f"{k} {v}" for k, v in piece.items()) if isinstance(piece, dict) else str(piece or "all")
        row = rows.setdefault((str(record["population"]), name), {"groups": record["groups"], "of": {}})
        row["of"][record["of"]] = record["value"]
    return [{"population": population, "slice": name, **row} for (population, name), row in rows.items()]


def alone(run: RunFiles) -> dict[str, Any] | None:
    """Return the power of each feature alone beside the best baseline, the model and a perfect order."""
    found, records = (optional(run.step_dir("evaluate") / name) for name in ("suspicion.json", "records.json"))
    if found is None or records is None:
        return None
    whole = (found["metric"], "model", "*", None)
    model = next((r["value"] for r in records if (r["metric"], r["of"], r["population"], r["slice"]) == whole), None)
    marks = {"baseline": found["reference"]["value"], "model": model}
    count = max(TOP_FEATURES // 2, sum(row["suspicious"] for row in found["features"]))
    return {**found, "model": model, **powers(found["features"], marks, found["perfect"] or 1.0), "shown": count}


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
    published = optional(run.step_dir("publish") / "result.json") or {}
    gate = optional(run.step_dir("gate") / "result.json") or {}
    if land is None and tried is None and not published:
        return None
    path = published.get("path")
    descriptor = (optional(run.home.root / path / "descriptor.json") if path else None) or {}
    made_from = descriptor.get("lineage") or {}
    landing = land or {}
    return {
        "version": published.get("version"),
        "would_be": gate.get("version"),
        "champion": gate.get("champion"),
        "descriptor": f"{path}/descriptor.json" if descriptor else None,
        "artifacts": descriptor.get("artifacts", {}),
        "data": made_from.get("data") or (tried or {}).get("data"),
        "code": made_from.get("code"),
        "libraries": made_from.get("libraries", {}),
        "spec": canonical_json(made_from["spec"]) if "spec" in made_from else None,
        "landed": {name: landing.get(name) for name in ("start", "end", "rows")} if landing.get("rows") else None,
    }
