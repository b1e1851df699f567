"""Commands that write pages: a pipeline across days, its champions and versions, and its SQL as dbt documents it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tasks.cli.days import console
from tasks.cli.options import Pipeline
from tasks.cli.values import MOST_DAYS, file_to_write, whole_number


def overview(
    pipeline: Pipeline,
    days: Annotated[int, whole_number(1, MOST_DAYS, meaning="Days to show, up to the latest that has run.")] = 90,
    out: Annotated[
        Path | None,
        file_to_write(meaning="File for the overview alone; all pages go to MATINEE_HOME/pages if absent."),
    ] = None,
) -> None:
    """Write the pages of a pipeline across days: outcomes, checks, volumes, metrics; champion timeline; versions."""
    from tasks.reports.page_routes import write_overview, write_pages
    from tasks.spec.project import pipeline_name
    from tasks.store.home import existing_home

    home, name = existing_home(), pipeline_name(pipeline)
    if out is not None:
        console.print(str(write_overview(home, name, out, days)), highlight=False, soft_wrap=True)
        return
    # soft_wrap: a path that is broken into two lines cannot be copied.
    for path in write_pages(home, name, days):
        console.print(str(path), highlight=False, soft_wrap=True)


def sql_docs(pipeline: Pipeline) -> None:
    """Write the page on the pipeline's tables and their lineage, as dbt documents them; made once for each state."""
    from tasks.features.dbt_docs import make_docs
    from tasks.spec.load import load_spec
    from tasks.spec.project import pipeline_path
    from tasks.store.files import default_home

    with console.status("dbt reads the project …"):
        path = make_docs(default_home(), load_spec(pipeline_path(pipeline)))
    console.print(str(path), highlight=False, soft_wrap=True)
