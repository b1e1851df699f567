"""Choose the ranker's settings on the validation window: the plateau, not the peak."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.runs.narration import counted, say
from tasks.spec.rankers import Ranker, Tune, with_settings
from tasks.spec.spec import Spec
from tasks.store.records import Record
from tasks.training.learners.protocol import Read, TrainedRanker
from tasks.training.measure import DIGITS, mean_and_error
from tasks.training.noise import noise_trainings, spread, trained_again
from tasks.training.rankers import settle, train_ranker

if TYPE_CHECKING:
    import pyarrow as pa

Settings = dict[str, int | float]


class Trial(Record):
    """Settings that were tried.

    Attributes:
        settings: what they change of the ranker's own.
        complexity: the sum of their places in the lists of the space.
        value: the metric's mean over the groups of the validation window.
        standard_error: of that mean, over the groups.
        noise: of that mean, between trainings of the ranker's own settings; 0 where it is not measured.
    """

    settings: Settings
    complexity: int
    value: float
    standard_error: float
    noise: float = 0.0


@dataclass(frozen=True)
class Point:
    """Settings to try, and how complex they are."""

    settings: Settings
    complexity: int


def points(tune: Tune) -> list[Point]:
    """The settings to try, simplest first; a point's complexity is the sum of its places in the lists."""
    import numpy as np

    names = sorted(tune.space)
    grid = list(itertools.product(*(range(len(tune.space[name])) for name in names)))
    if len(grid) > tune.trials:
        # The second number makes it another stream than those of other draws with the same seed.
        kept = np.random.default_rng([tune.seed, 0x70E]).permutation(len(grid))[: tune.trials]
        grid = [grid[i] for i in sorted(kept)]
    grid.sort(key=lambda place: (sum(place), place))
    return [
        Point({name: tune.space[name][n] for name, n in zip(names, place, strict=True)}, sum(place)) for place in grid
    ]


def simplest(trials: Sequence[Trial], rule: str) -> Trial:
    """The trial to use.

    `simplest_within_one_standard_error` (Breiman et al. 1984, §3.4.3): the least complex trial whose value is within
    one standard error of the best; `best`: the greatest value. Ties go to the first. The standard error is that over
    the groups and the noise of training together.
    """
    best = max(trials, key=lambda trial: trial.value)
    if rule == "best":
        return best
    least = best.value - math.hypot(best.standard_error, best.noise)
    return next(trial for trial in trials if trial.value >= least)  # trials come simplest first


def choose(spec: Spec, read: Read) -> tuple[Ranker, list[Trial]]:
    """The chosen settings and all trials; without `tune` in the spec, the ranker's own.

    Args:
        spec: the pipeline.
        read: gives the examples of a window (`train`, `validation`) of one population.
    """
    if spec.tune is None:
        return spec.ranker, []
    kept = {name: read(name) for name in ("train", "validation")}.__getitem__
    trials, noise = [], _noise(spec, spec.tune.metric, kept)
    for point in counted(points(spec.tune), "trials"):
        ranker = with_settings(spec.ranker, point.settings)
        model = train_ranker(kept("train"), spec, settle(spec, ranker, kept).settings)
        value, error = _measure(spec, spec.tune.metric, model, kept("validation"))
        trials.append(
            Trial(settings=point.settings, complexity=point.complexity, value=value, standard_error=error, noise=noise)
        )
    chosen = simplest(trials, spec.tune.choose)
    best = max(trials, key=lambda trial: trial.value)
    say(
        "{trials} trials: the best {metric} is {value:.4f} ± {error:.4f} with {best}; chosen ({rule}): {settings} with "
        "{chosen:.4f}",
        trials=len(trials), metric=spec.tune.metric, value=best.value,
        error=math.hypot(best.standard_error, best.noise),
        best=_listed(best.settings), rule=spec.tune.choose, settings=_listed(chosen.settings), chosen=chosen.value,
    )  # fmt: skip
    return with_settings(spec.ranker, chosen.settings), trials


def _listed(settings: Settings) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in sorted(settings.items()))


def _measure(spec: Spec, metric: str, model: TrainedRanker, validation: pa.Table) -> tuple[float, float]:
    from tasks.examples.arrays import matrix

    return mean_and_error(metric, model.scorer().predict(matrix(validation, spec.features)), validation)


def _noise(spec: Spec, metric: str, read: Read) -> float:
    """Measure how far the metric is apart between trainings of the ranker's own settings; 0 if nobody asks."""
    trainings = noise_trainings(spec)
    if not trainings:
        return 0.0
    models = trained_again(read("train"), spec, settle(spec, spec.ranker, read).settings, trainings)
    noise = spread([_measure(spec, metric, model, read("validation"))[0] for model in models])
    say("the noise of training: {metric} ±{noise:.4f} on the validation window", metric=metric, noise=noise)
    return round(noise, DIGITS)
