"""The command that proves a run: what came after its day is changed in every way, and the run stays the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tasks.cli.days import AsOf, Data, Pipeline, console


def prove(
    pipeline: Pipeline,
    as_of: AsOf,
    data: Data = None,
    days: Annotated[int, typer.Option(min=1, max=60, help="Length of the future that is changed.")] = 7,
    scratch: Annotated[Path | None, typer.Option(help="Folder to work in; the state folder if absent.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=4, help="Worlds made at once.")] = 2,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the worlds' files there, to look at them.")] = False,
) -> None:
    """Change what came after a day in every way, and show that its run stays the same; exits with 1 if not."""
    from tasks.proof.prove import prove as find
    from tasks.proof.prove import render
    from tasks.runs.run import Run

    run = Run.create(pipeline, as_of.date(), "prove", data=data)
    console.print(
        f"[bold]{run.spec.name}[/bold] as of {run.as_of}, in worlds that differ in what came after it", highlight=False
    )
    proof = find(run, console, days=days, scratch=scratch, keep=keep, jobs=jobs)
    console.print(render(proof), highlight=False, soft_wrap=True)
    if not proof.holds:
        raise typer.Exit(1)
