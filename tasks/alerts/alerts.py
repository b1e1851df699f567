"""Alerts of a run: each fault once, whatever is repeated, retried, killed or run in parallel.

Faults are read from what the run left on disk; messages are written to the outbox, then sent. Nothing here changes a
run: what goes wrong with alerts is logged, and what could not be sent waits (docs/alerts.md, docs/adr/0018).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from tasks.alerts.faults import Fault, faults_of, passed_rules, worse
from tasks.alerts.messages import fault_message, more_message, resolved_message
from tasks.alerts.outbox import Message, Outbox, notified_faults
from tasks.alerts.sinks import configured_sinks, deliver
from tasks.runs.outcome import ReportResult
from tasks.store.files import Home

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.runs.run import Run

MOST_MESSAGES = 10
"""Faults of a day that get a message each; those beyond share one."""
REMEMBERED = timedelta(days=60)
"""A fault that was notified of longer ago is not called resolved any more."""

log = logging.getLogger("matinee")


def send_alerts(run: Run, *, finished: bool = False) -> None:
    """Notify of what is wrong with a run so far; never raises.

    Args:
        run: the run.
        finished: whether the run is over, so that rules which pass again can be called resolved.
    """
    hand_over(run, finished=finished)
    try:
        deliver(Outbox(run.home), configured_sinks())
    except Exception as error:
        log.warning("alerts of %s %s: %s: %s", run.spec.name, run.as_of, type(error).__name__, error)


def hand_over(run: Run, *, run_id: str | None = None, failed_tasks: Iterable[str] = (), finished: bool = False) -> None:
    """Write the alerts of a run to the outbox, from where `matinee watch` sends them; takes no time, never raises.

    Args:
        run: the run.
        run_id: Airflow's name of it.
        failed_tasks: tasks that the scheduler calls failed; one that left no error was killed or timed out.
        finished: whether the run is over, so that rules which pass again can be called resolved.
    """
    try:
        outbox, has_sinks = Outbox(run.home), bool(configured_sinks())
        write_messages(run, outbox, run_id=run_id, failed_tasks=failed_tasks, finished=finished, has_sinks=has_sinks)
    except Exception as error:  # an alert that fails must not turn a green run red, nor hide why a run is red
        log.warning("alerts of %s %s: %s: %s", run.spec.name, run.as_of, type(error).__name__, error)


def write_messages(
    run: Run,
    outbox: Outbox,
    *,
    run_id: str | None = None,
    failed_tasks: Iterable[str] = (),
    finished: bool = False,
    has_sinks: bool = True,
) -> list[Message]:
    """Write the messages of a run that are not in the outbox yet; return them."""
    faults = faults_of(run.dir, failed_tasks)
    passed = _passed(run, faults) if finished else set()
    if not faults and not passed:
        return []
    day = run.as_of.isoformat()
    # A message's text takes a while to gather, so it is written before the lock is taken. Whether the message is new is
    # decided again under the lock, because another process may have written it meanwhile.
    existing = [entry.message for entry in outbox.entries(run.spec.name)]
    messages = {fault: fault_message(run, fault, run_id) for fault in _new(faults, existing, day)}

    def compose(existing: Sequence[Message]) -> Iterable[Message]:
        new = [fault for fault in _new(faults, existing, day) if fault in messages]
        room = max(0, MOST_MESSAGES - sum(message.kind == "fault" and message.day == day for message in existing))
        yield from (messages[fault] for fault in new[:room])
        if new[room:]:
            yield more_message(run, new[room:], run_id)
        yield from _resolved(run, existing, passed, run_id)

    return outbox.add(run.spec.name, compose, has_sinks=has_sinks)


def _new(faults: Iterable[Fault], existing: Iterable[Message], day: str) -> list[Fault]:
    """The faults that no message names, or only with a milder severity."""
    notified = notified_faults(existing, day)
    return [fault for fault in faults if fault.rule not in notified or worse(fault.severity, notified[fault.rule])]


def _passed(run: Run, faults: Iterable[Fault]) -> set[str]:
    passed = passed_rules(run.dir) - {fault.rule for fault in faults}
    return passed | {no_green_run_rule(run.as_of.isoformat())} if is_green(run.dir) else passed


def _resolved(run: Run, existing: Sequence[Message], passed: set[str], run_id: str | None) -> Iterable[Message]:
    """Yield one message for each severity among the faults of this day or an earlier one that pass again.

    Severities are kept apart because they decide who is notified: whoever got the alert also gets its end.
    """
    first, day = (run.as_of - REMEMBERED).isoformat(), run.as_of.isoformat()
    last: dict[str, Message] = {}
    resolved: dict[str, str] = {}
    for message in existing:
        for rule in message.faults:
            if message.kind == "resolved":
                resolved[rule] = max(message.day, resolved.get(rule, ""))
            # Only of this day and earlier ones: a backfilled day that passes says nothing of the days after it.
            elif first <= message.day <= day and message.day >= (last[rule].day if rule in last else ""):
                last[rule] = message
    # One that was called resolved on its last day or later has had its message.
    again = {rule: message for rule, message in last.items() if rule in passed and resolved.get(rule, "") < message.day}
    for severity in sorted({message.severity for message in again.values()}):
        rules = {rule: m.faults[rule] for rule, m in sorted(again.items()) if m.severity == severity}
        yield resolved_message(run, rules, severity, run_id)


def no_green_run_rule(day: str) -> str:
    """Name the rule that a day has a green run by the hour that its pipeline file declares."""
    return f"no green run of {day}"


def is_green(attempt: Path) -> bool:
    """Whether an attempt has published and nothing in it is critical."""
    report = ReportResult.read_if_valid(attempt / "report" / "result.json")
    return report is not None and report.good and not any(fault.severity == "critical" for fault in faults_of(attempt))


def notify(home: Home, pipeline: str, compose: Callable[[Sequence[Message]], Iterable[Message]]) -> list[Message]:
    """Write messages that are not about a run on disk; return those that are new."""
    return Outbox(home).add(pipeline, compose, has_sinks=bool(configured_sinks()))


def notify_once(home: Home, message: Message) -> None:
    """Write a message, unless one of its day names its fault already."""
    rules = message.faults.keys()
    notify(
        home,
        message.pipeline,
        lambda existing: [] if rules <= notified_faults(existing, message.day).keys() else [message],
    )
