"""The champion timeline and the page of a version: what was live when, why, made from what; read from the registry.

The timeline has no clock: a version is champion from the day after its own as-of day to that of the next champion.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.evaluation import Evaluation, EvaluationRecord
from tasks.reports.descriptor_tree import Branch, branches
from tasks.reports.html import link, page
from tasks.reports.overview_days import latest_reported
from tasks.reports.run_report_model import MetricPanel, by_metric
from tasks.reports.svg_plots import Spans, plot_spans
from tasks.store.files import Home, canonical_json, safe_name
from tasks.store.registry import Alias, alias
from tasks.store.run_files import attempts, optional
from tasks.store.timeline import TimelineEvent, timeline

MOST_METRICS = 3


class Standing(StrEnum):
    """What has become of a published version; the words for it stand in `parts.html.j2`."""

    SERVED = "served"
    SERVED_THOUGH_WITHDRAWN = "served_though_withdrawn"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    WAS_LIVE = "was_live"
    NEVER_LIVE = "never_live"


@dataclass(frozen=True)
class VersionStanding:
    """The last event of a version in the timeline, and what has become of the version.

    Attributes:
        event: the line of the timeline.
        standing: what has become of it.
        successor: the version that is champion of the same day instead, if it is superseded.
    """

    event: TimelineEvent
    standing: Standing
    successor: str | None


@dataclass(frozen=True)
class TimelineRow:
    """A version on the timeline, with links to its page and to the report of its day."""

    entry: VersionStanding
    page: str | None
    report: str | None


@dataclass(frozen=True)
class ChampionTimeline:
    """Everything that the page of the champions shows; `rows` begin with the latest day."""

    pipeline: str
    current: Alias | None
    rows: tuple[TimelineRow, ...]
    metrics: tuple[str, ...]
    periods: Spans | None
    events: int


@dataclass(frozen=True)
class LineageChange:
    """What differs in the lineage of two versions: its parts, libraries, and lines of the pipeline file."""

    parts: tuple[str, ...]
    libraries: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True)
class VersionPage:
    """Everything that the page of a version shows.

    Attributes:
        pipeline: its name.
        version: name of the version.
        as_of: its as-of day.
        entry: its standing; None if the timeline does not name it.
        parent: the champion before it.
        parent_page: whether that has a page.
        change: what is new since the parent.
        lineage: what it was made from.
        spec: the pipeline file as canonical JSON.
        metrics: how it was measured.
        evaluation: what else the descriptor says of the evaluation.
        artifacts: size and digest by name.
        tree: the ranker.
        descriptor: link to the descriptor.
    """

    pipeline: str
    version: str
    as_of: str
    entry: VersionStanding | None
    parent: str | None
    parent_page: bool
    change: LineageChange | None
    lineage: Mapping[str, Any]
    spec: str
    metrics: tuple[MetricPanel, ...]
    evaluation: Mapping[str, Any]
    artifacts: Mapping[str, Any]
    tree: tuple[Branch, ...]
    descriptor: str


def champion_page(home: Home, pipeline: str, here: Path) -> str:
    """Render the champion timeline of a pipeline, as the page `here` whose links lead from there."""
    events, current = _events(home, pipeline)
    entries = standings(events, current)
    content = ChampionTimeline(
        pipeline=pipeline,
        current=current,
        rows=tuple(_timeline_row(home, pipeline, entry, here) for entry in reversed(entries)),
        metrics=tuple(_metrics(home, pipeline, entries)[:MOST_METRICS]),
        periods=champion_periods(entries),
        events=len(events),
    )
    return page("champion", {"timeline": content})


def _metrics(home: Home, pipeline: str, entries: Sequence[VersionStanding]) -> list[str]:
    """The metrics of the timeline, in the order of the latest descriptor: the primary metric leads."""
    latest = (read_descriptor(home, pipeline, entries[-1].event.version) if entries else None) or {}
    ordered = [record.metric for record in _records(latest)]
    named = [name for entry in entries for name in entry.event.metrics]
    # Then those that only earlier versions were measured by.
    return list(dict.fromkeys([name for name in ordered if name in named] + named))


def _events(home: Home, pipeline: str) -> tuple[list[TimelineEvent], Alias | None]:
    """The timeline of the alias that was last published under, and what that points at."""
    events = timeline(home, pipeline)
    name = events[-1].alias if events else None
    return [event for event in events if event.alias == name], alias(home, pipeline, name) if name else None


def standings(events: Sequence[TimelineEvent], current: Alias | None) -> list[VersionStanding]:
    """Find what has become of each version, in order of as-of days.

    Args:
        events: lines of the timeline in the order in which they were written.
        current: what the alias points at.
    """
    last: dict[str, TimelineEvent] = {}
    for event in events:
        last.pop(event.version, None)  # or the version would keep its first place in the dict
        last[event.version] = event
    ordered = sorted(last.values(), key=lambda event: event.as_of)
    # Of versions of one day the one published last counts: it comes last, because sorted() is stable.
    champions = {event.as_of: event.version for event in ordered if not event.withdrawn}
    live = {event.version for event in events if event.live}
    served = None if current is None else current.version
    return [
        VersionStanding(
            event=event,
            standing=_standing(event, champions.get(event.as_of), served, was_live=event.version in live),
            successor=champions.get(event.as_of),
        )
        for event in ordered
    ]


def _standing(event: TimelineEvent, champion: str | None, served: str | None, *, was_live: bool) -> Standing:
    # First, because the alias never moves backwards: a version that was withdrawn can still be served.
    if event.version == served:
        return Standing.SERVED_THOUGH_WITHDRAWN if event.withdrawn else Standing.SERVED
    if event.withdrawn:
        return Standing.WITHDRAWN
    if event.version != champion:
        return Standing.SUPERSEDED
    return Standing.WAS_LIVE if was_live else Standing.NEVER_LIVE


def champion_periods(entries: Sequence[VersionStanding]) -> Spans | None:
    """Draw a block for each version that was champion of its day, up to the day of the next one."""
    champions = [
        entry.event for entry in entries if not entry.event.withdrawn and entry.standing is not Standing.SUPERSEDED
    ]
    if not champions:
        return None
    begins = [(event.as_of - champions[0].as_of).days for event in champions]
    ends = [*begins[1:], begins[-1] + 1]  # the last one's end is open: it is drawn one day long
    blocks = [(event.version, begin, end) for event, begin, end in zip(champions, begins, ends, strict=True)]
    return plot_spans(blocks, ends[-1], first=str(champions[0].as_of), last=str(champions[-1].as_of))


def _timeline_row(home: Home, pipeline: str, entry: VersionStanding, here: Path) -> TimelineRow:
    event = entry.event
    attempt = latest_reported(attempts(home, pipeline, event.as_of))
    report = attempt.step_dir("report") / "report.html" if attempt else None
    return TimelineRow(
        entry=entry,
        page=f"versions/{event.version}.html" if read_descriptor(home, pipeline, event.version) else None,
        report=link(report, here) if report is not None and report.exists() else None,
    )


def read_descriptor(home: Home, pipeline: str, version: str) -> dict[str, Any] | None:
    """Read the descriptor of a version as plain JSON; None if there is none that can be read.

    It is not parsed: the pages also show versions whose nodes this engine does not know.
    """
    # A version can come from an address, and must not lead out of the folder.
    descriptor = optional(home.registry(pipeline) / "versions" / safe_name(version) / "descriptor.json")
    return descriptor if isinstance(descriptor, dict) else None


def _records(descriptor: Mapping[str, Any]) -> list[EvaluationRecord]:
    """The figures of a descriptor; none where they have another shape."""
    try:
        return list(Evaluation.model_validate(descriptor.get("evaluation") or {}).records)
    except ValidationError:
        return []


def version_page(home: Home, pipeline: str, version: str, here: Path) -> str | None:
    """Render the page of a version: made from what, measured how, and what is new in it; None if there is none."""
    descriptor = read_descriptor(home, pipeline, version)
    if descriptor is None:
        return None
    entries, as_of = standings(*_events(home, pipeline)), str(descriptor.get("as_of"))
    events = [entry.event for entry in entries]
    # Compared as text: ISO days sort by time, and the descriptor is not parsed.
    before = [event.version for event in events if str(event.as_of) < as_of and not event.withdrawn]
    parent = read_descriptor(home, pipeline, before[-1]) if before else None
    lineage = descriptor.get("lineage") or {}
    content = VersionPage(
        pipeline=pipeline,
        version=version,
        as_of=as_of,
        entry=next((entry for entry in entries if entry.event.version == version), None),
        parent=before[-1] if before else None,
        parent_page=parent is not None,
        change=lineage_change(parent, descriptor),
        lineage=lineage,
        spec=canonical_json(lineage.get("spec") or {}),
        metrics=by_metric(_records(descriptor)),
        evaluation=descriptor.get("evaluation") or {},
        artifacts=descriptor.get("artifacts") or {},
        tree=tuple(branches(descriptor.get("ranker") or {}, descriptor.get("rankers") or {})),
        descriptor=link(home.registry(pipeline) / "versions" / version / "descriptor.json", here),
    )
    return page("version", {"version": content})


def lineage_change(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> LineageChange | None:
    """Compare the lineage of two descriptors; None without an earlier one."""
    if before is None:
        return None
    old, new = (descriptor.get("lineage") or {} for descriptor in (before, after))
    old_libraries, new_libraries = old.get("libraries") or {}, new.get("libraries") or {}
    libraries = sorted(
        name for name in old_libraries | new_libraries if old_libraries.get(name) != new_libraries.get(name)
    )
    old_spec, new_spec = (canonical_json(lineage.get("spec") or {}).splitlines() for lineage in (old, new))
    diff = difflib.unified_diff(old_spec, new_spec, lineterm="", n=1)
    parts = [name for name in ("data", "code", "spec") if old.get(name) != new.get(name)]
    return LineageChange(
        parts=(*parts, *(["libraries"] if libraries else [])),
        libraries=tuple(libraries),
        lines=tuple(line for line in diff if line[:3] not in ("---", "+++")),  # the names of the two files
    )
