"""Losses of our own for LightGBM, each as first and second derivatives by the scores.

A pipeline file names a loss, and never code. Both compare the items of a list; what an item is worth is its gain, as
the first gate's metric has it. Exponentials are those of `engine.exact`: a model is the same on every processor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.arrays import Floats, Offsets, kernel, offsets_of
from engine.exact import exponential, sigmoid

if TYPE_CHECKING:
    import lightgbm

Derivatives = Callable[[Floats, Floats, Offsets, Floats, Floats], None]
"""From scores, gains and the lists' offsets: adds the loss's derivatives to the last two arrays, which are 0."""


@kernel
def pairwise_logistic(scores: Floats, gains: Floats, offsets: Offsets, slope: Floats, curvature: Floats) -> None:
    """Σ (gain − lesser gain) × log(1 + e^(lesser's score − score)) over the pairs of each list (Burges et al. 2005)."""
    for group in range(len(offsets) - 1):
        first, last = offsets[group], offsets[group + 1]
        for row in range(first, last):
            for other in range(first, last):
                worth = gains[row] - gains[other]
                if worth <= 0.0:
                    continue
                wrong = sigmoid(scores[other] - scores[row])
                slope[row] -= worth * wrong
                slope[other] += worth * wrong
                curved = worth * wrong * (1.0 - wrong)
                curvature[row] += curved
                curvature[other] += curved


@kernel
def softmax(scores: Floats, gains: Floats, offsets: Offsets, slope: Floats, curvature: Floats) -> None:
    """−Σ (share of the list's gains) × log(share of the list's e^score), as of ListNet (Cao et al. 2007)."""
    for group in range(len(offsets) - 1):
        first, last = offsets[group], offsets[group + 1]
        worth, highest = 0.0, -np.inf
        for row in range(first, last):
            worth += gains[row]
            highest = max(highest, scores[row])
        if worth == 0.0:
            continue  # a list without anything to find says nothing
        total = 0.0
        for row in range(first, last):
            slope[row] = exponential(scores[row] - highest)
            total += slope[row]
        for row in range(first, last):
            share = slope[row] / total
            slope[row] = share - gains[row] / worth
            curvature[row] = share * (1.0 - share)


OBJECTIVES: dict[str, Derivatives] = {
    "pairwise_logistic": pairwise_logistic,
    "softmax": softmax,
    # Add a new one here, and its name in `LightGBM.objective` (tasks/spec/rankers.py). It must be twice differentiable,
    # with second derivatives that are not negative; its loss is written out in its test, which compares both
    # derivatives with differences. Of a loss over single examples, see tasks/training/negatives.py.
}
"""The losses by their names in the pipeline file."""


def lightgbm_objective(name: str) -> Callable[[Any, lightgbm.Dataset], tuple[Floats, Floats]]:
    """A loss as LightGBM calls it, with the weights of the examples, which are the same throughout a list."""
    derivatives = OBJECTIVES[name]

    def objective(scores: Any, data: lightgbm.Dataset) -> tuple[Floats, Floats]:
        slope, curvature = np.zeros(len(scores)), np.zeros(len(scores))
        gains, weights = np.asarray(data.get_label(), dtype=np.float64), data.get_weight()
        derivatives(np.asarray(scores, dtype=np.float64), gains, offsets_of(data.get_group()), slope, curvature)
        if weights is None:  # LightGBM keeps none where all are 1
            return slope, curvature
        return slope * weights, curvature * weights

    return objective
