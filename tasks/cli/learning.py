"""Commands that train again to learn about a model: how much training is noise, and what each part of it is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tasks.cli.days import console
from tasks.cli.options import AsOf, Json, Pipeline
from tasks.cli.values import folder_name, whole_number
from tasks.spec.parts import MOST_TRAININGS

if TYPE_CHECKING:
    from tasks.evaluation.ablation import Ablation
    from tasks.evaluation.noise import NoiseFloor
    from tasks.runs.run import Run

TrainedRun = Annotated[
    str | None,
    folder_name(
        "--attempt", meaning="Run whose sample and models are used; the day's latest that has some, if absent."
    ),
]


def noise(
    pipeline: Pipeline,
    as_of: AsOf,
    seeds: Annotated[int, whole_number(2, MOST_TRAININGS, meaning="How often the settings are trained again.")] = 5,
    attempt: TrainedRun = None,
    as_json: Json = False,
) -> None:
    """Train a day's settings again, with other seeds and on other draws of the users: how far apart are the metrics?

    The result is kept in the run's folder and shown in its report; `evaluate: {noise: {seeds: 5}}` in the pipeline file
    has each run measure it, and its gates reckon with it.
    """
    from tasks.cli.answers import MeasuredNoise, write_answer
    from tasks.evaluation.measured_noise import measure_noise
    from tasks.runs.inspection import run_to_inspect
    from tasks.runs.step_log import log_everything, narrated
    from tasks.store.home import existing_home

    log_everything()
    run = run_to_inspect(pipeline, as_of, attempt, existing_home())
    with narrated(run, "noise") as narration:
        floor = narration.result = measure_noise(run, seeds)
    if as_json:
        write_answer(MeasuredNoise(pipeline=run.spec.name, as_of=run.as_of, attempt=run.attempt, **dict(floor)))
    else:
        console.print(_noise_table(run, floor))


def _noise_table(run: Run, floor: NoiseFloor) -> RenderableType:
    title = Text.assemble((run.spec.name, "bold"), f" as of {run.as_of}: {floor.trainings} trainings again")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("metric", style="bold")
    for name in ("noise (σ)", "lowest", "highest"):
        table.add_column(name, justify="right")
    for metric, sigma in floor.sigma.items():
        values = [value for value in floor.values[metric] if value is not None]
        figures = [sigma, min(values, default=None), max(values, default=None)]
        table.add_row(metric, *("–" if figure is None else f"{figure:.4f}" for figure in figures))
    return Group(title, table)


def ablate(
    pipeline: Pipeline,
    as_of: AsOf,
    learner: Annotated[
        list[str] | None,
        typer.Option(help="Another learner, like lightgbm:objective=binary,rounds=40; may be given several times."),
    ] = None,
    attempt: TrainedRun = None,
    as_json: Json = False,
) -> None:
    """Say what each group of features is worth, by leaving it out, and what other learners make of the same features.

    One model for everybody, trained on the training window of a day that has been run, and compared list by list with
    the full one on the validation window, or on the test window if there is none.
    """
    from tasks.cli.answers import Ablated, write_answer
    from tasks.evaluation.ablation import Learner, own_learner
    from tasks.evaluation.ablation import ablate as ablated
    from tasks.runs.inspection import run_to_inspect
    from tasks.runs.step_log import log_everything, narrated
    from tasks.store.home import existing_home
    from tasks.training.written_learners import learner_of

    log_everything()
    run = run_to_inspect(pipeline, as_of, attempt, existing_home())
    own = own_learner(run)
    others = [Learner(text, learner_of(text, own.settings)) for text in learner or ()]
    with narrated(run, "ablation") as narration:
        table = narration.result = ablated(run, others)
    if as_json:
        write_answer(Ablated(pipeline=run.spec.name, as_of=run.as_of, attempt=run.attempt, **dict(table)))
    else:
        console.print(_ablation_table(run, table))


def _ablation_table(run: Run, ablation: Ablation) -> RenderableType:
    words = f" as of {run.as_of}: {ablation.metric} of {ablation.lists:,} lists of the {ablation.window} window"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("learner", style="bold", overflow="fold")
    table.add_column("without")
    for name in ("features", ablation.metric, "to the full model", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in ablation.variants:
        value = "–" if row.figure is None or row.figure.value is None else f"{row.figure.value:.4f}"
        difference = (row.problem or "") if row.difference is None else row.difference.text
        table.add_row(row.learner, row.without or "", str(row.features), value, difference, f"{row.seconds:.1f}")
    return Group(Text.assemble((run.spec.name, "bold"), words), table)
