"""Tell people what is wrong with a run: each fault once, whatever is repeated, retried, killed or run in parallel.

What is wrong is read from what the run left on disk; messages are written to the spool, then sent. Nothing here
changes a run: what goes wrong with telling is logged, and what could not be sent waits (docs/alerts.md, docs/adr/0018).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from tasks.alerts.faults import Fault, faults_of, holding, worse
from tasks.alerts.messages import fault_message, more_message, resolved_message
from tasks.alerts.outbox import Message, Spool, known
from tasks.alerts.sinks import PASS_SECONDS, deliver, sinks
from tasks.store.files import Home, read_json

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.runs.run import Run

EACH = 10
"""Faults of a day that get a message each; those beyond share one."""
REMEMBERED = timedelta(days=60)
"""A rule that was told longer ago is not called resolved any more."""

log = logging.getLogger("matinee")


def send_alerts(
    run: Run,
    *,
    run_id: str | None = None,
    failed: Iterable[str] = (),
    finished: bool = False,
    seconds: float = PASS_SECONDS,
) -> None:
    """Tell what is wrong with a run so far; never raises, and takes no longer than it is given and one sending.

    Args:
        run: the run.
        run_id: Airflow's name of it.
        failed: tasks that the scheduler calls failed; those that left no words were killed.
        finished: whether the run is over, so that rules which hold again can be told, too.
        seconds: beyond this no message is begun; what is left waits for the next run or `matinee watch`.
    """
    try:
        spool, to = Spool(run.home), sinks()
        collect(run, spool, run_id=run_id, failed=failed, finished=finished, told=bool(to))
        deliver(spool, to, seconds=seconds)
    except Exception as error:  # telling must not change what is told
        log.warning("alerts of %s %s: %s: %s", run.spec.name, run.as_of, type(error).__name__, error)


def collect(
    run: Run,
    spool: Spool,
    *,
    run_id: str | None = None,
    failed: Iterable[str] = (),
    finished: bool = False,
    told: bool = True,
) -> list[Message]:
    """Write the messages of a run that are not in the spool yet; return them."""
    faults = faults_of(run.dir, failed)
    holds = _holding(run, faults) if finished else set()
    if not faults and not holds:
        return []
    day = run.as_of.isoformat()
    # What a message says is looked up before the lock is taken; whether it is new is decided under the lock.
    there = [entry.message for entry in spool.entries(run.spec.name)]
    words = {fault: fault_message(run, fault, run_id) for fault in _new(faults, there, day)}

    def compose(there: Sequence[Message]) -> Iterable[Message]:
        new = [fault for fault in _new(faults, there, day) if fault in words]
        room = max(0, EACH - sum(message.kind == "fault" and message.day == day for message in there))
        yield from (words[fault] for fault in new[:room])
        if new[room:]:
            yield more_message(run, new[room:], run_id)
        yield from _resolved(run, there, holds, run_id)

    return spool.add(run.spec.name, compose, told=told)


def _new(faults: Iterable[Fault], there: Iterable[Message], day: str) -> list[Fault]:
    """Return the faults that nobody has been told of, or only as something less severe."""
    told = known(there, day)
    return [fault for fault in faults if fault.rule not in told or worse(fault.severity, told[fault.rule])]


def _holding(run: Run, faults: Iterable[Fault]) -> set[str]:
    holds = holding(run.dir) - {fault.rule for fault in faults}
    return holds | {no_green_run(run.as_of.isoformat())} if is_green(run.dir) else holds


def _resolved(run: Run, there: Sequence[Message], holds: set[str], run_id: str | None) -> Iterable[Message]:
    """Yield a message for each severity of which rules hold again that were told of this day or an earlier one."""
    first, day = (run.as_of - REMEMBERED).isoformat(), run.as_of.isoformat()
    last: dict[str, Message] = {}
    closed: dict[str, str] = {}
    for message in there:
        for rule in message.faults:
            if message.kind == "resolved":
                closed[rule] = max(message.day, closed.get(rule, ""))
            elif first <= message.day <= day and message.day >= (last[rule].day if rule in last else ""):
                last[rule] = message
    again = {rule: message for rule, message in last.items() if rule in holds and closed.get(rule, "") < message.day}
    for severity in sorted({message.severity for message in again.values()}):
        rules = {rule: m.faults[rule] for rule, m in sorted(again.items()) if m.severity == severity}
        yield resolved_message(run, rules, severity, run_id)


def no_green_run(day: str) -> str:
    """Return the rule that a day has a green run by the hour that its pipeline file declares."""
    return f"no green run of {day}"


def is_green(attempt: Path) -> bool:
    """Tell whether an attempt has published and nothing in it went wrong."""
    report = attempt / "report" / "result.json"
    return (
        report.exists()
        and bool(read_json(report).get("good"))
        and not any(fault.severity == "critical" for fault in faults_of(attempt))
    )


def notify(home: Home, pipeline: str, compose: Callable[[Sequence[Message]], Iterable[Message]]) -> list[Message]:
    """Write messages that are not about a run on disk; return those that are new."""
    return Spool(home).add(pipeline, compose, told=bool(sinks()))
