"""Learns the inputs of functions that need numbers of one scale: see `engine.functions.inputs`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from engine.arrays import Floats
from engine.exact import dot
from engine.functions.inputs import CODE, MISSING, NUMBER, Inputs
from tasks.errors import TrainingError
from tasks.examples.arrays import matrix
from tasks.spec.resolved_features import CategoryFeature

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.spec.spec import Spec

MOST_CODES = 100
"""Inputs that a feature of texts has at most: its most frequent codes, of equal ones the smaller."""
Input = tuple[int, int, float, float]
"""Feature, kind, center and scale."""


def learn_inputs(table: pa.Table, spec: Spec) -> Inputs:
    """Learn the inputs from examples, weighted as they are trained on.

    Raises:
        TrainingError: every feature has the same value in all of them.
    """
    features = matrix(table, spec.features)
    weights = np.ascontiguousarray(table["weight"].to_numpy(), dtype=np.float64)
    coded = {feature.name for feature in spec.resolved_features if isinstance(feature, CategoryFeature)}
    learned: list[Input] = []
    for column, name in enumerate(spec.features):
        values = features[:, column].astype(np.float64)
        learned += _codes(column, values) if name in coded else _number(column, values, weights)
    if not learned:
        raise TrainingError("every feature has one value in all examples, so that nothing can be learned from them")
    return _inputs(spec.features, learned)


def _inputs(names: Sequence[str], learned: Sequence[Input]) -> Inputs:
    features, kinds, centers, scales = zip(*learned, strict=True)
    return Inputs(
        names=tuple(names),
        features=np.array(features, dtype=np.int32),
        kinds=np.array(kinds, dtype=np.int32),
        centers=np.array(centers, dtype=np.float64),
        scales=np.array(scales, dtype=np.float64),
    )


def _number(column: int, values: Floats, weights: Floats) -> Iterator[Input]:
    known = np.isfinite(values)
    if not known.any():
        return
    mean, deviation = mean_and_deviation(values[known], weights[known])
    # One value leaves nothing to tell examples apart by, and no scale.
    if deviation > 0.0 and np.ptp(values[known]) > 0.0:
        yield column, NUMBER, mean, deviation
    if not known.all():
        yield column, MISSING, 0.0, 1.0


def _codes(column: int, values: Floats) -> Iterator[Input]:
    codes, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    frequent = np.sort(np.lexsort((codes, -counts))[:MOST_CODES])
    for code in codes[frequent].tolist():
        yield column, CODE, code, 1.0


def mean_and_deviation(values: Floats, weights: npt.NDArray[np.float64]) -> tuple[float, float]:
    """The weighted mean of some values and their standard deviation, each the same on every processor."""
    total = dot(weights, np.ones(len(weights)))
    mean = dot(weights, values) / total
    apart = values - mean
    return mean, float(np.sqrt(dot(weights, apart * apart) / total))
