"""Faults of a run, read from what it left on disk: failed checks, failed gates, and the errors of steps.

A fault is named by its rule, which is the same on every day and in every attempt. That name is what makes it possible
to notify of a fault once, to follow it back to the day on which it began, and to call it resolved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from tasks.checks import verdicts
from tasks.checks.verdicts import Check, read_checks
from tasks.publishing.results import GateVerdict, verdicts_if_valid
from tasks.runs.failures import NO_ERROR_MESSAGE, step_of_task
from tasks.store import run_files
from tasks.store.files import Home

SEVERITIES: tuple[str, ...] = verdicts.SEVERITIES[::-1]
"""From the mildest to the worst."""
LONGEST_STREAK = 60
"""Earlier days that are read, at most, to find where a streak of failing days began."""
LONGEST_GAP = timedelta(days=7)
"""A streak ends where no day was run for longer than this."""


@dataclass(frozen=True)
class Fault:
    """One rule that failed.

    Attributes:
        rule: its name, under which it is notified of once a day.
        severity: info, warning or critical.
        step: the step that found it, or that failed.
        summary: what broke, in a few words; the end of the message's title.
        detail: what was observed and what was expected.
        why: why it matters.
        next: what to do.
        runbook: file in `docs/runbooks` that helps.
    """

    rule: str
    severity: str
    step: str
    summary: str
    detail: str
    why: str = ""
    next: str = ""
    runbook: str = ""


def worse(severity: str, than: str) -> bool:
    """Whether the first severity is strictly above the second."""
    return SEVERITIES.index(severity) > SEVERITIES.index(than)


def faults_of(folder: Path, failed_tasks: Iterable[str] = ()) -> list[Fault]:
    """Collect the faults of an attempt, the worst first; a failed check of severity info is not a fault.

    Args:
        folder: the attempt's.
        failed_tasks: tasks that the scheduler calls failed; one that left no error was killed or timed out.
    """
    faults = _check_faults(folder) + _gate_faults(folder)
    # A step that fails because of its checks also leaves an error that says so: one fault is enough.
    explained = {fault.step for fault in faults if fault.severity == "critical"}
    faults += [fault for fault in _error_faults(folder) if fault.step not in explained]
    # Once more, for the errors just added: a task that left one was not silent.
    explained |= {fault.step for fault in faults if fault.severity == "critical"}
    silent = sorted({_step(step_of_task(task)) for task in failed_tasks} - explained)
    if explained or silent != ["report"]:
        silent = [step for step in silent if step != "report"]  # the report fails whenever another step did
    faults += [_step_fault(step, f"the step {step} {NO_ERROR_MESSAGE}", _NEXT_IF_KILLED) for step in silent]
    return sorted(faults, key=lambda fault: (-SEVERITIES.index(fault.severity), fault.step, fault.rule))


def passed_rules(folder: Path) -> set[str]:
    """Collect the rules that an attempt has evaluated and that passed; a rule it did not reach is not among them."""
    checked = {_rule(step, check) for step, check in _checks(folder)}
    gates = {_gate_rule(verdict) for verdict in _verdicts(folder)}
    done = {f"step {path.parent.name}" for path in folder.glob("*/result.json")}
    done |= {f"step {path.parent.parent.name}" for path in folder.glob("*/*/result.json")}
    # The step populations leaves no folder; that models were trained shows that it succeeded.
    done |= {"step populations"} if "step train" in done else set()
    return (checked | gates | done) - {fault.rule for fault in faults_of(folder)}


def failing_since(home: Home, pipeline: str, as_of: date, rule: str) -> date:
    """Find the first day of the unbroken streak, ending on `as_of`, on which a rule failed.

    Days that were not run do not break the streak, unless they are more than `LONGEST_GAP`.
    """
    first = as_of
    earlier = [day for day in reversed(run_files.days(home, pipeline)) if day < as_of]
    for day in earlier[:LONGEST_STREAK]:
        latest = next(iter(run_files.attempts(home, pipeline, day)), None)
        if first - day > LONGEST_GAP or latest is None or rule not in {fault.rule for fault in faults_of(latest.dir)}:
            break
        first = day
    return first


def _check_faults(folder: Path) -> list[Fault]:
    """One fault for each rule, however many days and severities it failed for."""
    failed: dict[str, list[tuple[str, Check]]] = {}
    for step, check in _checks(folder):
        if not check.success and worse(check.severity, "info"):
            failed.setdefault(_rule(step, check), []).append((step, check))
    return [_check_fault(rule, checks) for rule, checks in failed.items()]


def _check_fault(rule: str, checks: Sequence[tuple[str, Check]]) -> Fault:
    step, worst = max(checks, key=lambda pair: (SEVERITIES.index(pair[1].severity), pair[1].day))
    days = sorted({check.day for _, check in checks} - {worst.day})
    also = f"; also of {', '.join(days[-5:])}" if days else ""
    return Fault(
        rule=rule,
        severity=worst.severity,
        step=step,
        summary=f"{worst.table}: {worst.title} is {worst.shown_value}",
        detail=f"{worst.table} of {worst.day}: {worst.title} is {worst.shown_observed}, "
        f"expected {worst.expected}{also}",
        why=worst.why,
        next=worst.next,
        runbook="check-failed.md",
    )


def _checks(folder: Path) -> list[tuple[str, Check]]:
    """The checks of each step, with the step's name."""
    steps = sorted(path.parent for path in folder.glob(f"*/{verdicts.FILE}"))
    return [(step.name, check) for step in steps for check in read_checks(step) or ()]


def _rule(step: str, check: Check) -> str:
    return f"{step}: {check.table}: {check.column} {check.type.removeprefix('expect_')}"


def _gate_faults(folder: Path) -> list[Fault]:
    return [
        Fault(
            rule=_gate_rule(verdict),
            severity="critical",
            step="gate",
            summary=f"gate failed: {verdict.gate}",
            detail=str(verdict),
            next="nothing is broken: the champion stays; read the difference and its interval",
            runbook="gate-failed.md",
        )
        for verdict in _verdicts(folder)
        if not verdict.passed
    ]


def _verdicts(folder: Path) -> list[GateVerdict]:
    return verdicts_if_valid(folder) or []


def _gate_rule(verdict: GateVerdict) -> str:
    return f"gate: {verdict.gate}"


def _error_faults(folder: Path) -> list[Fault]:
    """One fault for each step that left an error, however many populations it failed for."""
    errors: dict[str, list[str]] = {}
    for path in sorted(folder.glob("errors/*.txt")):
        text = path.read_text(encoding="utf-8", errors="replace").strip()
        errors.setdefault(_step(path.stem), []).append(text)
    return [
        _step_fault(step, text := "\n".join(texts), _NEXT_IF_KILLED if text.endswith(NO_ERROR_MESSAGE) else _NEXT)
        for step, texts in errors.items()
    ]


_NEXT = "follow the step's error message, then run the day again"
_NEXT_IF_KILLED = "check the end of the task's log and the machine's memory, then run the day again"


def _step_fault(step: str, detail: str, advice: str) -> Fault:
    return Fault(
        rule=f"step {step}",
        severity="critical",
        step=step,
        summary=f"the step {step} failed",
        detail=detail,
        next=advice,
        runbook="README.md",
    )


def _step(name: str) -> str:
    """Cut the population off the name of a file or a task: `train-BR` → `train`."""
    return name.partition("-")[0]
