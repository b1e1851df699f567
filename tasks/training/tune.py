"""Choose the ranker's settings on the validation window: the plateau, not the peak."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tasks.spec.parts import LightGBM, Tune
from tasks.spec.spec import Spec

if TYPE_CHECKING:
    import pyarrow as pa

Trial = dict[str, Any]


def points(tune: Tune) -> list[dict[str, Any]]:
    """Return the settings to try, simplest first; a point's complexity is the sum of its places in the lists."""
    import numpy as np

    names = sorted(tune.space)
    grid = list(itertools.product(*(range(len(tune.space[name])) for name in names)))
    if len(grid) > tune.trials:
        kept = np.random.default_rng([tune.seed, 0x70E]).permutation(len(grid))[: tune.trials]
        grid = [grid[i] for i in sorted(kept)]
    grid.sort(key=lambda place: (sum(place), place))
    return [
        {
            "settings": {n: tune.space[n][i] for n, i in zip(names, place, strict=True)},
            "complexity": sum(place),
        }
        for place in grid
    ]


def simplest(trials: Sequence[Trial], rule: str) -> Trial:
    """Return the trial to use.

    `simplest_within_one_standard_error` (Breiman et al. 1984, §3.4.3): the least complex trial whose value is within
    one standard error of the best; `best`: the greatest value. Ties go to the first.
    """
    best = max(trials, key=lambda trial: float(trial["value"]))
    if rule == "best":
        return best
    least = best["value"] - best["standard_error"]
    return next(trial for trial in trials if trial["value"] >= least)


def choose(spec: Spec, read: Callable[[str], pa.Table]) -> tuple[LightGBM, list[Trial]]:
    """Return the chosen settings and all trials; without `tune` in the spec, the ranker's own.

    Args:
        spec: the pipeline.
        read: gives the examples of a window (`train`, `validation`) of one population.
    """
    if spec.tune is None:
        return spec.ranker, []
    train, validation = read("train"), read("validation")
    trials = []
    for point in points(spec.tune):
        ranker = _with(spec.ranker, point["settings"])
        value, error = _measure(spec, spec.tune.metric, ranker, train, validation)
        trials.append({**point, "value": value, "standard_error": error})
    chosen = simplest(trials, spec.tune.choose)
    return _with(spec.ranker, chosen["settings"]), trials


def _with(ranker: LightGBM, settings: dict[str, Any]) -> LightGBM:
    return LightGBM.model_validate({**ranker.model_dump(), **settings})


def _measure(spec: Spec, metric: str, ranker: LightGBM, train: pa.Table, validation: pa.Table) -> tuple[float, float]:
    """Return the mean metric over the groups of the validation window and its standard error."""
    import numpy as np

    from engine.lists import Lists
    from engine.metrics import parse_metric
    from engine.trees import Trees
    from tasks.examples.arrays import group_offsets, matrix
    from tasks.training.lightgbm import fit

    trees = Trees.parse(fit(train, spec, ranker).model_to_string(num_iteration=-1))
    scores = trees.predict(matrix(validation, spec.features))
    lists = Lists.of(scores, validation["grade"].to_numpy(), group_offsets(validation))
    values = parse_metric(metric)(lists)
    values = values[~np.isnan(values)]
    if not len(values):
        return 0.0, 0.0
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return float(np.mean(values)), spread / math.sqrt(len(values))
