"""Parts of the run report about what moved: features, labels and scores against their reference, and serving."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.reports.svg_plots import paired
from tasks.store.run_files import RunFiles, optional

LEVELS = ("drifted", "shifted", "too_few", "warming_up", "stable")
"""Levels from the worst; one that is not known stands beside `too_few`: it is not good, and no alarm."""
MOVED = LEVELS[:2]
HISTOGRAMS = 12


def drift(run: RunFiles) -> dict[str, Any] | None:
    """Return what `monitor/drift.json` says, the worst first, with histograms of what moved; None if there is none."""
    found = optional(run.step_dir("monitor") / "drift.json")
    if not isinstance(found, Mapping):
        return None
    extra = [{**found[key], "feature": name} for key, name in (("scores", "model score"), ("label", "label"))
             if found.get(key)]  # fmt: skip
    rows = [_row(row) for row in (*extra, *found.get("features", []))]
    rows.sort(key=lambda row: (_rank(row["level"]), -(row["psi"] or 0.0), row["feature"]))
    return {
        "reference": _side(found.get("reference") or {}),
        "current": _side(found.get("current") or {}),
        "problem": found.get("problem"),
        "rows": rows,
        "named": [row for row in rows if row["level"] != "stable"],
        "stable": [row for row in rows if row["level"] == "stable"],
        "moved": [row for row in rows if row["level"] in MOVED],
        "histograms": [row for row in rows if row["level"] in MOVED and row["plot"]][:HISTOGRAMS],
        "filling": sum(row["level"] == "warming_up" for row in rows),
        "too_few": sum(row["level"] == "too_few" for row in rows),
    }


def _side(side: Mapping[str, Any]) -> str:
    """Return in words which examples a side of the comparison is."""
    name = {"train": "the training window", "same_weekday": "the same weekdays before"}.get(str(side.get("kind")))
    name = name or f"the {side.get('part', 'other')} window"
    lists = f", {side['groups']:,} lists" if side.get("groups") else ""
    return f"{name} ({side['from']} to {side['to']}{lists})" if side.get("from") else name


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else LEVELS.index("too_few")


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {name: row.get(name) for name in ("psi", "psi_noise_bound", "ks", "ks_noise_bound")}
    return {
        **numbers,
        "feature": str(row["feature"]),
        "level": str(row["level"]),
        "sentence": row.get("note") if row["level"] == "too_few" else row.get("sentence"),
        "plot": paired(row.get("bins") or []),
    }


def skew(run: RunFiles) -> dict[str, Any] | None:
    """Return what `monitor/skew.json` says of the features that serving logged; None where it logged nothing."""
    found = optional(run.step_dir("monitor") / "skew.json")
    if not isinstance(found, Mapping):
        return None
    rows = list(found.get("features", []))
    return {
        "problem": found.get("problem"),
        "days": found.get("days", []),
        "requests": found.get("requests", 0),
        "bad": [row for row in rows if row.get("different") or row.get("missing")],
        "same": sum(not (row.get("different") or row.get("missing")) for row in rows),
    }
