"""Runs that left faults on disk, written by hand; and a process that sends their alerts.

`python -m tests.alerting <home> <MM-DD> <attempt>` sends the alerts of a run, as the end of a run does.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.alerts.alerts import send_alerts
from tasks.alerts.outbox import Message
from tasks.checks.verdicts import Check
from tasks.publishing.results import GateVerdict
from tasks.runs.outcome import ReportResult
from tasks.runs.run import Run
from tasks.store.files import Home, write_json, write_text
from tasks.store.records import write_list
from tests.tasks.handmade import day, spec_of


def run_of(home: Path, on: str = "03-05", attempt: str = "1", **changes: Any) -> Run:
    return Run(spec_of(**changes), Home(home), day(on), attempt)


def check(column: str, severity: str = "critical", *, success: bool = False, **changes: Any) -> dict[str, Any]:
    """A verdict as a check step leaves it."""
    fields = {
        "suite": "simulated.events",
        "table": "events",
        "day": "2026-03-05",
        "type": "expect_column_values_to_be_between",
        "column": column,
        "severity": severity,
        "success": success,
        "observed": 0.31,
        "expected": "at most 1 %",
        "why": "it matters",
        "next": "ask the source",
    }
    return Check.model_validate(fields | changes).to_json()


def leave(
    run: Run,
    checks: Sequence[Mapping[str, Any]] = (),
    *,
    step: str = "check_landed",
    gates: Sequence[GateVerdict] = (),
    errors: Mapping[str, str] | None = None,
    done: Sequence[str] = (),
) -> Run:
    """Leave what steps leave."""
    if checks:
        write_json(run.step_dir(step) / "checks.json", list(checks))
    if gates:
        write_list(run.step_dir("gate") / "gates.json", gates)
    for name, text in (errors or {}).items():
        write_text(run.dir / "errors" / f"{name}.txt", text)
    for name in done:
        result = ReportResult(report="report/report.html", verdict="published", good=True) if name == "report" else None
        write_json(run.step_dir(name) / "result.json", result.to_json() if result else {})
    return run


def gate(text: str = "ndcg@10 beats popularity by 0.01", *, passed: bool = False) -> GateVerdict:
    detail = "difference +0.0120 [-0.0013, +0.0264] over 96 groups"
    return GateVerdict(gate=text, passed=passed, detail=detail)


def message(rule: str = "r", severity: str = "critical", *, on: str = "2026-03-05", title: str = "title") -> Message:
    return Message(
        pipeline="tiny", day=on, severity=severity, kind="fault", faults={rule: severity}, title=title, body="body"
    )


if __name__ == "__main__":
    send_alerts(run_of(Path(sys.argv[1]), sys.argv[2], sys.argv[3]), finished=True)
