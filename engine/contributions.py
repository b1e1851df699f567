"""What a score is made of: each feature's contribution, and how the score depends on one feature, for any function."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.arrays import Floats, Singles
from engine.functions.load import Function

_WALKED = 100_000  # rows that are scored together: bounds memory, changes no result


def contributions(function: Function, rows: Singles, background: Singles, seed: int) -> Floats:
    """Shapley values of each row's features: they add up to its score less the mean score of the background.

    Štrumbelj & Kononenko (2014), "Explaining prediction models and individual predictions with feature contributions":
    features change from a background row's values to the row's one after the other, in a random order, and each is
    credited with what the score changes by; here for every background row, in one order and its reverse. Nothing is
    assumed of the function; a feature it does not read gets exactly 0.

    Args:
        function: what is explained.
        rows: (rows, features), what it scored.
        background: (rows, features), what a typical row is; at least one.
        seed: of the orders.

    Returns:
        (rows, features).
    """
    random = np.random.default_rng(seed)
    features = rows.shape[1]
    orders = np.array([random.permutation(features) for _ in range(len(background))], dtype=np.int64)
    orders = np.concatenate([orders, orders[:, ::-1]])
    starts = np.concatenate([background, background])
    # place[o, f]: when feature f changes in order o; after `step` changes it has the row's value if place < step.
    place = np.argsort(orders, axis=1)
    changed = place[:, None, :] < np.arange(features + 1)[None, :, None]
    total = np.empty((len(rows), features))
    at_once = max(1, _WALKED // changed[..., 0].size)
    for begin in range(0, len(rows), at_once):
        part = rows[begin : begin + at_once]
        walks = np.where(changed[None], part[:, None, None, :], starts[None, :, None, :])
        scores = function.predict(np.ascontiguousarray(walks.reshape(-1, features)))
        gains = np.diff(scores.reshape(len(part), *changed.shape[:2]), axis=2)
        # gains[row, order, step] is of the feature orders[order, step].
        total[begin : begin + len(part)] = np.take_along_axis(gains, place[None], axis=2).mean(axis=1)
    return total


def dependence(function: Function, background: Singles, column: int, values: npt.NDArray[np.float32]) -> Floats:
    """The mean score of the background if one feature had each of some values (Friedman 2001, partial dependence)."""
    means = np.empty(len(values))
    given = background.copy()
    for place, value in enumerate(values):
        given[:, column] = value
        means[place] = function.predict(given).mean()
    return means


def grid(column: npt.NDArray[np.float32], most: int) -> npt.NDArray[np.float32]:
    """Up to `most` values that a feature has, evenly spread over its distribution, ascending; missing ones left out."""
    known = np.unique(column[~np.isnan(column)])
    at = np.linspace(0, len(known) - 1, min(most, len(known))).round().astype(np.int64)
    return known[at]
