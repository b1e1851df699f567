"""Trials of the ranker's settings: trained on the training window, measured on the validation window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.examples.candidates import retrieve_step
from tasks.examples.sample import sample_step
from tasks.features.build import libraries
from tasks.features.tuning_run import tuning_run
from tasks.runs.narration import say
from tasks.spec.populations import slug
from tasks.spec.rankers import Ranker, with_settings
from tasks.spec.tune import Tune
from tasks.store.atomic import locked
from tasks.store.files import DIGESTS, digest, sha256_file
from tasks.training.learners.lightgbm_stages import StagedTrial, train_in_stages
from tasks.training.learners.protocol import Read
from tasks.training.measure import list_values, lists_of
from tasks.training.negatives import trained_rows
from tasks.training.noise import train_again
from tasks.training.rankers import settle
from tasks.tuning.choice import Tuning
from tasks.tuning.journal import Journal
from tasks.tuning.search import Reached, Search
from tasks.tuning.space import Settings, Space

if TYPE_CHECKING:
    from engine.arrays import Floats
    from tasks.runs.run import Run
    from tasks.spec.spec import Spec

TUNING_FILE = "tuning.json"
JOURNALS = "journals"
"""Folder of a run's journals; no step reads another's."""
SAMPLE_SECONDS = 3600
"""How long a worker waits for another that draws the sample."""


def tuning_sample(run: Run) -> Run:
    """The run whose examples settings are tried on; with `tune.retune` its sample is drawn if it is not there yet.

    Raises:
        TrainingError: no group of its windows has a positive label.
    """
    source = tuning_run(run)
    if source is run:
        return run
    busy = "another worker draws the sample that settings are tried on"
    with locked(source.dir / "sample.lock", busy, seconds=SAMPLE_SECONDS):
        if not (source.step_dir("sample") / "result.json").exists():
            say("settings are chosen as of {day}: its sample is drawn", day=source.as_of)
            retrieve_step(source)
            sample_step(source)
    return source


def tuned(run: Run, population: str, read: Read) -> tuple[Ranker, Tuning | None]:
    """The chosen settings and how they came about; without `tune` in the spec, the ranker's own.

    What workers have left is trained here: after the step `tune` that is nothing.

    Args:
        run: the run whose sample settings are tried on.
        population: whose model.
        read: gives the examples of a window (`train`, `validation`) of it.
    """
    if run.spec.tune is None:
        return run.spec.ranker, None
    trials = search(run, run.spec.tune, population, read)
    trials.work()
    outcome = trials.outcome()
    if run.spec.tune.retune is not None:
        outcome = outcome.model_copy(update={"as_of": run.as_of})
    say("{_summary}", _summary=outcome.summary)
    return with_settings(run.spec.ranker, outcome.settings), outcome


def search(run: Run, tune: Tune, population: str, read: Read) -> Search:
    """The search of a population, with its journal in the run's folder, named by all that the trials are made from."""
    made_from = [run.made_by.to_json(), libraries(), sha256_file(run.step_dir("sample") / DIGESTS)]
    folder = run.dir / JOURNALS / slug(population) / digest(made_from)[:16]
    return search_in(Journal(folder), run.spec, tune, read)


def search_in(journal: Journal, spec: Spec, tune: Tune, read: Read) -> Search:
    """The search for settings of the ranker.

    Args:
        journal: of the search.
        spec: the pipeline.
        tune: what is tried.
        read: gives the examples of a window (`train`, `validation`) of one population.
    """
    from tasks.examples.arrays import matrix

    windows = {name: read(name) for name in ("train", "validation")}
    metric, validation = tune.metric, windows["validation"]

    def measure(settings: Settings, training: int) -> Floats:
        ranker = settle(spec, with_settings(spec.ranker, settings), windows.__getitem__).settings
        model = train_again(windows["train"], spec, ranker, training)
        return list_values(metric, model.scorer().predict(matrix(validation, spec.features)), validation)

    def staged(settings: Settings, bars: tuple[float, ...]) -> Reached:
        ranker = settle(spec, with_settings(spec.ranker, settings), windows.__getitem__).settings
        trial = StagedTrial(spec, metric, validation, bars)
        return train_in_stages(trained_rows(windows["train"], ranker), ranker, trial)

    in_stages = staged if tune.pruning == "median" else None
    return Search(tune, Space.of(tune.space), journal, measure, lists_of(validation), in_stages)
