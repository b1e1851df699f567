"""Choose the ranker's settings on the validation window: the plateau, not the peak."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.runs.narration import counted, say
from tasks.spec.rankers import Ranker, Tune, with_settings
from tasks.spec.spec import Spec
from tasks.store.records import Record
from tasks.training.learners.protocol import Read
from tasks.training.measure import mean_and_error
from tasks.training.rankers import settle, train_ranker

Settings = dict[str, int | float]


class Trial(Record):
    """Settings that were tried: the metric's mean over the groups of the validation window, and its standard error."""

    settings: Settings
    complexity: int
    value: float
    standard_error: float


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
    one standard error of the best; `best`: the greatest value. Ties go to the first.
    """
    best = max(trials, key=lambda trial: trial.value)
    if rule == "best":
        return best
    least = best.value - best.standard_error
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
    trials = []
    for point in counted(points(spec.tune), "trials"):
        ranker = with_settings(spec.ranker, point.settings)
        value, error = _measure(spec, spec.tune.metric, ranker, kept)
        trials.append(Trial(settings=point.settings, complexity=point.complexity, value=value, standard_error=error))
    chosen = simplest(trials, spec.tune.choose)
    best = max(trials, key=lambda trial: trial.value)
    say(
        "{trials} trials: the best {metric} is {value:.4f} ± {error:.4f} with {best}; chosen ({rule}): {settings} with "
        "{chosen:.4f}",
        trials=len(trials), metric=spec.tune.metric, value=best.value, error=best.standard_error,
        best=_listed(best.settings), rule=spec.tune.choose, settings=_listed(chosen.settings), chosen=chosen.value,
    )  # fmt: skip
    return with_settings(spec.ranker, chosen.settings), trials


def _listed(settings: Settings) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in sorted(settings.items()))


def _measure(spec: Spec, metric: str, ranker: Ranker, read: Read) -> tuple[float, float]:
    from tasks.examples.arrays import matrix

    validation = read("validation")
    model = train_ranker(read("train"), spec, settle(spec, ranker, read).settings)
    return mean_and_error(metric, model.scorer().predict(matrix(validation, spec.features)), validation)
