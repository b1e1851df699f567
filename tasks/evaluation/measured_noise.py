"""Measure the noise of training of a day that has been trained, whether or not its pipeline file asks each run to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.evaluation.evaluate import evaluated_examples, populations_of
from tasks.evaluation.final_lists import FinalLists
from tasks.evaluation.held_out import HeldOut, truth_of
from tasks.evaluation.noise import NoiseFloor, noise_floor
from tasks.examples.arrays import matrix
from tasks.spec.populations import slug
from tasks.training.learners.protocol import TrainedRanker
from tasks.training.noise import trained_again
from tasks.training.own_models import serving_populations
from tasks.training.train import TrainResult, read_windows

if TYPE_CHECKING:
    import pyarrow as pa

    from engine.arrays import Floats
    from tasks.runs.run import Run
    from tasks.training.learners.protocol import TrainedRanker

NOISE_STEP = "noise"
"""Folder in that of the run. No step reads it: what a run publishes depends on its inputs, not on who looked at it."""


def measure_noise(run: Run, trainings: int) -> NoiseFloor:
    """Train the evaluated settings so many times again, measure the test lists, and keep the result beside the run's.

    Raises:
        MatineeError: the day has not been trained in this attempt, or its files have changed since.
        TrainingError: nothing can be learned from a draw, or there is no test list.
    """
    table = evaluated_examples(run)
    held_out = HeldOut.of(run.spec, table, truth_of(run))
    with run.write(NOISE_STEP) as folder:
        floor = noise_floor(run.spec, held_out, FinalLists(run, table), _scores(run, table, trainings))
        folder.result = floor
    return floor


def _scores(run: Run, table: pa.Table, trainings: int) -> Iterator[Floats]:
    """Score the examples by each training; each population's lists by its own models."""
    import numpy as np

    features, chosen = matrix(table, run.spec.features), populations_of(run, table)
    models = {name: _models(run, name, trainings) for name in serving_populations(run)}
    for _ in range(trainings):
        scores = np.zeros(table.num_rows)
        for name, again in models.items():
            mask = chosen == name
            scores[mask] = next(again).scorer().predict(features[mask])
        yield scores


def _models(run: Run, population: str, trainings: int) -> Iterator[TrainedRanker]:
    settings = run.read(f"train/{slug(population)}", TrainResult).settings
    return trained_again(read_windows(run, population, "train", "validation"), run.spec, settings, trainings)
