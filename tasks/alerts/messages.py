"""The text of a message: what broke, how badly, since when, what it stopped, what is served, where to look, what to do.

Plain text only. What comes from data is stripped of everything that a chat would take for a command.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from tasks.alerts.faults import Fault, failing_since
from tasks.alerts.outbox import Message
from tasks.runs.steps import BY_NAME, stopped_by
from tasks.store import run_files
from tasks.store.registry import alias

if TYPE_CHECKING:
    from tasks.runs.run import Run

LONGEST_TITLE, LONGEST_PART, LONGEST_BODY = 120, 600, 1800
"""Characters; Discord takes 2,000."""
OLD = timedelta(days=7)
"""A day further behind the newest run is history: its faults are routed as info, so that a backfill is quiet."""


def plain_message(pipeline: str, day: date, rule: str, summary: str, texts: Mapping[str, str]) -> Message:
    """Compose the message of a fault that no run left on disk.

    Args:
        pipeline: whom it is about.
        day: day under which it is kept.
        rule: name of the fault.
        summary: the title's words.
        texts: paragraphs by their heading, "" for the first.
    """
    return Message(
        pipeline=pipeline,
        day=day.isoformat(),
        severity="critical",
        kind="fault",
        faults={rule: "critical"},
        title=clean(f"{pipeline} {day}: critical: {summary}", LONGEST_TITLE),
        body=body({**texts, "Airflow": os.environ.get("MATINEE_URL", "")}),
    )


def fault_message(run: Run, fault: Fault, run_id: str | None) -> Message:
    """Compose the message of one fault."""
    return Message(
        pipeline=run.spec.name,
        day=run.as_of.isoformat(),
        severity=routed_severity(run, fault.severity),
        kind="fault",
        faults={fault.rule: fault.severity},
        title=_title(run.spec.name, run.as_of, fault.severity, fault.summary),
        body=body(
            {
                "": fault.detail,
                "Why it matters": fault.why,
                "Since": _since(run, fault),
                "Stopped": ", ".join(stopped_steps(run, fault, in_airflow=run_id is not None)) or "nothing",
                **_around(run, run_id, fault.step),
                "Next": fault.next,
                "Runbook": fault.runbook and f"docs/runbooks/{fault.runbook}",
            }
        ),
    )


def more_message(run: Run, faults: Sequence[Fault], run_id: str | None) -> Message:
    """Compose the one message that the faults beyond `MOST_MESSAGES` share."""
    severity = faults[0].severity  # the worst comes first
    lines = [f"- {fault.severity}: {clean(fault.summary, 100)}" for fault in faults]
    return Message(
        pipeline=run.spec.name,
        day=run.as_of.isoformat(),
        severity=routed_severity(run, severity),
        kind="more",
        faults={fault.rule: fault.severity for fault in faults},
        title=_title(run.spec.name, run.as_of, severity, f"{len(faults)} more faults of this day"),
        body=body({"": "There were too many faults for a message each. The others:", **_around(run, run_id, None)})
        + "\n"
        + cut("\n".join(lines), LONGEST_BODY - 500),
    )


def resolved_message(run: Run, rules: Mapping[str, str], severity: str, run_id: str | None) -> Message:
    """Compose the message that rules pass again.

    Args:
        run: the run in which they pass.
        rules: the severity that each was notified of with.
        severity: decides which sinks get it.
        run_id: Airflow's name of the run, if it runs there.
    """
    names = next(iter(rules)) if len(rules) == 1 else f"{len(rules)} rules pass again"
    return Message(
        pipeline=run.spec.name,
        day=run.as_of.isoformat(),
        severity=severity,
        kind="resolved",
        faults=dict(rules),
        title=_title(run.spec.name, run.as_of, "resolved", names),
        body=body({"": f"Passes again on {run.as_of}:", **_around(run, run_id, None)})
        + "\n"
        + cut("\n".join(f"- {clean(rule, 150)}" for rule in rules), LONGEST_BODY - 500),
    )


def routed_severity(run: Run, severity: str) -> str:
    """Choose the severity that decides which sinks get a message; the title keeps the fault's own."""
    newest = max([*run_files.days(run.home, run.spec.name), run.as_of])
    return "info" if newest - run.as_of > OLD else severity


def body(parts: Mapping[str, str]) -> str:
    """Write a line `name: text` for each part that is not empty; the part named "" has only its text."""
    lines = [f"{name}: {clean(text)}" if name else clean(text) for name, text in parts.items() if text]
    return cut("\n".join(lines), LONGEST_BODY)


def _title(pipeline: str, day: date, severity: str, brief: str) -> str:
    return clean(f"{pipeline} {day}: {severity}: {' '.join(brief.split())}", LONGEST_TITLE)


def clean(text: str, longest: int = LONGEST_PART) -> str:
    """Strip control characters, markup, and mentions that would ping a whole channel (`@everyone`, `<!here>`)."""
    # Before the next line, which drops what is not printable: a tab would go, and its words would run together.
    text = re.sub(r"[^\S\n]", " ", text)
    text = "".join(c for c in text if c.isprintable() or c == "\n")
    text = text.replace("<", "‹").replace(">", "›")
    text = re.sub(r"@(?=everyone|here|channel|all)", "@ ", text, flags=re.IGNORECASE)
    return cut(text.strip(), longest)


def cut(text: str, longest: int) -> str:
    """Shorten a text to so many characters, the last of them an ellipsis."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _since(run: Run, fault: Fault) -> str:
    first = failing_since(run.home, run.spec.name, run.as_of, fault.rule)
    days = (run.as_of - first).days
    return "this day" if days == 0 else f"{first}, the {ordinal(days + 1)} day in a row"


def ordinal(number: int) -> str:
    """Spell 1st, 2nd, 3rd, 4th …"""
    # 11th, 12th and 13th break the rule of 1st, 2nd and 3rd.
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def stopped_steps(run: Run, fault: Fault, *, in_airflow: bool) -> list[str]:
    """List the steps that did not run because of a fault: those behind it that have no result from an earlier try."""
    if fault.severity != "critical" or fault.step not in BY_NAME:
        return []
    return [name for name in stopped_by(fault.step, in_airflow=in_airflow) if not _done(run, name)]


def _done(run: Run, step: str) -> bool:
    return any(run.step_dir(step).glob("**/result.json"))


def _around(run: Run, run_id: str | None, step: str | None) -> dict[str, str]:
    """The lines that every message about a run has: what is served, and where to look."""
    return {"Served": live_version(run), "Task": task_link(run.spec.name, run_id, step), "Report": report_link(run)}


def live_version(run: Run) -> str:
    """Name the version that the pipeline's alias points at, and its age in days relative to the run."""
    current = alias(run.home, run.spec.name, run.spec.publish.alias)
    if current is None:
        return "no version has been published yet"
    days = (run.as_of - current.as_of).days
    age = "of this day" if days == 0 else f"{abs(days)} day{'s'[: abs(days) > 1]} {'older' if days > 0 else 'newer'}"
    return f"{current.version} ({age})"


def task_link(pipeline: str, run_id: str | None, step: str | None) -> str:
    """Address of a run or one of its tasks in Airflow's pages; empty outside of Airflow or without `MATINEE_URL`."""
    base = os.environ.get("MATINEE_URL", "").rstrip("/")
    if not base or run_id is None:
        return ""
    return f"{base}/dags/{quote(pipeline)}/runs/{quote(run_id, safe='')}" + (f"/tasks/{quote(step)}" if step else "")


def report_link(run: Run) -> str:
    """Address of the run's report in Airflow's pages; its path on disk without `MATINEE_URL`."""
    base = os.environ.get("MATINEE_URL", "").rstrip("/")
    path = run.step_dir("report") / "report.html"
    return f"{base}/matinee/{quote(path.relative_to(run.home.root).as_posix())}" if base else str(path)
