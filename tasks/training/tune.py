"""Choose the ranker's settings on the validation window: the plateau, not the peak."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.runs.narration import counted, say
from tasks.spec.parts import LightGBM, TunableParameter, Tune
from tasks.spec.spec import Spec
from tasks.store.records import Record

if TYPE_CHECKING:
    import pyarrow as pa

    from engine.arrays import Floats

Settings = dict[TunableParameter, int | float]


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


def choose(spec: Spec, read: Callable[[str], pa.Table]) -> tuple[LightGBM, list[Trial]]:
    """The chosen settings and all trials; without `tune` in the spec, the ranker's own.

    Args:
        spec: the pipeline.
        read: gives the examples of a window (`train`, `validation`) of one population.
    """
    if spec.tune is None:
        return spec.ranker, []
    train, validation = read("train"), read("validation")
    trials = []
    for point in counted(points(spec.tune), "trials"):
        ranker = _with(spec.ranker, point.settings)
        value, error = _measure(spec, spec.tune.metric, ranker, train, validation)
        trials.append(Trial(settings=point.settings, complexity=point.complexity, value=value, standard_error=error))
    chosen = simplest(trials, spec.tune.choose)
    best = max(trials, key=lambda trial: trial.value)
    say(
        "{trials} trials: the best {metric} is {value:.4f} ± {error:.4f} with {best}; chosen ({rule}): {settings} with "
        "{chosen:.4f}",
        trials=len(trials), metric=spec.tune.metric, value=best.value, error=best.standard_error,
        best=_listed(best.settings), rule=spec.tune.choose, settings=_listed(chosen.settings), chosen=chosen.value,
    )  # fmt: skip
    return _with(spec.ranker, chosen.settings), trials


def _listed(settings: Settings) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in sorted(settings.items()))


def _with(ranker: LightGBM, settings: Settings) -> LightGBM:
    return LightGBM.model_validate({**ranker.model_dump(), **settings})


def _measure(spec: Spec, metric: str, ranker: LightGBM, train: pa.Table, validation: pa.Table) -> tuple[float, float]:
    from tasks.examples.arrays import matrix
    from tasks.training.rankers import train_ranker

    scores = train_ranker(train, spec, ranker).scorer().predict(matrix(validation, spec.features))
    return mean_and_error(metric, scores, validation)


def mean_and_error(metric: str, scores: Floats, validation: pa.Table) -> tuple[float, float]:
    """The mean of a metric over the groups of the validation window, and its standard error.

    Args:
        metric: its name, like `ndcg@10`.
        scores: one for each example.
        validation: the examples.
    """
    import numpy as np

    from engine.lists import Lists
    from engine.metrics import parse_metric
    from tasks.examples.arrays import group_offsets

    lists = Lists.of(scores, validation["grade"].to_numpy(), group_offsets(validation))
    values = parse_metric(metric)(lists)
    values = values[~np.isnan(values)]
    # No list with anything to find: all settings are equal, and the simplest is taken.
    if not len(values):
        return 0.0, 0.0
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return float(np.mean(values)), spread / math.sqrt(len(values))
