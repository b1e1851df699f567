"""The noise floor: how much each metric differs between trainings that should give the same, and what that does to
the interval of a difference.

The intervals of the evaluation are over users: they say how the difference of these two models would turn out on other
lists. Training the same again gives another model, and another difference, by the noise of training, σ.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from engine.intervals import Interval
from tasks.store.files import json_number
from tasks.store.records import Record
from tasks.training.noise import spread

if TYPE_CHECKING:
    from engine.arrays import Floats
    from tasks.evaluation.final_lists import FinalLists
    from tasks.evaluation.held_out import HeldOut
    from tasks.spec.spec import Spec

LEVEL = 0.95
MOST = 1e6
"""Ratio of variances from which on a quantile is the normal one's; its square must be a number."""
DIGITS = 12
"""Decimals on disk: the last bits of a mean depend on the order of the sum."""


class NoiseFloor(Record):
    """What training again changes.

    Attributes:
        trainings: how often the settings were trained again.
        sigma: by metric, the standard deviation of its mean over the test lists between trainings; None where no list
            defines it.
        values: by metric, that mean for each training.
    """

    trainings: int
    sigma: dict[str, float | None]
    values: dict[str, tuple[float | None, ...]]

    def of(self, metric: str) -> float:
        """The noise of a metric; 0 where it is not known."""
        return self.sigma.get(metric) or 0.0

    def widen(self, span: Interval, metric: str, models: int) -> Interval:
        """Add the noise of training to the interval of a difference between `models` trained models and fixed ones."""
        return widened(span, self.of(metric), self.trainings, models)

    @property
    def text(self) -> str:
        """The noise of each metric, in words."""
        figures = ", ".join(f"{name} ±{sigma:.4f}" for name, sigma in self.sigma.items() if sigma is not None)
        return f"{figures or 'of no metric'} (one standard deviation, of {self.trainings} trainings)"

    def summary(self) -> str:
        """The same, for the log."""
        return self.text


def noise_floor(spec: Spec, held_out: HeldOut, lists: FinalLists, scores: Iterable[Floats]) -> NoiseFloor:
    """Measure what trainings again make of the test lists.

    Args:
        spec: the pipeline.
        held_out: the test examples.
        lists: the same, to be re-ranked as the model's are.
        scores: of each training, one for each example.
    """
    import numpy as np

    from engine.metrics import parse_metric

    means: dict[str, list[float]] = {metric: [] for metric in spec.evaluate.metrics}
    for of_training in scores:
        ranked = held_out.lists(lists.rank(of_training, spec.rerank).final)
        for metric, measured in means.items():
            values = parse_metric(metric)(ranked)
            defined = values[~np.isnan(values)]
            measured.append(float(defined.mean()) if len(defined) else math.nan)
    return _floor(means)


def _floor(means: Mapping[str, list[float]]) -> NoiseFloor:
    return NoiseFloor(
        trainings=max((len(values) for values in means.values()), default=0),
        sigma={metric: json_number(spread(values), DIGITS) for metric, values in means.items()},
        values={metric: tuple(json_number(value, DIGITS) for value in values) for metric, values in means.items()},
    )


def widened(span: Interval, sigma: float, trainings: int, models: int) -> Interval:
    """Add the noise of training to the 95 % interval of a difference.

    Variances add up: that of the lists, from the interval itself, and sigma² for each of the `models` compared that
    was trained: 1 beside a fixed baseline, 2 beside another model. As sigma is estimated from few trainings, the
    quantile of Student's t with the degrees of freedom of the sum (Satterthwaite 1946) takes the place of the normal
    one; those of the lists, of which there are many, are infinite. Each end keeps its own distance. Without noise
    nothing changes.
    """
    from scipy.special import ndtri, stdtrit

    noise = models * sigma**2
    if noise == 0 or trainings < 2:
        return span
    upper = (1 + LEVEL) / 2
    z = float(ndtri(upper))

    def distance(side: float) -> float:
        total = (side / z) ** 2 + noise
        freedom = (trainings - 1) * min(total / noise, MOST) ** 2
        return float(stdtrit(freedom, upper)) * math.sqrt(total)

    low, high = distance(span.value - span.low), distance(span.high - span.value)
    return Interval(span.value, span.value - low, span.value + high, span.groups)
