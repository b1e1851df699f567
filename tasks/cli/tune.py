"""The command that tries settings of a run's ranker, and shows the plateau."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tasks.cli.options import AsOf, Attempt, Json, Pipeline, open_run
from tasks.cli.values import whole_number
from tasks.errors import WrongArgument
from tasks.operations.terminal import plain_console
from tasks.runs.step_log import log_everything

if TYPE_CHECKING:
    from tasks.tuning.choice import Tuning

console = plain_console()
MOST_WORKERS = 64


def tune(
    pipeline: Pipeline,
    as_of: AsOf,
    attempt: Attempt = "cli",
    workers: Annotated[int, whole_number(1, MOST_WORKERS, meaning="Processes that share the trials.")] = 1,
    as_json: Json = False,
) -> None:
    """Try the settings that `tune` lists on a run's sample, and show what is taken, and what it is as good as.

    Interrupted, it goes on where it was; several of these commands share the work. `train` takes what was found.
    """
    from tasks.cli.answers import Tuned, write_answer
    from tasks.operations.shared_step import share
    from tasks.training.tune import outcomes

    run = open_run(pipeline, as_of, attempt)
    if run.spec.tune is None or not run.spec.tune.space:
        raise WrongArgument(f"{run.spec.name}: its pipeline file has no `tune.space`, so there is nothing to try")
    log_everything()
    if workers > 1:
        share(run, "tune", workers)
    found = outcomes(run)
    if as_json:
        write_answer(Tuned(pipeline=run.spec.name, as_of=run.as_of, attempt=run.attempt, populations=found))
    else:
        console.print(Group(*(_leaders(name, tuning) for name, tuning in found.items())), soft_wrap=True)


def _leaders(population: str, tuning: Tuning) -> RenderableType:
    """The leading trials of a population, simplest first, and what is taken."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("settings", style="bold", overflow="fold")
    for name in ("complexity", tuning.metric, "behind the best"):
        table.add_column(name, justify="right", no_wrap=True)
    for leader in tuning.leaders:
        trial = tuning.trials[leader.trial]
        mark = "taken" if leader.trial == tuning.chosen else "best" if leader.trial == tuning.peak else ""
        behind = f"{leader.behind:.4f} ± {leader.error:.4f}"
        table.add_row(mark, trial.text, str(trial.complexity), f"{leader.value:.4f}", behind)
    return Group(Text(f"population {population}"), table, Text(f"{tuning.summary}."), "")
