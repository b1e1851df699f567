"""Discounts: an item counts less the greater a feature of it, such as how often it was shown in vain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.arrays import Floats, Offsets, Singles, kernel
from engine.exact import log


@kernel
def _discounted(scores: Floats, offsets: Offsets, values: Singles, strength: float) -> Floats:
    result = np.empty(len(scores))
    for group in range(len(offsets) - 1):
        low, high = offsets[group], offsets[group + 1]
        # Added in the order of the scores, so that it is the same in whatever order the rows come.
        own = np.sort(scores[low:high])
        total = squares = 0.0
        for score in own:
            total += score
        for score in own:
            squares += (score - total / len(own)) ** 2
        spread = np.sqrt(squares / len(own))
        for row in range(low, high):
            value = float(values[row])
            less = log(1.0 + value) if value > 0.0 and np.isfinite(spread) else 0.0  # a missing value is none
            result[row] = scores[row] - strength * spread * less if less > 0.0 else scores[row]
    return result


@dataclass(frozen=True)
class Discount:
    """A rule: the score less `strength` × spread × ln(1 + feature), the spread being the list's standard deviation."""

    feature: str
    strength: float

    def apply(self, scores: Floats, offsets: Offsets, values: Singles) -> Floats:
        """Discount scores.

        Args:
            scores: of the rows; the rows of a list stand together, in any order.
            offsets: list `g` owns the rows `offsets[g]:offsets[g + 1]`.
            values: of the feature, one for each row; NaN where it is missing.
        """
        result: Floats = _discounted(scores.astype(np.float64), offsets, values, self.strength)
        return result


def discounted(rules: Sequence[Discount], scores: Floats, offsets: Offsets, columns: Sequence[Singles]) -> Floats:
    """Discount scores by one rule after the other; `columns` has the feature of each."""
    for rule, values in zip(rules, columns, strict=True):
        scores = rule.apply(scores, offsets, values)
    return scores
