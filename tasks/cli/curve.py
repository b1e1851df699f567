"""The command that asks whether the sample is enough."""

from __future__ import annotations

from typing import Annotated

import typer

from tasks.cli.options import AsOf, Attempt, Json, Pipeline, open_run
from tasks.cli.values import whole_number
from tasks.errors import quoted
from tasks.operations.terminal import plain_console
from tasks.runs.step_log import log_everything
from tasks.spec.populations import EVERYBODY_ELSE

console = plain_console()


def curve(
    pipeline: Pipeline,
    as_of: AsOf,
    attempt: Attempt = "cli",
    seeds: Annotated[int, whole_number(1, 20, meaning="Models for each share of the groups.")] = 3,
    population: Annotated[str, typer.Option(help="Whose model; `*` is everybody else's.")] = EVERYBODY_ELSE,
    as_json: Json = False,
) -> None:
    """Train on growing parts of a run's sample: is it enough, and what would more data bring?

    Five times as many models as seeds are trained. The curve is kept with the run, and its report is made again.
    """
    from tasks.cli.answers import write_answer
    from tasks.cli.render.curve import render_curve
    from tasks.reports.run_report import report_step
    from tasks.training.learning_curve import measure_learning_curve
    from tasks.training.train import populations

    run = open_run(pipeline, as_of, attempt)
    if population not in (known := populations(run)):
        raise typer.BadParameter(f"--population: unknown {quoted(population)}; expected one of {', '.join(known)}")
    log_everything()
    measured = measure_learning_curve(run, population, seeds)
    if (run.step_dir("report") / "result.json").exists():
        report_step(run)
    if as_json:
        write_answer(measured)
    else:
        console.print(render_curve(measured), highlight=False, soft_wrap=True)
