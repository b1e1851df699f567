"""Does everything come back after a `kill -9`? `python -m bench.kills --times 20 --home DIR`.

A stack, as `make up` starts it, runs backfills of the smallest pipeline, one after another. While tasks run, one of its
processes is killed at a random moment; once everything is back and a task has succeeded, the next one, until each kind
was killed `--times` times, or `--minutes` are over. Everything is back when all programs live, the API and the database
answer, the scheduler and the DAG processor have had a heartbeat since, no task is held by a process that is gone, and
one is worked on, or has begun or ended.

In the end every run has to be green without anybody's help, and the registry has to be that of the same days in a state
folder of their own, in which nothing was killed.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from bench._live_stack import PIPELINE, PIPELINES, LiveAirflow, first_days, live_stack, wait_until
from bench._results import home_of, show, table
from bench._through_airflow import published
from bench._victims import IDLE, VICTIMS, kill, running_tasks, what_is_missing
from tasks.errors import CheckFailed, MatineeError, StackError
from tasks.operations.airflow_answers import ENDED
from tasks.operations.local_airflow.processes import idle_orphans, processes_of
from tasks.operations.run_all import run_all
from tasks.runs.attempts import attempt_of
from tasks.runs.run import Run
from tasks.store.files import Home, write_json

AT_ONCE = 6  # days of a backfill
TOGETHER = 2  # of its runs that are active
PAUSE = 4.0  # at most so many seconds from the start of a task to a kill
PATIENCE = 600.0  # seconds after which what is not back will not come back
WATCH = 30.0  # seconds between two polls of the watch
PAIRS = {"PostgreSQL, the server": "PostgreSQL, one connection", "a task's supervisor": IDLE}
"""Kinds that are killed `--times` times together."""


@dataclass(frozen=True)
class Kill:
    """A kill.

    Attributes:
        victim: what was killed.
        at: when, UTC, in ISO form.
        seconds: until everything was back; None: it was not.
        missing: what came back last, or did not.
    """

    victim: str
    at: str
    seconds: float | None
    missing: str


def plan(times: int, seed: int) -> list[str]:
    """Draw the order of the kills; every third one of a pair is of its second kind."""
    seconds = set(PAIRS.values())
    kinds = [[name, name, PAIRS.get(name, name)] for name in VICTIMS if name not in seconds]
    order = [kind[number % 3] for kind in kinds for number in range(times)]
    random.Random(seed).shuffle(order)
    return order


class Backfills:
    """Backfills that follow one another, so that there is always a run."""

    def __init__(self, api: LiveAirflow) -> None:
        self.api = api
        self.days: list[date] = []

    def keep_going(self) -> None:
        """Start the next backfill if the last one has ended."""
        with suppress(StackError):  # the API has just been killed, say: the next call will see
            states = [run.state for run in self.api.all_runs()]
            if len(states) == len(self.days) and all(state in ENDED for state in states):
                new = first_days(AT_ONCE, len(self.days))
                self.api.backfill(PIPELINE, new[0], new[-1], parallel=TOGETHER)
                self.days += new

    def go_on_since(self, at: datetime) -> bool:
        """Whether a task has succeeded since then; another backfill is started where one has ended."""
        self.keep_going()
        with suppress(StackError):
            tasks = [task for run in self.api.all_runs() for task in self.api.tasks(PIPELINE, run.dag_run_id)]
            return any(task.state == "success" and task.end_date and task.end_date > at for task in tasks)
        return False

    def have_ended(self) -> bool:
        """Whether every run has ended."""
        with suppress(StackError):
            runs = self.api.all_runs()
            return len(runs) == len(self.days) and all(run.state in ENDED for run in runs)
        return False


def kill_all(api: LiveAirflow, home: Path, given: argparse.Namespace) -> tuple[list[Kill], list[date]]:
    """Kill one after another while backfills go on; return the kills and the days that were run."""
    draw, backfills, kills = random.Random(given.seed), Backfills(api), list[Kill]()
    order = [victim for victim in plan(given.times, given.seed) if victim in given.only]
    limit = time.monotonic() + given.minutes * 60
    api.pause(PIPELINE, False)
    for victim in order:
        if time.monotonic() > limit:
            break
        if kills:  # else a busy machine kills the same task until its tries are used up, and shows no recovery
            since = datetime.fromisoformat(kills[-1].at)
            wait_until(partial(backfills.go_on_since, since), PATIENCE, "a task has succeeded since the last kill")
        kills.append(kill_one(api, home, victim, draw, backfills))
        print(f"  {len(kills)} of {len(order)}: {kills[-1]}", flush=True)
        write_json(home / "kills.json", [asdict(each) for each in kills])
    wait_until(backfills.have_ended, 3 * PATIENCE, "all runs have ended")
    return kills, backfills.days


def kill_one(api: LiveAirflow, home: Path, victim: str, draw: random.Random, backfills: Backfills) -> Kill:
    """Kill while tasks run, and wait until everything is back."""
    at = None
    while at is None:
        backfills.keep_going()
        time.sleep(draw.uniform(0, PAUSE))
        at = kill(home, victim, draw) if running_tasks(home) else None
    print(f"  {at:%H:%M:%S} {victim}", flush=True)
    began, missing, last = time.monotonic(), "", ""
    while time.monotonic() - began < PATIENCE:
        backfills.keep_going()
        missing = what_is_missing(api, home, victim, at) or ""
        if not missing:
            return Kill(victim, at.isoformat(), round((datetime.now(UTC) - at).total_seconds(), 1), last)
        last = missing
        time.sleep(0.5)
    return Kill(victim, at.isoformat(), None, missing)


def undisturbed(home: Path, days: Sequence[date]) -> tuple[dict[str, Any], set[str]]:
    """Run the same days one after another, with nothing killed.

    Returns:
        The registry, and the names of the runs that the data stop whatever is killed, by a check.
    """
    stopped = set()
    for day in days:
        run_id = f"backfill__{day}T00:00:00+00:00"
        run = Run.create(PIPELINES / f"{PIPELINE}.yaml", day, attempt_of(run_id), home=Home(home))
        try:
            run_all(run, Console(quiet=True))
        except CheckFailed:
            stopped.add(run_id)
        print(f"  {day} undisturbed{', stopped by a check' if run_id in stopped else ''}", flush=True)
    return published(Home(home), PIPELINE), stopped


def outcome(api: LiveAirflow, home: Path) -> dict[str, Any]:
    """Collect what became of the runs."""
    runs = api.all_runs()
    tasks = [task for run in runs for task in api.tasks(PIPELINE, run.dag_run_id)]
    return {
        "runs": len(runs),
        "red": [run.dag_run_id for run in runs if run.state != "success"],
        "tasks": len(tasks),
        "again": sum(task.try_number > 1 for task in tasks),
        "most": max((task.try_number for task in tasks), default=0),
        "idle": len(idle_workers(home)),
    }


def idle_workers(home: Path) -> list[psutil.Process]:
    """List the workers of killed schedulers that are still there after the watch had time to end them."""
    with suppress(MatineeError):
        wait_until(lambda: not idle_orphans(home), 3 * WATCH, "no idle worker is left")
    return idle_orphans(home)


def measure(given: argparse.Namespace, home: Path) -> str:
    """Kill everything in its turn, compare what was published, and lay out the table."""
    for folder in ("killed", "undisturbed"):
        shutil.rmtree(home / folder, ignore_errors=True)
    began = time.monotonic()
    with live_stack(home / "killed", given.port, scheduled=False) as api:
        kills, days = kill_all(api, home / "killed", given)
        figures = outcome(api, home / "killed")
    figures |= {"left": len(list(processes_of(home / "killed"))), "minutes": (time.monotonic() - began) / 60}
    registry, stopped = undisturbed(home / "undisturbed", days)
    same = published(Home(home / "killed"), PIPELINE) == registry
    figures |= {"red": [run for run in figures["red"] if run not in stopped], "stopped": len(stopped)}
    write_json(home / "figures.json", {**figures, "same": same})
    return page(kills, figures, same)


def rows(kills: Sequence[Kill]) -> list[tuple[str, ...]]:
    """Lay out the row of each kind of victim."""
    laid_out = []
    for victim in VICTIMS:
        of = [each for each in kills if each.victim == victim]
        back = [each.seconds for each in of if each.seconds is not None]
        if of:
            times = (min(back), statistics.median(back), max(back)) if back else ()
            seconds = [f"{value:.1f}" for value in times] or ["–"] * 3
            laid_out.append((victim, str(len(of)), str(len(back)), *seconds))
    return laid_out


def page(kills: Sequence[Kill], figures: dict[str, Any], same: bool) -> str:
    """Write the page of results."""
    green = figures["runs"] - figures["stopped"] - len(figures["red"])
    return "\n".join(
        [
            "# Kill -9 of every part of the live stack",
            "",
            f"{len(kills)} kills in {figures['minutes']:.0f} minutes, while backfills of the pipeline `{PIPELINE}` "
            f"({TOGETHER} active runs) went on. Everything is back when all programs live, the API and the database "
            "answer, scheduler and DAG processor have had a heartbeat since the kill, no task is held by a process "
            "that is gone, and one is worked on, or has begun or ended. Made by `python -m bench.kills --write`.",
            "",
            table(("killed", "times", "came back", "s, least", "s, median", "s, most"), rows(kills)),
            "",
            f"* Runs that are green without anybody's help: **{green} of {figures['runs'] - figures['stopped']}**"
            + (f" (not: {', '.join(figures['red'])})" if figures["red"] else "")
            + (f" ({figures['stopped']} more are stopped by a check, killed or not)" if figures["stopped"] else ""),
            f"* Registry equal to that of the same days undisturbed, every file of every version: "
            f"**{'yes' if same else 'NO'}**",
            f"* Tasks that were tried more than once: {figures['again']} of {figures['tasks']}; "
            f"most tries of one: {figures['most']}",
            f"* Idle workers of killed schedulers that are left: {figures['idle']}; processes left after `make down`: "
            f"{figures['left']}",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=1, help="kills of each kind")
    parser.add_argument("--minutes", type=float, default=240, help="after which no more is killed")
    parser.add_argument("--only", nargs="+", choices=list(VICTIMS), default=list(VICTIMS), metavar="KIND")
    parser.add_argument("--home", type=Path, help="folder for two state folders, emptied first; temporary if absent")
    parser.add_argument("--port", type=int, help="port of the API; the first free one from 8080 if absent")
    parser.add_argument("--seed", type=int, default=1, help="of the order and the moments of the kills")
    parser.add_argument("--write", action="store_true", help="keep the table in bench/results/")
    given = parser.parse_args(arguments)
    with home_of(given.home) as home:
        text = measure(given, home)
    show("kills", text, write=given.write)


if __name__ == "__main__":
    main()
