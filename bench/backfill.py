"""Are backfills safe and cheap? `python -m bench.backfill sql`, and `python -m bench.backfill scheduler --days 30`.

`scheduler` runs the same days of the streaming pipeline through three Airflow stacks, each on a state folder of its own
in which nothing is landed yet: forward with one active run; backwards with four; and backwards with two, while daily
runs go on for a day inside the range and for the days behind it. Then it compares what the three have published, and
looks for second tries and for words about locks in every log. What a mode has measured is kept in its folder: with the
same `--home`, it is not run again.

`sql` measures the SQL part alone, in CPU seconds of child processes: one build of the whole range; what the build steps
of a backfill's runs do; and full builds, each from an empty warehouse.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import resource
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psutil

from bench._results import FOLDER, home_of, table
from tasks import stack
from tasks.backfill import build_all
from tasks.build import build, build_step, needed_by
from tasks.errors import MatineeError
from tasks.home import Home, atomic_dir, read_json, write_json
from tasks.land import land
from tasks.registry import alias, contents, timeline
from tasks.rest import Airflow
from tasks.run import Run
from tasks.spec import Spec, load_shape
from tasks.stack_env import PROJECT, airflow_home, bin_dir, full_env
from tasks.warehouse import reader_if_built
from tasks.windows import first_as_of, landing_start

PIPELINE = "streaming"
DAY = timedelta(days=1)
MODES = {
    "forward": ("forward, 1 active run", ("--max-active-runs", "1")),
    "backward": ("backwards, 4 active runs", ("--run-backwards", "--max-active-runs", "4")),
    "interleaved": ("backwards, 2 active runs, beside daily runs", ("--run-backwards", "--max-active-runs", "2")),
}
ENDED = ("success", "failed")
LOCKS = re.compile(
    r"could not set lock|conflicting lock|is locked|another process has|somebody else holds|deadlock|lock timeout", re.I
)
FULL_BUILDS = 3


def range_of(count: int) -> list[date]:
    """Return the first as-of days of the pipeline."""
    return [first_as_of(_spec()) + n * DAY for n in range(count)]


def _spec() -> Spec:
    return load_shape(PROJECT / "pipelines" / f"{PIPELINE}.yaml")


# ---- the real scheduler ----------------------------------------------------------------------------------------------


def run_mode(mode: str, home: Path, days: list[date]) -> dict[str, Any]:
    """Run the days in a stack of their own, and return what is to be compared."""
    found = stack.up(home, say=print)
    api = Airflow(found.home, found.port)
    try:
        while api.dag(PIPELINE) is None:
            time.sleep(1)
        api.pause(PIPELINE, False)
        began, used = time.monotonic(), cpu_of_stack(home)
        follow(api, days, start(api, found, mode, days))
        wall, used = time.monotonic() - began, cpu_of_stack(home) - used
        runs = api.runs(PIPELINE, days[0], days[-1])
        tasks = [task for run in runs for task in api.tasks(PIPELINE, run["dag_run_id"])]
    finally:
        api.close()
        stack.down(home)
    return {
        "days": [str(day) for day in days],
        "wall": round(wall),
        "cpu": round(used),
        "green": sum(run["state"] == "success" for run in runs),
        "tasks": len(tasks),
        "retried": sorted(f"{t['dag_run_id']} {t['task_id']}" for t in tasks if t["try_number"] > 1),
        "locks": lines_about_locks(home),
        "dbt": sum(not read_json(path)["up_to_date"] for path in home.glob("runs/*/*/*/build/result.json")),
        "most_at_once": at_once([(run["start_date"], run["end_date"]) for run in runs]),
        "registry": published(Home(home)),
    }


def start(api: Airflow, found: stack.Stack, mode: str, days: list[date]) -> list[date]:
    """Create the mode's backfill; return the days that are left to daily runs."""
    later: list[date] = []
    if mode == "interleaved":
        later = days[-max(1, len(days) // 10) :]
        inside = days[len(days) // 2]
        api.trigger(PIPELINE, inside, f"daily__{inside}")
    days = days[: len(days) - len(later)]
    command = [
        str(bin_dir() / "airflow"), "backfill", "create", "--dag-id", PIPELINE,
        "--from-date", str(days[0]), "--to-date", str(days[-1]), *MODES[mode][1],
    ]  # fmt: skip
    done = subprocess.run(command, env=full_env(found.home, found.port), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MatineeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return later


def follow(api: Airflow, days: Sequence[date], daily: list[date]) -> None:
    """Wait until all runs have ended; start the daily ones as the schedule does, one after another."""
    done = -1
    while True:
        states = {run["dag_run_id"]: run["state"] for run in api.runs(PIPELINE, days[0], days[-1])}
        ended = sum(state in ENDED for state in states.values())
        if ended != done:
            done = ended
            print(f"  {time.strftime('%H:%M:%S')} {done} of {len(days)} runs have ended", flush=True)
        if all(state in ENDED for name, state in states.items() if name.startswith("daily__")) and daily:
            day = daily.pop(0)
            api.trigger(PIPELINE, day, f"daily__{day}")
        elif done == len(days):
            return
        time.sleep(3)


def cpu_of_stack(home: Path) -> float:
    """Return the CPU seconds of the supervisor and all it started, those that have ended included."""
    supervisor = psutil.Process(int((airflow_home(home) / "supervisord.pid").read_text(encoding="utf-8")))
    total = 0.0
    for process in [supervisor, *supervisor.children(recursive=True)]:
        try:
            total += sum(process.cpu_times()[:4])  # user and system, its own and of its ended children
        except psutil.NoSuchProcess:
            continue
    return total


def lines_about_locks(home: Path) -> list[str]:
    """Return the lines of all logs, of tasks and of Airflow's components, that speak of locks."""
    found = []
    for path in sorted((home / "logs").rglob("*.log")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if LOCKS.search(line):
                found.append(f"{path.relative_to(home)}: {line[:300]}")
    return found


def at_once(spans: Sequence[tuple[str, str]]) -> int:
    """Return how many spans of time, given as ISO instants, overlap at most."""
    return max(sum(start <= instant < end for start, end in spans) for instant, _ in spans)


def published(home: Home) -> dict[str, Any]:
    """Return a registry so that equal ones are equal: of the timeline neither the order nor what was live."""
    versions = home.registry(PIPELINE) / "versions"
    lines = [{key: value for key, value in event.items() if key != "live"} for event in timeline(home, PIPELINE)]
    return {
        "versions": contents(versions),
        "alias": alias(home, PIPELINE, "champion"),
        "timeline": sorted(lines, key=lambda line: str(line["version"])),
    }


def scheduler(home: Path, count: int, modes: Sequence[str]) -> str:
    """Run what has not run yet, and return the table."""
    days, results = range_of(count), {}
    for mode in modes:
        kept = home / mode / f"measured-{count}.json"
        if not kept.exists():
            print(f"{mode}: {days[0]} to {days[-1]}, state in {home / mode}", flush=True)
            shutil.rmtree(home / mode, ignore_errors=True)
            write_json(kept, run_mode(mode, home / mode, days))
        results[mode] = read_json(kept)
    first = results[modes[0]]["registry"]
    rows = [
        (
            MODES[mode][0],
            f"{found['green']} of {count}",
            "yes" if found["registry"] == first else "NO",
            f"{len({Path(name).parts[0] for name in found['registry']['versions']})}",
            str(found["most_at_once"]),
            f"{len(found['retried'])} of {found['tasks']}",
            str(len(found["locks"])),
            str(found["dbt"]),
            f"{found['wall'] / 60:.1f}",
            f"{found['cpu'] / 60:.1f}",
        )
        for mode, found in results.items()
    ]
    header = (
        "mode", "green runs", "same registry", "versions", "runs at once", "tasks tried again",
        "log lines on locks", "dbt calls", "minutes", "CPU minutes",
    )  # fmt: skip
    return "\n".join(
        [
            f"## {count} days through the scheduler",
            "",
            f"{PIPELINE}, as of {days[0]} to {days[-1]}; each mode in a state folder of its own, in which nothing was "
            "landed. The same registry: every file of every version, the alias, and the timeline but for its order "
            "and `live`. CPU of the whole stack. Made by `python -m bench.backfill scheduler "
            f"--days {count} --write`.",
            "",
            table(header, rows),
        ]
    )


# ---- the SQL part alone ----------------------------------------------------------------------------------------------


def one_build(home: Path, days: list[date]) -> None:
    """Build all days with one dbt invocation."""
    spec = _spec()
    with atomic_dir(home / "runs" / "range") as folder:
        build(spec, Home(home), needed_by(spec, Home(home), days), folder)


def build_steps(home: Path, days: list[date]) -> None:
    """Do what the build steps of runs do that were queued together and run in this order."""
    for number, day in enumerate(days):
        build_step(Run.create(PIPELINE, day, "bench", home=Home(home)), days[number + 1 :])


def one_build_step(home: Path, day: date, waiting: list[date]) -> None:
    """Do what the build step of one run does."""
    build_step(Run.create(PIPELINE, day, "bench", home=Home(home)), waiting)


def start_up(home: Path, day: date) -> None:
    """Do what a build step's process does before it looks at anything: import, read the pipeline file, open DuckDB."""
    from tasks.land import open_source

    run = Run.create(PIPELINE, day, "bench", home=Home(home))
    open_source(run.spec, run.home)
    with reader_if_built(run.home, PIPELINE):
        return


def shell(home: Path, days: list[date]) -> None:
    """Do what `matinee backfill` does: build the range, then find in each run that there is nothing to build."""
    runs = [Run.create(PIPELINE, day, "bench", home=Home(home)) for day in days]
    build_all(runs)
    for run in runs:
        build_step(run)


def cpu_of(function: Callable[..., None], *given: Any) -> float:
    """Call a function in a new process, and return its CPU seconds, its start-up included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = multiprocessing.get_context("spawn").Process(target=function, args=given)
    process.start()
    process.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.exitcode != 0:
        raise MatineeError(f"{function.__name__} ended with exit code {process.exitcode}; see above")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def forget(home: Path) -> None:
    """Empty the warehouse; the landing and dbt's parse cache stay."""
    for name in ("warehouse", "runs", "backfills"):
        shutil.rmtree(home / name, ignore_errors=True)


def measure(home: Path, days: list[date]) -> dict[str, float]:
    """Return the CPU seconds of every way to build the days."""
    found: dict[str, float] = {}
    for name, function, order in (
        ("one build of the range", one_build, days),
        ("build steps, forward", build_steps, days),
        ("build steps, backwards", build_steps, days[::-1]),
        ("`matinee backfill`", shell, days),
    ):
        forget(home)
        found[name] = cpu_of(function, home, order)
    forget(home)
    found["build steps, backwards, a process each"] = sum(
        cpu_of(one_build_step, home, day, [*days[:number], *days[number + 1 :]])
        for number, day in reversed(list(enumerate(days)))
    )
    some = days[:FULL_BUILDS]
    found["start-up of these processes"] = sum(cpu_of(start_up, home, day) for day in some) * len(days) / len(some)
    found["full builds, one a day"] = 0.0
    for day in (days[0], days[len(days) // 2], days[-1]):
        forget(home)
        found["full builds, one a day"] += cpu_of(one_build, home, [day]) * len(days) / FULL_BUILDS
    return found


def sql(home: Path, count: int, repeats: int) -> str:
    """Measure `repeats` times, and return the table."""
    days = range_of(count)
    land(_spec(), Home(home), landing_start(_spec(), days[0]), days[-1])
    cpu_of(one_build, home, days[:1])  # fills dbt's parse cache
    found = []
    for number in range(repeats):
        found.append(measure(home, days))
        print(f"  {number + 1} of {repeats}: {found[-1]}", flush=True)
    base, full = "one build of the range", "full builds, one a day"
    rows = [
        (
            name,
            f"{statistics.median(one[name] for one in found):.1f}",
            f"{statistics.median(one[name] / one[base] for one in found):.2f}",
            f"{statistics.median(one[full] / one[name] for one in found):.1f}",
        )
        for name in found[0]
    ]
    return "\n".join(
        [
            f"## The SQL part of {count} days",
            "",
            f"{PIPELINE}, as of {days[0]} to {days[-1]}, everything landed. CPU seconds of child processes, Python's "
            f"start-up and imports included; medians of {repeats} run(s) of all rows, ratios paired in a run. Build steps "
            "know the days that wait, and run in one process unless it says otherwise; Airflow starts one for each. Full "
            f"builds start from an empty warehouse; {FULL_BUILDS} of them (first, middle and last day) stand for all. "
            f"Made by `python -m bench.backfill sql --days {count} --write`.",
            "",
            table(("", "CPU s", "× one build", "full builds ÷ it"), rows),
        ]
    )


# ---- the page --------------------------------------------------------------------------------------------------------


def keep(section: str, text: str) -> None:
    """Replace one of the two sections of the results page."""
    path = FOLDER / "backfill.md"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = dict(re.findall(r"<!-- (\w+) -->\n(.*?)\n(?=\n<!--|\Z)", old, re.S)) | {section: text}
    FOLDER.mkdir(exist_ok=True)
    body = "\n\n".join(f"<!-- {name} -->\n{parts[name]}" for name in ("scheduler", "sql") if name in parts)
    path.write_text(f"# Backfills\n\n{body}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("scheduler", "sql"), default="sql")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--home", type=Path, help="state folder; a temporary one if absent")
    parser.add_argument("--modes", nargs="+", choices=list(MODES), default=list(MODES), help="of `scheduler`")
    parser.add_argument("--repeats", type=int, default=3, help="of `sql`")
    parser.add_argument("--write", action="store_true", help="keep the table in bench/results/")
    given = parser.parse_args()
    with home_of(given.home) as home:
        if given.what == "scheduler":
            text = scheduler(home, given.days, given.modes)
        else:
            text = sql(home, given.days, given.repeats)
    print(text)
    if given.write:
        keep(given.what, text)


if __name__ == "__main__":
    main()
