"""The command that compares the features that serving logged with the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tasks.cli.days import console
from tasks.cli.options import AsOf, Pipeline

if TYPE_CHECKING:
    from tasks.monitoring.skew import Skew


def skew(pipeline: Pipeline, as_of: AsOf) -> None:
    """Compare the features logged by serving on a day with the tables; exits with 1 on a difference.

    Serving logs with `python -m serving.app … --log-features 0.01`.
    """
    from tasks.errors import MatineeError
    from tasks.monitoring.serving_log import served_dir
    from tasks.monitoring.skew import skew_of
    from tasks.runs.run import Run

    run = Run.create(pipeline, as_of.date(), "cli")
    comparison = skew_of(run)
    if comparison is None:
        raise MatineeError(
            f"{served_dir(run.home, run.spec.name, run.as_of)}: nothing was logged on {run.as_of}; expected log "
            "files of the serving application: start it with `--log-features 0.01`"
        )
    console.print(render_skew(run.spec.name, comparison), soft_wrap=True)
    if comparison.differs:
        raise typer.Exit(1)


def render_skew(pipeline: str, skew: Skew) -> RenderableType:
    """Lay out the comparison as a table, with what is wrong below it."""
    table = Table(title=f"{pipeline}: {skew.requests} answers served on {skew.days[0]}", title_justify="left")
    table.add_column("feature")
    for name in ("compared", "different", "missing"):
        table.add_column(name, justify="right")
    table.add_column("example")
    for row in skew.features:
        style = "red" if row.level == "different" else "dim" if row.level == "not compared" else ""
        counts = [f"{count:,}" for count in (row.compared, row.different, row.missing)]
        table.add_row(row.feature, *counts, Text(row.example or row.level), style=style)
    versions = ", ".join(f"{served.version} ({served.requests})" for served in skew.versions)
    lines = [Text(f"versions: {versions or 'none'}")]
    lines += [Text(text, style="red") for text in (skew.stale, skew.problem) if text]
    return Group(table, *lines)
