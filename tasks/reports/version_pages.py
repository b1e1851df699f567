"""The champion timeline and the page of a version: what was live when, why, made from what; read from the registry.

The timeline has no clock: what was live is told in as-of days, from the day after a version's own to that of the next.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.evaluation import Evaluation, EvaluationRecord
from tasks.reports.html import link, page
from tasks.reports.overview import chosen
from tasks.reports.run_report_model import by_metric
from tasks.reports.svg_plots import spans
from tasks.store.files import Home, canonical_json, safe_name
from tasks.store.registry import alias, timeline
from tasks.store.run_files import attempts, optional

SHOWN_METRICS = 3


class Standing(StrEnum):
    """What has become of a published version; the words for it stand in `parts.html.j2`."""

    SERVED = "served"
    SERVED_THOUGH_WITHDRAWN = "served_though_withdrawn"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    WAS_LIVE = "was_live"
    NEVER_LIVE = "never_live"


def champion_page(home: Home, pipeline: str, here: Path) -> str:
    """Return the champion timeline of a pipeline, as the page `here` whose links lead from there."""
    events, current = _told(home, pipeline)
    rows = [_row(home, pipeline, event, here) for event in verdicts(events, current)]
    content = {
        "pipeline": pipeline,
        "current": current,
        "rows": rows[::-1],
        "metrics": _metrics(home, pipeline, rows)[:SHOWN_METRICS],
        "spans": champion_periods(rows),
        "events": len(events),
    }
    return page("champion", content)


def _metrics(home: Home, pipeline: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the metrics of the timeline, in the order of the latest descriptor: its first one leads."""
    latest = (read_descriptor(home, pipeline, rows[-1]["version"]) if rows else None) or {}
    ordered = [record.metric for record in _records(latest)]
    named = [name for row in rows for name in row["metrics"]]
    return list(dict.fromkeys([name for name in ordered if name in named] + named))


def _told(home: Home, pipeline: str) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return the timeline of the alias that was last published under, and what it points at."""
    events = timeline(home, pipeline)
    name = events[-1].alias if events else None
    current = alias(home, pipeline, name) if name else None
    lines = [event.model_dump(mode="json") for event in events if event.alias == name]
    return lines, None if current is None else current.to_json()


def verdicts(events: Sequence[Mapping[str, Any]], current: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """List the last event of each version with what has become of the version, by as-of day.

    Args:
        events: lines of the timeline in the order in which they were written.
        current: what the alias points at.
    """
    last: dict[str, dict[str, Any]] = {}
    live = {event["version"] for event in events if event["live"]}
    for event in events:
        last.pop(event["version"], None)
        last[event["version"]] = dict(event)
    ordered = sorted(last.values(), key=lambda event: str(event["as_of"]))
    champions = {event["as_of"]: event["version"] for event in ordered if not event.get("withdrawn")}
    for event in ordered:
        event["was_live"] = event["version"] in live
        event["successor"] = champions.get(event["as_of"])
        event["standing"] = _standing(event, current)
    return ordered


def _standing(event: Mapping[str, Any], current: Mapping[str, Any] | None) -> Standing:
    if current is not None and event["version"] == current["version"]:
        return Standing.SERVED_THOUGH_WITHDRAWN if event.get("withdrawn") else Standing.SERVED
    if event.get("withdrawn"):
        return Standing.WITHDRAWN
    if event["successor"] != event["version"]:
        return Standing.SUPERSEDED
    return Standing.WAS_LIVE if event["was_live"] else Standing.NEVER_LIVE


def champion_periods(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Draw a block for each version that was champion of its day, to the day of the next one."""
    champions = [row for row in rows if not row.get("withdrawn") and row["standing"] is not Standing.SUPERSEDED]
    if not champions:
        return None
    first = date.fromisoformat(champions[0]["as_of"])
    begins = [(date.fromisoformat(row["as_of"]) - first).days for row in champions]
    ends = [*begins[1:], begins[-1] + 1]
    blocks = [(row["version"], begin, end) for row, begin, end in zip(champions, begins, ends, strict=True)]
    return {**spans(blocks, ends[-1]), "first": champions[0]["as_of"], "last": champions[-1]["as_of"]}


def _row(home: Home, pipeline: str, event: Mapping[str, Any], here: Path) -> dict[str, Any]:
    found = chosen(attempts(home, pipeline, date.fromisoformat(event["as_of"])))
    report = found.step_dir("report") / "report.html" if found else None
    return {
        **event,
        "metrics": event.get("metrics") or {},
        "against": event.get("against_champion") or [],
        "compared": event.get("champion"),
        "report": link(report, here) if report is not None and report.exists() else None,
        "page": f"versions/{event['version']}.html" if read_descriptor(home, pipeline, event["version"]) else None,
    }


def read_descriptor(home: Home, pipeline: str, version: str) -> dict[str, Any] | None:
    """Return the descriptor of a version as it stands on disk; None if there is none that can be read."""
    found = optional(home.registry(pipeline) / "versions" / safe_name(version) / "descriptor.json")
    return found if isinstance(found, dict) else None


def _records(descriptor: Mapping[str, Any]) -> list[EvaluationRecord]:
    """Read the figures of a descriptor; none where they have another shape."""
    try:
        return list(Evaluation.model_validate(descriptor.get("evaluation") or {}).records)
    except ValidationError:
        return []


def version_page(home: Home, pipeline: str, version: str, here: Path) -> str | None:
    """Return the page of a version: made from what, measured how, and what is new in it; None if there is none."""
    descriptor = read_descriptor(home, pipeline, version)
    if descriptor is None:
        return None
    words = verdicts(*_told(home, pipeline))
    own = next((word for word in words if word["version"] == version), None)
    before = [w["version"] for w in words if w["as_of"] < descriptor["as_of"] and not w.get("withdrawn")]
    parent = before[-1] if before else None
    folder = home.registry(pipeline) / "versions" / version
    evaluation = descriptor.get("evaluation") or {}
    content = {
        "pipeline": pipeline,
        "version": version,
        "as_of": descriptor["as_of"],
        "word": own,
        "parent": parent,
        "parent_page": parent is not None and read_descriptor(home, pipeline, parent) is not None,
        "news": news(read_descriptor(home, pipeline, parent) if parent else None, descriptor),
        "lineage": descriptor.get("lineage") or {},
        "spec": canonical_json((descriptor.get("lineage") or {}).get("spec") or {}),
        "metrics": by_metric(_records(descriptor)),
        "evaluation": evaluation,
        "artifacts": descriptor.get("artifacts") or {},
        "tree": branches(descriptor.get("ranker") or {}, descriptor.get("rankers") or {}),
        "descriptor": link(folder / "descriptor.json", here),
    }
    return page("version", content)


def news(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what differs in the lineage of two versions, and the changed lines of the pipeline file."""
    if before is None:
        return None
    old, new = (descriptor.get("lineage") or {} for descriptor in (before, now))
    libraries = [old.get("libraries") or {}, new.get("libraries") or {}]
    names = sorted(name for name in libraries[0] | libraries[1] if libraries[0].get(name) != libraries[1].get(name))
    was, now_is = (canonical_json(lineage.get("spec") or {}).splitlines() for lineage in (old, new))
    lines = [line for line in difflib.unified_diff(was, now_is, lineterm="", n=1) if line[:3] not in ("---", "+++")]
    changed = [name for name in ("data", "code", "spec") if old.get(name) != new.get(name)]
    return {"changed": changed + (["libraries"] if names else []), "libraries": names, "lines": lines}


def branches(ranker: Mapping[str, Any], rankers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the tree of a descriptor as nested nodes: words and what is below."""
    found = [_branch("ranker", ranker)]
    return [*found, *(_branch(f"ranker {name}", node) for name, node in rankers.items())]


def _branch(name: str, node: Any) -> dict[str, Any]:
    if isinstance(node, Mapping):
        plain = {key: value for key, value in node.items() if not isinstance(value, Mapping | list)}
        below = [_branch(str(key), value) for key, value in node.items() if isinstance(value, Mapping | list) and value]
        kind = plain.pop("type", "")
        rest = ", ".join(f"{key} {value}" for key, value in plain.items())
        return {"name": name, "kind": kind, "words": rest, "below": below}
    if isinstance(node, list):
        below = [_branch(str(n), value) for n, value in enumerate(node, 1)]
        return {"name": name, "kind": "", "words": f"{len(node)}", "below": below}
    return {"name": name, "kind": "", "words": str(node), "below": []}
