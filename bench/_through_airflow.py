"""The days of a backfill through real Airflow stacks; the half of `bench.backfill` that talks to a scheduler."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psutil

from bench._results import table
from tasks.errors import MatineeError
from tasks.operations.airflow_answers import ENDED
from tasks.operations.local_airflow import stack
from tasks.operations.local_airflow.airflow_api import Airflow
from tasks.operations.local_airflow.environment import bin_dir, full_env
from tasks.operations.local_airflow.sockets import airflow_home
from tasks.spec.load import load_shape
from tasks.spec.project import pipeline_path
from tasks.spec.windows import first_as_of
from tasks.store.files import Home, contents, read_json, write_json
from tasks.store.registry import alias
from tasks.store.timeline import timeline

PIPELINE = "streaming"
DAY = timedelta(days=1)
MODES = {
    "forward": ("forward, 1 active run", ("--max-active-runs", "1")),
    "backward": ("backwards, 4 active runs", ("--run-backwards", "--max-active-runs", "4")),
    "interleaved": ("backwards, 2 active runs, beside daily runs", ("--run-backwards", "--max-active-runs", "2")),
}
LOCKS = re.compile(
    r"could not set lock|conflicting lock|is locked|another process has|somebody else holds|deadlock|lock timeout", re.I
)
STOPPING = "Exiting gracefully upon receiving signal"


def first_days(pipeline: str, count: int) -> list[date]:
    """The first as-of days of a pipeline, given by its name or its file."""
    return [first_as_of(load_shape(pipeline_path(pipeline))) + n * DAY for n in range(count)]


def run_mode(mode: str, home: Path, days: list[date]) -> dict[str, Any]:
    """Run the days in an Airflow stack of their own, and collect what is to be compared."""
    running = stack.up(home, scheduled=False, say=print)
    api = Airflow(running.home, running.port)
    try:
        while api.dag(PIPELINE) is None:
            time.sleep(1)
        api.pause(PIPELINE, False)
        began, used = time.monotonic(), cpu_of_stack(home)
        follow(api, days, start(api, running, mode, days))
        wall, used = time.monotonic() - began, cpu_of_stack(home) - used
        runs = api.runs(PIPELINE, days[0], days[-1])
        tasks = [task for run in runs for task in api.tasks(PIPELINE, run.dag_run_id)]
    finally:
        api.close()
        stack.down(home)
    return {
        "days": [str(day) for day in days],
        "wall": round(wall),
        "cpu": round(used),
        "green": sum(run.state == "success" for run in runs),
        "tasks": len(tasks),
        "retried": sorted(f"{task.dag_run_id} {task.task_id}" for task in tasks if task.try_number > 1),
        "locks": lines_about_locks(home),
        "dbt": sum(not read_json(path)["up_to_date"] for path in home.glob("runs/*/*/*/build/result.json")),
        "most_at_once": at_once([(str(run.start_date), str(run.end_date)) for run in runs]),
        "registry": published(Home(home)),
    }


def start(api: Airflow, running: stack.Stack, mode: str, days: list[date]) -> list[date]:
    """Create the mode's backfill; return the days that are left for daily runs."""
    later: list[date] = []
    if mode == "interleaved":
        later = days[-max(1, len(days) // 10) :]
        inside = days[len(days) // 2]
        api.trigger(PIPELINE, inside)
    days = days[: len(days) - len(later)]
    command = [
        str(bin_dir() / "airflow"), "backfill", "create", "--dag-id", PIPELINE,
        "--from-date", str(days[0]), "--to-date", str(days[-1]), *MODES[mode][1],
    ]  # fmt: skip
    done = subprocess.run(
        command, env=full_env(running.home, running.port), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise MatineeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return later


def follow(api: Airflow, days: Sequence[date], daily: list[date]) -> None:
    """Wait until all runs have ended; start the daily ones as the schedule does, one after another."""
    done = -1
    while True:
        states = {run.dag_run_id: run.state for run in api.runs(PIPELINE, days[0], days[-1])}
        ended = sum(state in ENDED for state in states.values())
        if ended != done:
            done = ended
            print(f"  {time.strftime('%H:%M:%S')} {done} of {len(days)} runs have ended", flush=True)
        if all(state in ENDED for name, state in states.items() if name.startswith("manual__")) and daily:
            day = daily.pop(0)
            api.trigger(PIPELINE, day)
        elif done == len(days):
            return
        time.sleep(3)


def cpu_of_stack(home: Path) -> float:
    """Sum the CPU seconds of the supervisor and of every process it started, ended ones included."""
    supervisor = psutil.Process(int((airflow_home(home) / "supervisord.pid").read_text(encoding="utf-8")))
    total = 0.0
    for process in [supervisor, *supervisor.children(recursive=True)]:
        try:
            total += sum(process.cpu_times()[:4])  # user and system, of the process and of its ended children
        except psutil.NoSuchProcess:
            continue
    return total


def lines_about_locks(home: Path) -> list[str]:
    """Find the lines about locks in all logs, of tasks and of Airflow's components.

    A component's log is read up to the signal that ends it: one that is stopped while it writes to SQLite waits for its
    own lock on the way out.
    """
    lines = []
    for path in sorted((home / "logs").rglob("*.log")):
        text = path.read_text(encoding="utf-8", errors="replace")
        for line in (text.rpartition(STOPPING)[0] or text).splitlines():
            if LOCKS.search(line):
                lines.append(f"{path.relative_to(home)}: {line[:300]}")
    return lines


def at_once(spans: Sequence[tuple[str, str]]) -> int:
    """The largest number of spans of time, given as ISO instants, that overlap."""
    return max(sum(start <= instant < end for start, end in spans) for instant, _ in spans)


def published(home: Home, pipeline: str = PIPELINE) -> dict[str, Any]:
    """A registry's content, comparable: the timeline without its order and without `live`, which depend on the mode."""
    versions = home.registry(pipeline) / "versions"
    lines = [
        {key: value for key, value in event.to_json().items() if key != "live"} for event in timeline(home, pipeline)
    ]
    pointer = alias(home, pipeline, "champion")
    return {
        "versions": contents(versions),
        "alias": None if pointer is None else pointer.to_json(),
        "timeline": sorted(lines, key=lambda line: str(line["version"])),
    }


HEADER = (
    "mode", "green runs", "same registry", "versions", "runs at once", "retried tasks",
    "log lines about locks", "dbt calls", "minutes", "CPU minutes",
)  # fmt: skip


def scheduler(home: Path, count: int, modes: Sequence[str]) -> str:
    """Run the modes that have not run yet, and lay out the table."""
    days, results = first_days(PIPELINE, count), {}
    for mode in modes:
        kept = home / mode / f"measured-{count}.json"
        if not kept.exists():
            print(f"{mode}: {days[0]} to {days[-1]}, state in {home / mode}", flush=True)
            shutil.rmtree(home / mode, ignore_errors=True)
            write_json(kept, run_mode(mode, home / mode, days))
        results[mode] = read_json(kept)
    first = results[modes[0]]["registry"]
    rows = [row(mode, count, figures, figures["registry"] == first) for mode, figures in results.items()]
    return "\n".join(
        [
            f"## {count} days through the scheduler",
            "",
            f"{PIPELINE}, as of {days[0]} to {days[-1]}; each mode in a state folder of its own, in which nothing was "
            'landed. "Same registry" compares every file of every version, the alias, and the timeline except for its '
            "order and `live`. CPU is that of the whole stack. Made by `python -m bench.backfill scheduler "
            f"--days {count} --write`.",
            "",
            table(HEADER, rows),
        ]
    )


def row(mode: str, count: int, figures: dict[str, Any], same: bool) -> tuple[str, ...]:
    """Lay out one mode's row; `same` says whether its registry is that of the first mode."""
    return (
        MODES[mode][0],
        f"{figures['green']} of {count}",
        "yes" if same else "NO",
        str(len({Path(name).parts[0] for name in figures["registry"]["versions"]})),
        str(figures["most_at_once"]),
        f"{len(figures['retried'])} of {figures['tasks']}",
        str(len(figures["locks"])),
        str(figures["dbt"]),
        f"{figures['wall'] / 60:.1f}",
        f"{figures['cpu'] / 60:.1f}",
    )
