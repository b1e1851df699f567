"""The tiles at the top of a run report: the run in a few figures, each of which leads to its section."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.evaluation import CHAMPION, MODEL, MODEL_WITHOUT_RERANK
from tasks.checks.verdicts import SEVERITIES
from tasks.reports.run_report_data import DefenseLine, RejectedRow, rejected_share
from tasks.reports.run_report_drift import DriftSection
from tasks.reports.run_report_landed import LandedTable
from tasks.reports.run_report_model import GateRow, MetricPanel


@dataclass(frozen=True)
class Tile:
    """One figure.

    Attributes:
        section: anchor of the section that it leads to.
        name: what it counts.
        value: the figure.
        note: what it is compared with.
        level: how it is colored.
    """

    section: str
    name: str
    value: str
    note: str
    level: Literal["good", "bad", "warn", ""] = ""


def landed_tile(tables: Sequence[LandedTable]) -> Tile | None:
    """Rows of the day, relative to the days before."""
    # A table with a torn manifest says so in its section, and one without days has no rows of the day.
    known = [table for table in tables if table.problem is None and table.once is None]
    rows = sum(table.latest or 0 for table in known)
    usual = sum(table.usual or 0 for table in known)
    note = f"{rows / usual:.2f} × the days before" if usual else "rows of the day"
    # Nothing landed is bad; how much is usual is a matter of the checks, not of the tile.
    return Tile("landed", "landed", f"{rows:,}", note, "" if rows else "bad") if known else None


def checks_tile(lines: Sequence[DefenseLine]) -> Tile | None:
    """Checks that passed, and the failed ones by severity."""
    if not lines:
        return None
    counts = [count for line in lines for count in line.counts]
    failed = {severity: sum(c.failed for c in counts if c.severity == severity) for severity in SEVERITIES}
    total = sum(count.total for count in counts)
    unmeasured = sum(count.unmeasured for count in counts)
    notes = [f"{count} {severity}" for severity, count in failed.items() if count]
    notes += [f"{unmeasured} not measured"] if unmeasured else []
    level: Literal["good", "bad", "warn"] = "bad" if failed["critical"] else "warn" if failed["warning"] else "good"
    passed = sum(count.passed for count in counts)
    return Tile("checks", "checks", f"{passed} of {total}", ", ".join(notes) or "all passed", level)


def rejected_tile(rows: Sequence[RejectedRow] | None) -> Tile | None:
    """Share of the day's rows that were rejected."""
    share = rejected_share([row.count for row in rows]) if rows is not None else None
    return Tile("rejected", "rejected rows", f"{100 * share:.2g} %", "of the day") if share is not None else None


def drift_tile(drift: DriftSection | None) -> Tile | None:
    """How many features, labels and scores shifted beyond chance."""
    if drift is None or not drift.rows:
        return None
    shifted, warming_up = len(drift.shifted), drift.count("warming_up")
    note = f"of {len(drift.rows)} shifted" + (f", {warming_up} warming up" if warming_up else "")
    return Tile("drift", "drift", str(shifted), note, "warn" if shifted else "good")


def metric_tile(panels: Sequence[MetricPanel] | None) -> Tile | None:
    """The model on the first metric, and its lead over the best baseline or feature alone."""
    model = panels[0].value_of(MODEL) if panels else None
    if model is None or not panels:
        return None
    baselines = {
        record.of: record.value
        for record in panels[0].contenders
        if record.value is not None and record.of not in (MODEL, MODEL_WITHOUT_RERANK, CHAMPION)
    }
    baselines |= {f"{r.feature} alone": r.value for r in panels[0].features[:1] if r.value is not None}
    best = max(baselines, key=lambda name: baselines[name], default=None)
    note = f"{model - baselines[best]:+.4f} over {best}" if best else ""
    return Tile("metrics", panels[0].metric, f"{model:.4f}", note)


def gates_tile(rows: Sequence[GateRow] | None) -> Tile | None:
    """Gates that passed, those apart that had nothing to compare."""
    if not rows:
        return None
    states = [row.state for row in rows]
    passed, open_ = states.count("passed"), states.count("not evaluated")
    note = f"passed, {open_} not evaluated" if open_ else "passed"
    level: Literal["good", "bad", ""] = "bad" if "failed" in states else "" if open_ else "good"
    return Tile("gates", "gates", f"{passed} of {len(rows)}", note, level)
