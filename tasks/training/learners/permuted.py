"""The importance of features in a model of which only the scores are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from engine.arrays import Singles
    from engine.functions.load import Function

ROWS = 2_000
_DIGITS = 6
_SEED = 0


def permuted_importance(function: Function, features: Singles, names: Sequence[str]) -> dict[str, float]:
    """How far a score moves, on average, where one feature is another example's (Breiman 2001, of the scores).

    Args:
        function: gives the scores.
        features: examples (rows × features), of which the first are looked at.
        names: of the features.
    """
    some = features[:: max(1, len(features) // ROWS)][:ROWS]
    scores = function.predict(some)
    order = np.random.default_rng(_SEED).permutation(len(some))
    moved = {}
    for column, name in enumerate(names):
        changed = some.copy()
        changed[:, column] = some[order, column]
        moved[name] = round(float(np.abs(function.predict(changed) - scores).mean()), _DIGITS)
    return moved
