"""Factors of a user from that user's history, with the item factors as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import sposv

from engine.arrays import Codes, Offsets, Singles
from engine.errors import EngineError


def gram(item_factors: Singles, regularization: float) -> Singles:
    """Return YᵀY + λI, the part of the normal equations that all users share."""
    shared: Singles = item_factors.T @ item_factors
    shared[np.diag_indices_from(shared)] += np.float32(regularization)
    return shared


def fold_in(item_factors: Singles, shared: Singles, items: Codes, confidence: npt.NDArray[Any]) -> Singles:
    """Return the user's factors: the solution of (YᵀY + λI + Yᵤᵀ(C − I)Yᵤ) x = Yᵤᵀ c.

    Hu, Koren & Volinsky (2008), eq. 4, with `shared` from `gram` and the confidence `c > 0` of each item
    (`implicit` uses alpha × value). Without items the factors are 0.
    """
    own = item_factors[items]
    weight = np.asarray(confidence, dtype=np.float32)
    matrix = shared + (own * (weight - np.float32(1.0))[:, None]).T @ own
    _, factors, problem = sposv(matrix, weight @ own, overwrite_a=True)
    if problem:
        raise EngineError(
            f"the history of {len(items)} items cannot be folded in: the equations are not positive definite; "
            "use a regularization > 0 and confidences > 0"
        )
    solved: Singles = factors.reshape(-1)
    return solved


def fold_in_all(
    item_factors: Singles, regularization: float, offsets: Offsets, items: Codes, confidence: npt.NDArray[Any]
) -> Singles:
    """Return the factors of many users (users × factors); user `u` has `items[offsets[u]:offsets[u+1]]`."""
    shared = gram(item_factors, regularization)
    factors = np.zeros((len(offsets) - 1, item_factors.shape[1]), dtype=np.float32)
    for user in range(len(factors)):
        own = slice(offsets[user], offsets[user + 1])
        if own.stop > own.start:
            factors[user] = fold_in(item_factors, shared, items[own], confidence[own])
    return factors
