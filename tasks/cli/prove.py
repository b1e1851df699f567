"""The command that proves a run: the data after its day is changed in every way, and the run must stay the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tasks.cli.days import console
from tasks.cli.options import AsOf, Data, Pipeline, grouped_options, open_run
from tasks.cli.values import whole_number


@dataclass(frozen=True)
class Work:
    """Options of `prove` on how the scenarios are run."""

    days: Annotated[int, whole_number(1, 60, meaning="Days after the run's that are changed.")] = 7
    scratch: Annotated[Path | None, typer.Option(help="Folder to work in; the state folder if absent.")] = None
    jobs: Annotated[int, whole_number(1, 4, meaning="Scenarios run at once.")] = 2
    keep: Annotated[bool, typer.Option("--keep", help="Keep the scenarios' files, to inspect them.")] = False


@grouped_options
def prove(pipeline: Pipeline, as_of: AsOf, work: Work, data: Data = None) -> None:
    """Change the data after a day in every way, and show that its run stays the same; exits with 1 if it does not."""
    run = open_run(pipeline, as_of, "prove", data)
    from tasks.proof.prove import prove as prove_run
    from tasks.proof.prove import render, work_folder

    words = f" as of {run.as_of}, in scenarios that differ in the data after it"
    console.print(Text.assemble((run.spec.name, "bold"), words))
    with work_folder(run, console, work.scratch, work.keep) as folder:
        proof = prove_run(run, console, folder, days=work.days, jobs=work.jobs)
    console.print(render(proof), highlight=False, soft_wrap=True)
    if not proof.passed:
        raise typer.Exit(1)
