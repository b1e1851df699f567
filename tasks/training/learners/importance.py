"""The importance of features in models of inputs."""

from __future__ import annotations

import numpy as np

from engine.arrays import Floats
from engine.functions.inputs import Inputs
from tasks.training.learners.inputs import mean_and_deviation

_DIGITS = 6


def deviations(given: Floats, weights: Floats) -> Floats:
    """The standard deviation of each input over the examples."""
    columns = (np.ascontiguousarray(given[:, n]) for n in range(given.shape[1]))
    return np.array([mean_and_deviation(column, weights)[1] for column in columns])


def by_feature(inputs: Inputs, moved: Floats) -> dict[str, float]:
    """Sum up over the inputs of each feature by how much they move a score; 0 for a feature without inputs."""
    sums = np.zeros(len(inputs.names))
    np.add.at(sums, inputs.features, moved)
    return {name: round(float(value), _DIGITS) for name, value in zip(inputs.names, sums, strict=True)}
