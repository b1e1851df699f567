"""Commands about days: what a run of a day would do, and a range of days."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from tasks.cli.options import AsOf, Data, DryRun, Json, Pipeline, grouped_options, open_run
from tasks.cli.values import MOST_AT_ONCE, calendar_day, whole_number
from tasks.operations.terminal import plain_console

if TYPE_CHECKING:
    from tasks.runs.run import Run

console = plain_console()


@dataclass(frozen=True)
class Range:
    """Options of `backfill` that say which days are run, and how many at once."""

    first: Annotated[date, calendar_day("--from", meaning="First as-of day.")]
    last: Annotated[date, calendar_day("--to", meaning="Last as-of day.")]
    parallel: Annotated[int, whole_number(1, MOST_AT_ONCE, meaning="Days that are trained side by side.")] = 1


def plan(pipeline: Pipeline, as_of: AsOf, data: Data = None, as_json: Json = False) -> None:
    """Say what a run of the day would land, build and make, and why; nothing is written."""
    # The attempt is only a name: nothing is written, so there will be no such folder.
    run = open_run(pipeline, as_of, "plan", data)
    from tasks.cli.answers import planned, write_answer
    from tasks.cli.render.plan import render_plan
    from tasks.evaluation.champion import outdated_verdicts
    from tasks.operations.plan import plan_run

    with console.status("reading the landing and the tables …"):
        made, outdated = plan_run(run), outdated_verdicts(run.home, run.spec)
    if as_json:
        write_answer(planned(run.spec, made, outdated))
    else:
        console.print(render_plan(run.spec, made, outdated), soft_wrap=True)


@grouped_options
def backfill(
    pipeline: Pipeline,
    days: Range,
    data: Data = None,
    dry_run: DryRun = False,
    again: Annotated[bool, typer.Option("--again", help="Also run days that are finished.")] = False,
) -> None:
    """Run a range of days: land and build it once, train its days, skip finished ones. The live alias never goes back.

    Stopped anywhere, the same command continues. Exit codes: 0 every day is published, 1 a day failed, 3 no day
    failed, but one failed a gate.
    """
    from tasks.operations.backfill import ATTEMPT, days_between, only_one
    from tasks.runs.run import Run
    from tasks.spec.load import load_spec
    from tasks.spec.project import pipeline_path
    from tasks.store.files import default_home

    home = default_home()
    as_of_days = days_between(load_spec(pipeline_path(pipeline)), days.first, days.last)
    first = Run.create(pipeline, as_of_days[0], ATTEMPT, home=home, data=data)
    # The others by their days alone: each `create` reads the pipeline file again.
    runs = [replace(first, as_of=day) for day in as_of_days]
    # Without the lock, because a survey only reads: it may be made while a backfill runs.
    if dry_run:
        _print_survey(runs, days.parallel, again=again)
        return
    with only_one(runs[0].home, runs[0].spec):
        code = _backfill(runs, days.parallel, again=again)
    raise typer.Exit(code)


def _print_survey(runs: list[Run], parallel: int, *, again: bool) -> bool:
    """Print what is to be done, and say whether there is anything."""
    from tasks.cli.render.backfill import render_survey
    from tasks.operations.backfill import survey

    build_plan, days = survey(runs, again=again)
    console.print(render_survey(runs[0].spec, build_plan, days, parallel), soft_wrap=True)
    return not all(day.done for day in days)


def _backfill(runs: list[Run], parallel: int, *, again: bool) -> int:
    from tasks.cli.render.backfill import BackfillProgress, render_outcome
    from tasks.operations.backfill import DayState, build_all, land_all, run_days, survey

    started = time.monotonic()
    if not _print_survey(runs, parallel, again=again):
        return 0
    try:
        with console.status("landing …") as status:
            land_all(runs, lambda done, total, day: status.update(f"landing {day} ({done} of {total}) …"))
        with console.status("building …"):
            build_all(runs)
        _, before = survey(runs, again=again)  # only now, with everything landed, have all versions a name
        with BackfillProgress(console, before) as progress:
            after = run_days(runs, before, parallel, progress.tick)
    except KeyboardInterrupt:
        console.print("Stopped. Finished days are kept; run the same command again to continue.")
        return 130  # 128 + SIGINT, as a shell reports what Ctrl-C has ended
    console.print(render_outcome(after, before, time.monotonic() - started))
    states = {day.state for day in after}
    return 1 if DayState.FAILED in states else 3 if DayState.GATE_FAILED in states else 0
