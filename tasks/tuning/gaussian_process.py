"""A Gaussian process over places in lists, by arithmetic that is the same on every processor: no BLAS, no logarithm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.arrays import Floats
from engine.exact import add_rows, invert_positive
from tasks.tuning.space import Place

LENGTHS = (0.15, 0.3, 0.6)
"""Length scales to choose from, a list being 1 long."""
NOISE = 0.1
"""Variance of a result beside that between points: the validation lists are a sample."""
WIDTH = 2.0
"""Standard deviations that what is not known counts for."""


def most_promising(
    sizes: Sequence[int], tried: Sequence[Place], values: Sequence[float], candidates: Sequence[Place]
) -> int:
    """The place among the candidates with the greatest mean + 2 standard deviations; the first of equals.

    Args:
        sizes: how many values each setting has.
        tried: places of the trials.
        values: what the first of them gave; what is under way is taken to give what the process expects.
        candidates: places to choose from.
    """
    longest = np.maximum(np.asarray(sizes, dtype=np.float64) - 1.0, 1.0)
    known, asked = (np.asarray(places, dtype=np.float64) / longest for places in (tried, candidates))
    done, given = known[: len(values)], _standardized(np.asarray(values, dtype=np.float64))
    length = min(LENGTHS, key=lambda length: _left_out_error(done, given, length))
    expected = _weighted(_similarity(done, known[len(values) :], length), _solved(done, given, length))
    every = np.concatenate([given, expected])
    between = _similarity(known, asked, length)
    mean = _weighted(between, _solved(known, every, length))
    explained = np.zeros(len(asked))
    for row, weights in zip(between, _inverse(known, length), strict=True):
        explained += row * _weighted(between, weights)
    return int(np.argmax(mean + WIDTH * np.sqrt(np.maximum(1.0 - explained, 0.0))))


def _standardized(values: Floats) -> Floats:
    mean = sum(values.tolist()) / len(values)
    spread = (sum((value - mean) ** 2 for value in values.tolist()) / len(values)) ** 0.5
    return np.asarray((values - mean) / (spread or 1.0))


def _similarity(left: Floats, right: Floats, length: float) -> Floats:
    """The rational quadratic kernel of two sets of points, (left, right): a quotient, where others have powers of e."""
    squares = np.zeros((len(left), len(right)))
    for axis in range(left.shape[1]):
        squares += (left[:, axis, None] - right[None, :, axis]) ** 2
    return 1.0 / (1.0 + squares / (2.0 * length * length))


def _inverse(points: Floats, length: float) -> Floats:
    matrix = np.ascontiguousarray(_similarity(points, points, length))
    matrix[np.diag_indices_from(matrix)] += NOISE
    invert_positive(matrix)  # which it is: the diagonal outweighs
    return matrix


def _solved(points: Floats, values: Floats, length: float) -> Floats:
    return _weighted(_inverse(points, length), values)


def _weighted(rows: Floats, weights: Floats) -> Floats:
    """The sum of weight × row."""
    total = np.zeros(rows.shape[1])
    add_rows(total, np.ascontiguousarray(weights), np.ascontiguousarray(rows), 0)
    return total


def _left_out_error(points: Floats, values: Floats, length: float) -> float:
    """Squared error of each value as expected from the others (Rasmussen and Williams 2006, equation 5.12)."""
    inverse = _inverse(points, length)
    residuals = _weighted(inverse, values) / np.diag(inverse)
    return float(sum((residuals**2).tolist()))
