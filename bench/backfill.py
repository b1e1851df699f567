"""Are backfills safe and cheap? `python -m bench.backfill sql`, and `python -m bench.backfill scheduler --days 30`.

`scheduler` runs the same days of the streaming pipeline through three Airflow stacks, each on a state folder of its own
in which nothing is landed yet: forward with one active run; backwards with four; and backwards with two, while daily
runs continue for a day inside the range and for the days after it. Then it compares what the three have published, and
searches every log for retries and for messages about locks. The figures of a mode are kept in its folder, so that the
same `--home` does not run it again.

`sql` measures the SQL part alone, in CPU seconds of child processes: one build of the whole range; the build steps of a
backfill's runs; and full builds, each from an empty warehouse.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import statistics
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from bench._results import home_of, keep, table
from bench._through_airflow import MODES, PIPELINE, first_days, scheduler
from tasks.errors import MatineeError
from tasks.features.build import build, build_step, needed_by
from tasks.features.engines import warehouse_of
from tasks.operations.backfill import build_all
from tasks.runs.run import Run
from tasks.sources.land import land
from tasks.spec.load import load_shape
from tasks.spec.project import pipeline_path
from tasks.spec.windows import landing_start
from tasks.store.atomic import atomic_dir
from tasks.store.files import Home

FULL_BUILDS = 3


def one_build(pipeline: str, home: Path, days: list[date]) -> None:
    """Build all days with one dbt invocation."""
    spec = load_shape(pipeline_path(pipeline))
    with atomic_dir(home / "runs" / "range") as folder:
        build(spec, Home(home), needed_by(spec, Home(home), days), folder)


def build_steps(pipeline: str, home: Path, days: list[date]) -> None:
    """Run the build steps of runs that were queued together, in this order."""
    for number, day in enumerate(days):
        build_step(Run.create(pipeline, day, "bench", home=Home(home)), days[number + 1 :])


def one_build_step(pipeline: str, home: Path, day: date, waiting: list[date]) -> None:
    """Run the build step of one run while others wait."""
    build_step(Run.create(pipeline, day, "bench", home=Home(home)), waiting)


def start_up(pipeline: str, home: Path, day: date) -> None:
    """What every build step's process pays first: imports, reading the pipeline file, opening DuckDB."""
    from tasks.sources.land import open_source

    run = Run.create(pipeline, day, "bench", home=Home(home))
    open_source(run.spec, run.home)
    warehouse_of(run.home, run.spec.name).ledger()


def backfill_command(pipeline: str, home: Path, days: list[date]) -> None:
    """What `matinee backfill` does: build the range, then find nothing to build in each run."""
    runs = [Run.create(pipeline, day, "bench", home=Home(home)) for day in days]
    build_all(runs)
    for run in runs:
        build_step(run)


def cpu_of(function: Callable[..., None], *given: Any) -> float:
    """Call a function in a new process and measure its CPU seconds, start-up included.

    Raises:
        MatineeError: the process failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = multiprocessing.get_context("spawn").Process(target=function, args=given)
    process.start()
    process.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.exitcode != 0:
        raise MatineeError(f"{function.__name__} ended with exit code {process.exitcode}; see above")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def empty_warehouse(home: Path) -> None:
    """Empty the warehouse; the landing and dbt's parse cache stay."""
    for name in ("warehouse", "runs", "backfills"):
        shutil.rmtree(home / name, ignore_errors=True)


def measure(pipeline: str, home: Path, days: list[date]) -> dict[str, float]:
    """Measure the CPU seconds of every way to build the days."""
    seconds: dict[str, float] = {}
    for name, function, order in (
        ("one build of the range", one_build, days),
        ("build steps, forward", build_steps, days),
        ("build steps, backwards", build_steps, days[::-1]),
        ("`matinee backfill`", backfill_command, days),
    ):
        empty_warehouse(home)
        seconds[name] = cpu_of(function, pipeline, home, order)
    empty_warehouse(home)
    seconds["build steps, backwards, a process each"] = sum(
        cpu_of(one_build_step, pipeline, home, day, [*days[:number], *days[number + 1 :]])
        for number, day in reversed(list(enumerate(days)))
    )
    sampled = days[:FULL_BUILDS]
    seconds["start-up of these processes"] = (
        sum(cpu_of(start_up, pipeline, home, day) for day in sampled) * len(days) / len(sampled)
    )
    seconds["full builds, one a day"] = 0.0
    for day in (days[0], days[len(days) // 2], days[-1]):
        empty_warehouse(home)
        seconds["full builds, one a day"] += cpu_of(one_build, pipeline, home, [day]) * len(days) / FULL_BUILDS
    return seconds


def sql(pipeline: str, home: Path, count: int, repeats: int) -> str:
    """Measure `repeats` times, and lay out the table."""
    days = first_days(pipeline, count)
    spec = load_shape(pipeline_path(pipeline))
    land(spec, Home(home), landing_start(spec, days[0]), days[-1])
    cpu_of(one_build, pipeline, home, days[:1])  # fills dbt's parse cache
    measured = []
    for number in range(repeats):
        measured.append(measure(pipeline, home, days))
        print(f"  {number + 1} of {repeats}: {measured[-1]}", flush=True)
    base, full = "one build of the range", "full builds, one a day"
    rows = [
        (
            name,
            f"{statistics.median(one[name] for one in measured):.1f}",
            f"{statistics.median(one[name] / one[base] for one in measured):.2f}",
            f"{statistics.median(one[full] / one[name] for one in measured):.1f}",
        )
        for name in measured[0]
    ]
    return "\n".join(
        [
            f"## The SQL part of {count} days",
            "",
            f"{spec.name}, as of {days[0]} to {days[-1]}, everything landed. CPU seconds of child processes, Python's "
            f"start-up and imports included; medians of {repeats} run(s) of all rows, ratios paired in a run. Build "
            "steps know the days that wait; Airflow starts a process for each, here they share one unless the row says "
            f"otherwise. Full builds start from an empty warehouse; {FULL_BUILDS} of them (first, middle and last day) "
            "stand for all. "
            f"Made by `python -m bench.backfill sql --days {count} --write`.",
            "",
            table(("", "CPU s", "× one build", "full builds ÷ it"), rows),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("scheduler", "sql"), default="sql")
    parser.add_argument("--pipeline", default=PIPELINE, help="name of a pipeline, or its file; of `sql`")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--home", type=Path, help="state folder; a temporary one if absent")
    parser.add_argument("--modes", nargs="+", choices=list(MODES), default=list(MODES), help="of `scheduler`")
    parser.add_argument("--repeats", type=int, default=3, help="of `sql`")
    parser.add_argument("--write", action="store_true", help="keep the table in bench/results/")
    given = parser.parse_args(arguments)
    with home_of(given.home) as home:
        if given.what == "scheduler":
            text = scheduler(home, given.days, given.modes)
        else:
            text = sql(given.pipeline, home, given.days, given.repeats)
    print(text)
    if given.write:
        keep("backfill", "Backfills", ("scheduler", "sql"), given.what, text)


if __name__ == "__main__":
    main()
