"""Factors of a user from that user's history, with the item factors as they are: the same bits on every processor."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.als import Penalty
from engine.arrays import Codes, Floats, Offsets, Singles, kernel
from engine.errors import EngineError
from engine.exact import add_outer, add_rows, gram, solve_positive


def shared_part(item_factors: Singles) -> Floats:
    """Return YᵀY (factors, factors), the part of the normal equations that all users share."""
    shared: Floats = gram(np.ascontiguousarray(item_factors, dtype=np.float64))
    return shared


def fold_in(
    item_factors: Singles, shared: Floats, penalty: Penalty, items: Codes, confidence: npt.NDArray[Any]
) -> Singles:
    """The user's factors (factors,): the solution of (YᵀY + λI + Yᵤᵀ(C − I)Yᵤ) x = Yᵤᵀc.

    Hu, Koren & Volinsky (2008), eq. 4, by Cholesky in 64 bits, rounded once at the end.

    Args:
        item_factors: (items, factors).
        shared: of `shared_part`.
        penalty: λ; that of the users with which the items were fitted.
        items: numbers of the user's items; without any the factors are 0.
        confidence: c > 0 of each (`implicit` uses alpha × value).

    Raises:
        EngineError: the equations have no such solution.
    """
    offsets = np.array([0, len(items)], dtype=np.int64)
    folded: Singles = _fold_all(item_factors, shared, penalty, offsets, items, confidence)[0]
    return folded


def fold_in_all(
    item_factors: Singles, penalty: Penalty, offsets: Offsets, items: Codes, confidence: npt.NDArray[Any]
) -> Singles:
    """The factors of many users (users, factors); user `u` has `items[offsets[u]:offsets[u+1]]`.

    Each gets what `fold_in` gives: see there.
    """
    return _fold_all(item_factors, shared_part(item_factors), penalty, offsets, items, confidence)


def _fold_all(
    item_factors: Singles,
    shared: Floats,
    penalty: Penalty,
    offsets: Offsets,
    items: Codes,
    confidence: npt.NDArray[Any],
) -> Singles:
    weights = np.asarray(confidence, dtype=np.float64)
    factors = np.zeros((len(offsets) - 1, item_factors.shape[1]), dtype=np.float32)
    for user in range(len(factors)):
        own = slice(offsets[user], offsets[user + 1])
        entries = own.stop - own.start
        strength = penalty.base + penalty.per_entry * entries
        if entries and not _fold(item_factors[items[own]], weights[own], shared, strength, factors[user]):
            raise EngineError(
                f"the history of {entries} items cannot be folded in: the equations are not positive "
                "definite; use a regularization > 0 and confidences > 0"
            )
    return factors


@kernel
def _fold(items: Singles, confidence: Floats, shared: Floats, penalty: float, factors: Singles) -> bool:
    """Put the solution for the factors of a user's `items` in `factors`; return False if there is none."""
    own = items.astype(np.float64)
    right = np.zeros(own.shape[1])
    add_rows(right, confidence, own, 0)
    matrix = shared.copy()
    for k in range(len(matrix)):
        matrix[k, k] += penalty
    # Minus the 1 that every pair has already in `shared`.
    add_outer(matrix, confidence - 1.0, own)
    if not solve_positive(matrix, right):
        return False
    for k in range(len(right)):
        factors[k] = right[k]  # the one rounding to 32 bits
    return True
