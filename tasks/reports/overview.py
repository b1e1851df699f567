"""The overview of a pipeline across days: outcomes, a heat map of checks, volumes, rates, metrics.

Made on request from the JSON that each day's latest attempt has left; a day whose checks all hold costs a few small
files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from engine.evaluation import MODEL, select
from tasks.checks.profile_columns import ProfileColumn, shown
from tasks.checks.verdicts import Check, read_checks
from tasks.evaluation import results as evaluation
from tasks.evaluation.results import records_if_valid
from tasks.publishing.results import GATE_STEP, PUBLISH_STEP, GateResult, PublishResult
from tasks.reports.html import figure, link, page
from tasks.reports.run_report import steps_with_checks
from tasks.reports.run_report_data import LINES, line_of, refused, refused_share
from tasks.reports.svg_plots import bars, course
from tasks.store.files import Home
from tasks.store.registry import alias, timeline
from tasks.store.run_files import Attempt, attempts, days, optional

DEFAULT_DAYS = 90
LEVELS = ("ok", "info", "warning", "critical")
"""From good to bad; a day on which a check did not run has none."""
OUTCOMES = {
    "published": ("ok", "published"),
    "refused": ("warning", "not published: a gate failed"),
    "stopped": ("critical", "stopped by a check"),
    "failed": ("critical", "a step failed"),
    "unfinished": ("info", "not finished"),
}


def overview(home: Home, pipeline: str, here: Path, last: int = DEFAULT_DAYS) -> str:
    """Return the overview page of a pipeline.

    Args:
        home: the state.
        pipeline: its name.
        here: file that the page will be: its links lead from there.
        last: how many days to show, up to the latest that has run.
    """
    return page("overview", collect(home, pipeline, here, last))


def collect(home: Home, pipeline: str, here: Path, last: int = DEFAULT_DAYS) -> dict[str, Any]:
    """Gather what the page shows."""
    ran = days(home, pipeline)[-last:]
    axis = [ran[0] + timedelta(days=n) for n in range((ran[-1] - ran[0]).days + 1)] if ran else []
    axis = axis[-last:]
    told = {
        day.isoformat(): summarize_attempt(attempt)
        for day in axis
        if (attempt := chosen(attempts(home, pipeline, day)))
    }
    names = [day.isoformat() for day in axis]
    return {
        "pipeline": pipeline,
        "days": names,
        "links": {day: row["report"] and link(row["report"], here) for day, row in told.items()},
        "outcomes": {day: OUTCOMES[row["outcome"]] for day, row in told.items()},
        "counts": {name: sum(row["outcome"] == name for row in told.values()) for name in OUTCOMES},
        "latest": {"day": names[-1], **told[names[-1]]} if told else None,
        "heat": heat(told),
        "volumes": _volumes(told, names),
        "rates": _rates(told, names),
        "metrics": _metrics(told, names),
    }


def chosen(found: Sequence[Attempt]) -> Attempt | None:
    """Return the attempt that stands for a day: the latest that has come to its report, or else the latest."""
    reported = [attempt for attempt in found if (attempt.step_dir("report") / "result.json").exists()]
    return next(iter([*reported, *found]), None)


def summarize_attempt(attempt: Attempt) -> dict[str, Any]:
    """Return what an attempt has left, in short."""
    checks = {step: _checks_of(attempt, step) for step in steps_with_checks()}
    published = PublishResult.read_if_valid(attempt.step_dir(PUBLISH_STEP) / "result.json")
    report = attempt.step_dir("report") / "report.html"
    rejects = refused(attempt)
    return {
        "attempt": attempt.name,
        "report": report if report.exists() else None,
        "outcome": _outcome(attempt, checks, published),
        "checks": {step: found for step, found in checks.items() if found is not None},
        "landed": (optional(attempt.step_dir("land") / "result.json") or {}).get("rows_of_day") or {},
        "refused": refused_share(rejects) if rejects is not None else None,
        "positive": _positive(attempt),
        "metrics": _model_records(attempt),
        "version": None if published is None else published.version,
        "live": published is not None and published.alias_moved,
    }


def _checks_of(attempt: Attempt, step: str) -> list[Check] | None:
    """Return the checks of a step that failed; None if the step has not judged.

    What is judged and holds is not read where the step's counts say that everything does.
    """
    result = optional(attempt.step_dir(step) / "result.json")
    counts = [result.get(f"failed_{level}") for level in LEVELS[1:]] if result else [None]
    if counts == [0, 0, 0]:
        return []
    verdicts = read_checks(attempt.step_dir(step))
    return None if verdicts is None else [check for check in verdicts if not check.success]


def _outcome(attempt: Attempt, checks: Mapping[str, list[Check] | None], published: PublishResult | None) -> str:
    if published:
        return "published"
    gate = GateResult.read_if_valid(attempt.step_dir(GATE_STEP) / "result.json")
    if gate is not None and not gate.passed:
        return "refused"
    if any(check.failed_critical for failed in checks.values() for check in failed or []):
        return "stopped"
    return "failed" if any((attempt.dir / "errors").glob("*.txt")) else "unfinished"


def _positive(attempt: Attempt) -> float | None:
    """Return the label rate of the last cut."""
    rates = (optional(attempt.step_dir("monitor") / "drift.json") or {}).get("label_rate") or []
    return float(rates[-1]["rate"]) if rates else None


def _model_records(attempt: Attempt) -> dict[str, dict[str, Any]]:
    records = records_if_valid(attempt.step_dir(evaluation.STEP)) or []
    figures = select(records, of=MODEL, is_overall=True)
    return {figure.metric: {"value": figure.value, "low": figure.low, "high": figure.high} for figure in figures}


def heat(told: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the rows of the heat map: one for each line of defence, then one for each check that ever failed.

    Cells are by day: level and words; a day without a cell was not checked.
    """
    lines: dict[str, dict[str, tuple[str, str]]] = {}
    rows: dict[tuple[str, str, str], dict[str, tuple[str, str]]] = {}
    ran: dict[str, set[str]] = {}
    for day, row in told.items():
        for step, failed in row["checks"].items():
            own = line_of(step)
            for line in {own, *(check.line or own for check in failed)}:
                ran.setdefault(line, set()).add(day)
                found = [check for check in failed if (check.line or own) == line]
                _worsen(lines.setdefault(line, {}), day, _summary(found))
            for check in failed:
                key = (check.line or own, check.table, check.column)
                text = f"{check.shown_value}, expected {check.expected}"
                _worsen(rows.setdefault(key, {}), day, (check.severity, text))
    return {"lines": [_row(LINES.get(line, line), lines[line], ran[line]) for line in LINES if line in lines],
            **_rows(rows, ran)}  # fmt: skip


def _rows(rows: Mapping[tuple[str, str, str], Mapping[str, Any]], ran: Mapping[str, set[str]]) -> dict[str, Any]:
    """Return the rows of checks, the worst first; those that were only ever noted apart."""
    found = [
        {"line": line, **_row(f"{table}: {ProfileColumn.parse(column).title}", cells, ran[line])}
        for (line, table, column), cells in rows.items()
    ]
    found.sort(key=lambda row: (-row["worst"], -row["bad"], row["name"]))
    noted = LEVELS.index("info")
    return {
        "checks": [row for row in found if row["worst"] > noted],
        "noted": [row for row in found if row["worst"] == noted],
    }


def _row(name: str, cells: Mapping[str, tuple[str, str]], ran: set[str]) -> dict[str, Any]:
    whole = dict.fromkeys(ran, ("ok", "holds")) | dict(cells)
    return {
        "name": name,
        "cells": whole,
        "worst": max(LEVELS.index(level) for level, _ in whole.values()),
        "bad": sum(level != "ok" for level, _ in whole.values()),
    }


def _worsen(cells: dict[str, tuple[str, str]], day: str, cell: tuple[str, str]) -> None:
    """Keep the worse of two verdicts on a day."""
    if day not in cells or LEVELS.index(cell[0]) > LEVELS.index(cells[day][0]):
        cells[day] = cell


def _summary(failed: Sequence[Check]) -> tuple[str, str]:
    if not failed:
        return "ok", "all hold"
    worst = max((check.severity for check in failed), key=LEVELS.index)
    return worst, ", ".join(
        f"{count} {level}" for level in reversed(LEVELS) if (count := sum(c.severity == level for c in failed))
    )


def _volumes(told: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    tables = sorted({table for row in told.values() for table in row["landed"]})
    return [
        {
            "table": table,
            "plot": bars([(day, told[day]["landed"].get(table) if day in told else None) for day in names]),
        }
        for table in tables
    ]


def _rates(told: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    found = []
    for name, key in (("refused rows", "refused"), ("positive examples at the last cut", "positive")):
        rows = [(day, told[day][key]) for day in names if day in told]
        said = [{"day": day, "value": v, "words": shown(v, rate=True), "live": False} for day, v in rows]
        plot = course(said, names)
        found += [{"name": name, "plot": plot}] if plot else []
    return found


def _metrics(told: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the course of each metric of the judged models, with marks where the version became champion."""
    found = []
    for metric in dict.fromkeys(metric for row in told.values() for metric in row["metrics"]):
        rows = [
            {"day": day, "live": row["live"], **row["metrics"][metric], "words": _measured(row, row["metrics"][metric])}
            for day, row in told.items()
            if metric in row["metrics"]
        ]
        plot = course(rows, names)
        found += [{"metric": metric, "plot": plot}] if plot else []
    return found


def _measured(row: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    low, high = figures["low"], figures["high"]
    words = figure(figures["value"]) + (f" [{figure(low)}, {figure(high)}]" if low is not None else "")
    return ", ".join(filter(None, [words, row["version"], "became champion" if row["live"] else None]))


def index(home: Home, names: Sequence[str]) -> str:
    """Return the page that leads to those of each pipeline."""
    return page("index", {"rows": [_in_short(home, name) for name in names]})


def _in_short(home: Home, pipeline: str) -> dict[str, Any]:
    latest = next(iter(days(home, pipeline)[::-1]), None)
    attempt = chosen(attempts(home, pipeline, latest)) if latest else None
    level, outcome = OUTCOMES[summarize_attempt(attempt)["outcome"]] if attempt else ("info", "not run")
    events = timeline(home, pipeline)
    served = alias(home, pipeline, events[-1].alias) if events else None
    return {
        "pipeline": pipeline,
        "day": latest.isoformat() if latest else None,
        "level": level,
        "outcome": outcome,
        "served": served.version if served else None,
    }
