"""The command that writes a pipeline's pages across days: overview, champion timeline, one for each version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tasks.cli_days import Pipeline, console


def overview(
    pipeline: Pipeline,
    days: Annotated[int, typer.Option(min=1, max=3660, help="Days to show, up to the latest that has run.")] = 90,
    out: Annotated[
        Path | None, typer.Option(help="File for the overview alone; all pages go to MATINEE_HOME/pages if absent.")
    ] = None,
) -> None:
    """Write the pages of a pipeline across days: outcomes, checks, volumes, metrics; champion timeline; versions."""
    from tasks.home import default_home
    from tasks.page_files import write_overview, write_pages

    home = default_home()
    if out is not None:
        console.print(str(write_overview(home, pipeline, out, days)), highlight=False, soft_wrap=True)
        return
    for path in write_pages(home, pipeline, days):
        console.print(str(path), highlight=False, soft_wrap=True)
