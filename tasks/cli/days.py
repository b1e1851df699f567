"""Commands about days: what a day would make, and a range of days."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from tasks.runs.run import Run

console = Console()

Pipeline = Annotated[str, typer.Argument(help="Name in pipelines/, or path of a pipeline file.")]
AsOf = Annotated[
    datetime,
    typer.Option("--as-of", formats=["%Y-%m-%d"], help="UTC day; everything known by its end counts."),
]
Data = Annotated[Path | None, typer.Option("--data", help="Folder of a `files` source.")]


def plan(pipeline: Pipeline, as_of: AsOf, data: Data = None) -> None:
    """Say what a run of the day would land, build and make, and why; nothing is written."""
    from tasks.cli.render_plan import render_plan
    from tasks.evaluation.champion import outdated_verdicts
    from tasks.operations.plan import intent
    from tasks.runs.run import Run

    run = Run.create(pipeline, as_of.date(), "plan", data=data)
    console.print(render_plan(run.spec, intent(run), outdated_verdicts(run.home, run.spec)), soft_wrap=True)


def backfill(
    pipeline: Pipeline,
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First as-of day.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last as-of day.")],
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Days that are trained side by side.")] = 1,
    data: Data = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Run days that are done already, too.")] = False,
) -> None:
    """Run a range of days: land and build it once, train its days, skip what is done; the live alias never goes back.

    Stopped anywhere, the same command goes on from there. Exit codes: 0 every day is published, 1 a day failed,
    3 none failed, but a gate refused one.
    """
    from tasks.operations.backfill import ATTEMPT, days_between, only_one
    from tasks.runs.run import Run
    from tasks.spec.load import load_spec
    from tasks.spec.project import pipeline_path

    days = days_between(load_spec(pipeline_path(pipeline)), first.date(), last.date())
    runs = [Run.create(pipeline, day, ATTEMPT, data=data) for day in days]
    if dry_run:
        _announce(runs, parallel, again=again)
        return
    with only_one(runs[0].home, runs[0].spec):
        code = _backfill(runs, parallel, again=again)
    raise typer.Exit(code)


def _announce(runs: list[Run], parallel: int, *, again: bool) -> bool:
    """Say what is to be done; return whether there is anything."""
    from tasks.cli.render_backfill import announcement
    from tasks.operations.backfill import look

    found, days = look(runs, again=again)
    console.print(announcement(runs[0].spec, found, days, parallel), soft_wrap=True)
    return not all(day.done for day in days)


def _backfill(runs: list[Run], parallel: int, *, again: bool) -> int:
    from tasks.cli.render_backfill import Display, outcome
    from tasks.operations.backfill import build_all, land_all, look, run_days

    began = time.monotonic()
    if not _announce(runs, parallel, again=again):
        return 0
    try:
        with console.status("landing …") as status:
            land_all(runs, lambda done, total, day: status.update(f"landing {day} ({done} of {total}) …"))
        with console.status("building …"):
            build_all(runs)
        _, before = look(runs, again=again)
        with Display(console, before) as display:
            after = run_days(runs, before, parallel, display.tick)
    except KeyboardInterrupt:
        console.print("stopped; what had ended is kept, and the same command goes on from there")
        return 130
    console.print(outcome(after, before, time.monotonic() - began))
    states = {day.state for day in after}
    return 1 if "failed" in states else 3 if "refused" in states else 0
