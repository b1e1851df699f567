"""A trial of LightGBM that is measured after a quarter, a half and three quarters of its rounds, and may end there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.spec.rankers import LightGBM
from tasks.spec.spec import Spec
from tasks.training.learners.labels import highest_grade, label_gain
from tasks.training.learners.lightgbm import TrainedTrees, boost, dataset, parameters
from tasks.training.measure import DIGITS, list_values, mean_and_error
from tasks.tuning.search import SHARES, Reached

if TYPE_CHECKING:
    import lightgbm
    import pyarrow as pa

    from engine.arrays import Floats


@dataclass(frozen=True, eq=False)
class StagedTrial:
    """What a trial is measured by.

    Attributes:
        spec: the pipeline.
        metric: what is measured.
        validation: the lists.
        bars: what the mean must reach after each stage; none for a trial that is not to be ended.
    """

    spec: Spec
    metric: str
    validation: pa.Table
    bars: tuple[float, ...]

    def scores(self, booster: lightgbm.Booster) -> Floats:
        """Score the lists by the trees so far, as the engine executes them."""
        from tasks.examples.arrays import matrix

        return TrainedTrees(booster).scorer().predict(matrix(self.validation, self.spec.features))


def train_in_stages(rows: pa.Table, settings: LightGBM, trial: StagedTrial) -> Reached:
    """Train, and end at the first stage that is below its bar.

    Args:
        rows: examples to train on.
        settings: of a gradient-boosted ranker with one seed, settled.
        trial: what it is measured by.

    Raises:
        TrainingError: LightGBM refuses the examples or the settings.
    """
    from lightgbm.callback import EarlyStopException

    after = [math.ceil(share * settings.rounds) for share in (*SHARES, 1.0)]
    means: list[float] = []

    def after_round(state: lightgbm.callback.CallbackEnv) -> None:
        # Several stages of few rounds may be after the same one.
        while len(means) < len(after) and state.iteration + 1 >= after[len(means)]:
            means.append(round(mean_and_error(trial.metric, trial.scores(state.model), trial.validation)[0], DIGITS))
            if len(means) <= len(trial.bars) and means[-1] < trial.bars[len(means) - 1]:
                raise EarlyStopException(state.iteration, state.evaluation_result_list)

    values = parameters(settings, label_gain(trial.spec, highest_grade(rows)))
    booster = boost(
        dataset(rows, trial.spec, settings, values), values, rounds=settings.rounds, callbacks=[after_round]
    )
    return Reached(list_values(trial.metric, trial.scores(booster), trial.validation), tuple(means))
