"""What went wrong in a run, read from what it left on disk: checks, gates, and the words of failed steps.

A fault is named by its rule, the same on every day and in every attempt, so that it can be told once, followed back to
the day on which it began, and called resolved when the rule holds again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tasks.checks import verdicts
from tasks.checks.verdicts import Check, read_checks
from tasks.errors import MatineeError
from tasks.store import run_files
from tasks.store.files import Home, read_json

SEVERITIES: tuple[str, ...] = verdicts.SEVERITIES[::-1]
"""From the least to the most."""
LONGEST_ROW = 60
"""Days that are looked at to find the first one of a row."""
GAP = timedelta(days=7)
"""A row of days ends where none was run for longer."""
LEFT_NO_WORDS = "left no words: it was killed, or took longer than it may"


@dataclass(frozen=True)
class Fault:
    """One rule that does not hold.

    Attributes:
        rule: its name.
        severity: info, warning or critical.
        step: the step that found it, or that failed.
        brief: what broke, in a few words.
        said: what was observed, and what was expected.
        why: why it matters.
        next: what to do.
        runbook: the page that helps.
    """

    rule: str
    severity: str
    step: str
    brief: str
    said: str
    why: str = ""
    next: str = ""
    runbook: str = ""


def worse(severity: str, than: str) -> bool:
    """Tell whether a severity is above another."""
    return SEVERITIES.index(severity) > SEVERITIES.index(than)


def faults_of(folder: Path, failed: Iterable[str] = ()) -> list[Fault]:
    """Return the faults of an attempt, the worst first; failed checks of severity info are none.

    Args:
        folder: the attempt's.
        failed: tasks that the scheduler calls failed, which may have left nothing.
    """
    found = _of_checks(folder) + _of_gates(folder)
    stopped = {fault.step for fault in found if fault.severity == "critical"}
    found += [fault for fault in _of_words(folder) if fault.step not in stopped]
    stopped |= {fault.step for fault in found if fault.severity == "critical"}
    silent = sorted({_step(re.sub(r"_\d+$", "", name)) for name in failed} - stopped)
    if stopped or silent != ["report"]:
        silent = [step for step in silent if step != "report"]  # it fails because the others did
    found += [_of_step(step, f"the step {step} {LEFT_NO_WORDS}", _NEXT_OF_KILLED) for step in silent]
    return sorted(found, key=lambda fault: (-SEVERITIES.index(fault.severity), fault.step, fault.rule))


def holding(folder: Path) -> set[str]:
    """Return the rules that an attempt has looked at and that hold."""
    checked = {_rule(step, check) for step, check in _checks(folder)}
    gates = {_gate(verdict) for verdict in _verdicts(folder)}
    done = {f"step {path.parent.name}" for path in folder.glob("*/result.json")}
    done |= {f"step {path.parent.parent.name}" for path in folder.glob("*/*/result.json")}
    done |= {"step populations"} if "step train" in done else set()
    return (checked | gates | done) - {fault.rule for fault in faults_of(folder)}


def since(home: Home, pipeline: str, as_of: date, rule: str) -> date:
    """Return the first day of the row of days, up to this one, on which a rule did not hold."""
    first = as_of
    earlier = [day for day in reversed(run_files.days(home, pipeline)) if day < as_of]
    for day in earlier[:LONGEST_ROW]:
        last = next(iter(run_files.attempts(home, pipeline, day)), None)
        if first - day > GAP or last is None or rule not in {fault.rule for fault in faults_of(last.dir)}:
            break
        first = day
    return first


def _of_checks(folder: Path) -> list[Fault]:
    """One fault for each rule, however many days and severities it failed for."""
    failed: dict[str, list[tuple[str, Check]]] = {}
    for step, check in _checks(folder):
        if not check.success and worse(check.severity, "info"):
            failed.setdefault(_rule(step, check), []).append((step, check))
    return [_of_failed(rule, checks) for rule, checks in failed.items()]


def _of_failed(rule: str, checks: Sequence[tuple[str, Check]]) -> Fault:
    step, worst = max(checks, key=lambda pair: (SEVERITIES.index(pair[1].severity), pair[1].day))
    days = sorted({check.day for _, check in checks} - {worst.day})
    more = f"; also of {', '.join(days[-5:])}" if days else ""
    return Fault(
        rule=rule,
        severity=worst.severity,
        step=step,
        brief=f"{worst.table}: {worst.title} is {worst.shown_value}",
        said=f"{worst.table} of {worst.day}: {worst.title} is {worst.shown_observed}, expected {worst.expected}{more}",
        why=worst.why,
        next=worst.next,
        runbook="check-failed.md",
    )


def _checks(folder: Path) -> list[tuple[str, Check]]:
    steps = sorted(path.parent for path in folder.glob(f"*/{verdicts.FILE}"))
    return [(step.name, check) for step in steps for check in read_checks(step) or ()]


def _rule(step: str, check: Check) -> str:
    return f"{step}: {check.table}: {check.column} {check.type.removeprefix('expect_')}"


def _of_gates(folder: Path) -> list[Fault]:
    return [
        Fault(
            rule=_gate(verdict),
            severity="critical",
            step="gate",
            brief=f"the gate does not hold: {verdict['gate']}",
            said=f"{verdict['gate']}: {verdict['detail']}",
            next="nothing is broken: the champion stays; read the difference and its interval",
            runbook="gate-does-not-hold.md",
        )
        for verdict in _verdicts(folder)
        if not verdict["passed"]
    ]


def _verdicts(folder: Path) -> list[Mapping[str, Any]]:
    path = folder / "gate" / "gates.json"
    return _read(path) if path.exists() else []


def _gate(verdict: Mapping[str, Any]) -> str:
    return f"gate: {verdict['gate']}"


def _of_words(folder: Path) -> list[Fault]:
    """One fault for each step that said why it failed, however many populations it failed for."""
    said: dict[str, list[str]] = {}
    for path in sorted(folder.glob("errors/*.txt")):
        words = path.read_text(encoding="utf-8", errors="replace").strip()
        said.setdefault(_step(path.stem), []).append(words)
    return [_of_step(step, "\n".join(words), _NEXT) for step, words in said.items()]


_NEXT = "go by the step's words, and run the day again"
_NEXT_OF_KILLED = "look at the end of the task's log and at the machine's memory, then run the day again"


def _of_step(step: str, words: str, do: str) -> Fault:
    return Fault(
        rule=f"step {step}",
        severity="critical",
        step=step,
        brief=f"the step {step} failed",
        said=words,
        next=do,
        runbook="README.md",
    )


def _step(name: str) -> str:
    """Return the step of a file or task that may be named for a population, too."""
    return name.partition("-")[0]


def _read(path: Path) -> list[Any]:
    """Return the records of a file; of one that is damaged nothing can be said here, its step has its own words."""
    try:
        return list(read_json(path))
    except MatineeError:
        return []
