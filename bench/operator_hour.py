"""The operator's hour: `python -m bench.operator_hour --home DIR`.

A stack, as `make up` starts it, and what a person does with it over the REST API that the pages use: unpause, a
backfill of five days in reverse, triggers with a date, with today and with none, clear and rerun of an old task,
marking a running run as failed. Beside it, spread over `--minutes`, `--writes` writes while tasks run: notes,
variables, connections, pools, pauses, clears; and what open pages keep asking. Every answer is counted.

It passes if each act came to what it should, no answer was an error or took more than two seconds, and no task was
retried. The times need a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench._answers import SLOWEST, Answers, WatchedAirflow, faults, table_of
from bench._live_stack import PIPELINE, LiveAirflow, live_stack
from bench._operator_acts import ACTS, Desk, Observation, trigger_a_day
from bench._operator_writes import Cleared, Writes
from bench._results import home_of, show, table
from bench._shots import take
from tasks.errors import MatineeError
from tasks.operations.local_airflow import stack

MOST_FAULTS = 20  # that are listed


def hour(home: Path, port: int, writes: int, minutes: float) -> tuple[list[Observation], Answers, list[str]]:
    """Do everything, and return what was observed, all answers, and the tasks that were retried."""
    answers = Answers()
    desk = Desk(WatchedAirflow(home, port, answers), home)
    others = Writes(WatchedAirflow(home, port, answers), home, writes, minutes * 60, desk.cleared)
    thread = others.begin()
    observed = []
    for act in ACTS:
        try:
            observed.append(act(desk))
        except MatineeError as error:
            observed.append(Observation(str(act.__doc__).partition(":")[0], str(error), good=False))
        print(f"  {time.strftime('%H:%M:%S')} {observed[-1]}", flush=True)
    while thread.is_alive():  # the writes want tasks that run
        trigger_a_day(desk)
        print(f"  {time.strftime('%H:%M:%S')} {others.done} of {writes} writes", flush=True)
    text = f"{others.done} writes" + (f"; refused: {'; '.join(others.failed[:3])}" if others.failed else "")
    observed.append(Observation(f"{writes} writes while tasks run", text, not others.failed))
    return observed, answers, retried(desk.api, desk.cleared)


def retried(api: LiveAirflow, cleared: Cleared) -> list[str]:
    """Name the tasks that had more tries than they were asked to have."""
    tasks = [task for run in api.all_runs() for task in api.tasks(PIPELINE, run.dag_run_id)]
    return [
        f"{task.dag_run_id} {task.name}"
        for task in tasks
        if task.try_number > 1 + cleared[(task.dag_run_id, task.task_id)]
    ]


def page(observed: Sequence[Observation], answers: Answers, again: Sequence[str], minutes: float) -> str:
    """Write the page of results."""
    bad = faults(answers.all)
    passed = all(each.good for each in observed) and not bad and not again
    rows = [(each.act, each.observed.replace("|", "\\|"), "yes" if each.good else "NO") for each in observed]
    return "\n".join(
        [
            "# An operator's hour",
            "",
            f"{minutes:.0f} minutes with the live stack and the pipeline `{PIPELINE}`, at the end with a load of "
            f"{os.getloadavg()[2]:.1f} on {os.cpu_count()} processors. Passes without an answer that is an error or "
            f"takes more than {SLOWEST:.0f} s, and without a retried task. Made by `python -m "
            f"bench.operator_hour --write`.",
            "",
            f"**{'Passed' if passed else 'FAILED'}**: {len(bad)} of {len(answers.all)} answers wrong or slow, "
            f"{len(again)} tasks retried.",
            "",
            table(("act", "observed", "as it should be"), rows),
            "",
            table_of(answers.all),
            *(f"* {fault}" for fault in [*bad[:MOST_FAULTS], *(f"retried: {name}" for name in again[:MOST_FAULTS])]),
        ]
    )


def measure(given: argparse.Namespace, home: Path) -> str:
    """Start the stack, spend the hour, and lay out the page."""
    shutil.rmtree(home, ignore_errors=True)
    began = time.monotonic()
    with live_stack(home, given.port, scheduled=True) as api:
        running = stack.find(home)
        assert running is not None
        observed, answers, again = hour(home, running.port, given.writes, given.minutes)
        minutes = (time.monotonic() - began) / 60
        if given.shots:
            print(take(api, given.shots))
    return page(observed, answers, again, minutes)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writes", type=int, default=200, help="writes beside the acts")
    parser.add_argument("--minutes", type=float, default=5, help="over which the writes are spread")
    parser.add_argument("--home", type=Path, help="folder for the state folder, emptied first; temporary if absent")
    parser.add_argument("--port", type=int, help="port of the API; the first free one from 8080 if absent")
    parser.add_argument("--shots", type=Path, help="folder for screenshots of the pages, through Chromium")
    parser.add_argument("--write", action="store_true", help="keep the tables in bench/results/")
    given = parser.parse_args(arguments)
    with home_of(given.home) as home:
        text = measure(given, home / "operator")
    show("operator", text, write=given.write)
    if "**FAILED**" in text:
        sys.exit(1)


if __name__ == "__main__":
    main()
