"""The step that tries settings of the ranker: a worker beside others, which take trials from the same journals."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tasks.runs.narration import say
from tasks.training.ranker_trials import search, tuned, tuning_sample
from tasks.training.train import populations, read_windows
from tasks.tuning.choice import Tuning
from tasks.tuning.search import TuneResult

if TYPE_CHECKING:
    from tasks.runs.run import Run


def outcomes(run: Run) -> dict[str, Tuning]:
    """The outcome of each population's search; what is left of it is trained here.

    Raises:
        TrainingError: nothing can be learned with some settings.
    """
    source = tuning_sample(run)
    found = {name: tuned(source, name, partial(read_windows, source, name))[1] for name in populations(source)}
    return {name: tuning for name, tuning in found.items() if tuning is not None}


def tune_step(run: Run, worker: int) -> TuneResult:
    """Train what is left of the trials of every population, beside other workers, until all are there.

    Raises:
        TrainingError: nothing can be learned with some settings.
    """
    mine, tune = 0, run.spec.tune
    if tune is None:
        return TuneResult(trainings=0)
    source = tuning_sample(run)
    for population in populations(source):
        say("worker {worker}: trials for {population}", worker=worker, population=population)
        mine += search(source, tune, population, partial(read_windows, source, population)).work()
    return TuneResult(trainings=mine)
