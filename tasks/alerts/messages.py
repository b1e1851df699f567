"""What a message says: what broke, how badly, since when, what it stopped, what is served, where to look, what to do.

Plain text only, and of what comes from data nothing that a chat would take for a command.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from tasks.alerts.faults import Fault, since
from tasks.alerts.outbox import Message
from tasks.runs.steps import BY_NAME, stopped_by
from tasks.store import run_files
from tasks.store.registry import alias

if TYPE_CHECKING:
    from tasks.runs.run import Run

LONGEST_TITLE, LONGEST_PART, LONGEST_BODY = 120, 600, 1800
"""Characters; Discord takes 2,000."""
OLD = timedelta(days=7)
"""A day this far behind the newest one that was run is history: its faults are told as info."""


def fault_message(run: Run, fault: Fault, run_id: str | None) -> Message:
    """Return the message of one fault."""
    return Message(
        pipeline=run.spec.name,
        day=run.as_of.isoformat(),
        severity=routed(run, fault.severity),
        kind="fault",
        faults={fault.rule: fault.severity},
        title=_title(run.spec.name, run.as_of, fault.severity, fault.brief),
        body=body(
            {
                "": fault.said,
                "Why it matters": fault.why,
                "Since": _since(run, fault),
                "Stopped": ", ".join(stopped(run, fault, in_airflow=run_id is not None)) or "nothing",
                **_around(run, run_id, fault.step),
                "Next": fault.next,
                "Runbook": fault.runbook and f"docs/runbooks/{fault.runbook}",
            }
        ),
    )


def more_message(run: Run, faults: Sequence[Fault], run_id: str | None) -> Message:
    """Return the one message of the faults that are too many for a message each."""
    severity = faults[0].severity  # the worst comes first
    lines = [f"- {fault.severity}: {clean(fault.brief, 100)}" for fault in faults]
    return Message(
        pipeline=run.spec.name,
        day=run.as_of.isoformat(),
        severity=routed(run, severity),
        kind="more",
        faults={fault.rule: fault.severity for fault in faults},
        title=_title(run.spec.name, run.as_of, severity, f"{len(faults)} more faults of this day"),
        body=body({"": "Each rule is told once. These were too many for a message each:", **_around(run, run_id, None)})
        + "\n"
        + cut("\n".join(lines), LONGEST_BODY - 500),
    )


def resolved_message(run: Run, rules: Mapping[str, str], severity: str, run_id: str | None) -> Message:
    """Return the message that rules hold again.

    Args:
        run: the run in which they hold.
        rules: the severity with which each was told.
        severity: by which sinks choose.
        run_id: Airflow's, if it runs there.
    """
    some = next(iter(rules)) if len(rules) == 1 else f"{len(rules)} rules hold again"
    return Message(
        pipeline=run.spec.name,
        day=run.as_of.isoformat(),
        severity=severity,
        kind="resolved",
        faults=dict(rules),
        title=_title(run.spec.name, run.as_of, "resolved", some),
        body=body({"": f"Holds again on {run.as_of}:", **_around(run, run_id, None)})
        + "\n"
        + cut("\n".join(f"- {clean(rule, 150)}" for rule in rules), LONGEST_BODY - 500),
    )


def routed(run: Run, severity: str) -> str:
    """Return the severity by which sinks choose: days far behind the newest one are history."""
    newest = max([*run_files.days(run.home, run.spec.name), run.as_of])
    return "info" if newest - run.as_of > OLD else severity


def body(parts: Mapping[str, str]) -> str:
    """Return lines `name: text` of the parts that are not empty."""
    lines = [f"{name}: {clean(text)}" if name else clean(text) for name, text in parts.items() if text]
    return cut("\n".join(lines), LONGEST_BODY)


def _title(pipeline: str, day: date, severity: str, brief: str) -> str:
    return clean(f"{pipeline} {day}: {severity}: {' '.join(brief.split())}", LONGEST_TITLE)


def clean(text: str, longest: int = LONGEST_PART) -> str:
    """Return a text without control characters, markup or names that would ring everybody."""
    text = re.sub(r"[^\S\n]", " ", text)
    text = "".join(c for c in text if c.isprintable() or c == "\n")
    text = text.replace("<", "‹").replace(">", "›")
    text = re.sub(r"@(?=everyone|here|channel|all)", "@ ", text, flags=re.IGNORECASE)
    return cut(text.strip(), longest)


def cut(text: str, longest: int) -> str:
    """Return a text of at most so many characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _since(run: Run, fault: Fault) -> str:
    first = since(run.home, run.spec.name, run.as_of, fault.rule)
    days = (run.as_of - first).days
    return "this day" if days == 0 else f"{first}, the {ordinal(days + 1)} day in a row"


def ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, 4th …"""
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def stopped(run: Run, fault: Fault, *, in_airflow: bool) -> list[str]:
    """Return the steps that did not run because of a fault."""
    if fault.severity != "critical" or fault.step not in BY_NAME:
        return []
    return [name for name in stopped_by(fault.step, in_airflow=in_airflow) if not _done(run, name)]


def _done(run: Run, step: str) -> bool:
    return any(run.step_dir(step).glob("**/result.json"))


def _around(run: Run, run_id: str | None, step: str | None) -> dict[str, str]:
    """Return what is served, and where to look."""
    return {"Served": live_version(run), "Task": task_link(run.spec.name, run_id, step), "Report": report_link(run)}


def live_version(run: Run) -> str:
    """Return the version that the pipeline's alias points at, and how old it is."""
    found = alias(run.home, run.spec.name, run.spec.publish.alias)
    if found is None:
        return "no version has been published yet"
    days = (run.as_of - date.fromisoformat(found["as_of"])).days
    age = "of this day" if days == 0 else f"{abs(days)} day{'s'[: abs(days) > 1]} {'older' if days > 0 else 'newer'}"
    return f"{found['version']} ({age})"


def task_link(pipeline: str, run_id: str | None, step: str | None) -> str:
    """Return the address of a run, or of a task of it, in Airflow's pages."""
    base = os.environ.get("MATINEE_URL", "").rstrip("/")
    if not base or run_id is None:
        return ""
    return f"{base}/dags/{quote(pipeline)}/runs/{quote(run_id, safe='')}" + (f"/tasks/{quote(step)}" if step else "")


def report_link(run: Run) -> str:
    """Return the address of the run's report in Airflow's pages; its path, if their address is not known."""
    base = os.environ.get("MATINEE_URL", "").rstrip("/")
    path = run.step_dir("report") / "report.html"
    return f"{base}/matinee/{quote(path.relative_to(run.home.root).as_posix())}" if base else str(path)
