"""Fits linear models with penalties, in sums of one order: the same bits on every processor.

Minimized is the weighted mean of a loss, plus `l1` Σ|weight| + `l2` / 2 Σ weight², the intercept left out of both:
ridge, lasso or elastic net (Zou & Hastie, 2005). Inner problems are solved by coordinate descent on the matrix of
second derivatives (Friedman, Hastie & Tibshirani, 2010), which is small, since inputs are few.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import Floats, kernel
from engine.exact import add_outer, add_rows, dot, sigmoid, softplus

_SWEEPS = 10_000
_STEPS = 100
_CLOSE = 1e-10
_SMALLEST_STEP = 1e-6
_LEAST_CURVATURE = 1e-6
"""Of an example's loss, where the model is all but sure of it: else a step would have no bound."""


@dataclass(frozen=True)
class Penalties:
    """What large weights cost."""

    l1: float
    l2: float

    def of(self, coefficients: Floats) -> float:
        """The cost of the coefficients, of which the first is the intercept."""
        weights = np.ascontiguousarray(coefficients[1:])
        absolute = dot(np.abs(weights), np.ones(len(weights)))
        return float(self.l1 * absolute + 0.5 * self.l2 * dot(weights, weights))


@kernel
def _descend(curvature: Floats, right: Floats, x: Floats, l1: float, l2: float) -> None:
    """Minimize ½ xᵀ `curvature` x − `right`ᵀ x + penalties by coordinate descent, in the place of `x`."""
    slope = np.zeros(len(x))
    add_rows(slope, x, curvature, 0)
    for _ in range(_SWEEPS):
        largest = 0.0
        for n in range(len(x)):
            own = curvature[n, n]
            rest = right[n] - slope[n] + own * x[n]
            if n == 0:
                new = rest / own
            elif own + l2 <= 0.0:
                new = 0.0
            else:
                new = np.sign(rest) * max(abs(rest) - l1, 0.0) / (own + l2)
            change = new - x[n]
            if change != 0.0:
                x[n] = new
                for k in range(len(x)):
                    slope[k] += change * curvature[n, k]
                largest = max(largest, abs(change))
        if largest < _CLOSE:
            return


@kernel
def _curvature(rows: Floats, weights: Floats, total: float) -> Floats:
    """Σ weight × row × rowᵀ / total, whole."""
    size = rows.shape[1]
    matrix = np.zeros((size, size))
    add_outer(matrix, weights, rows)
    for k in range(size):
        for other in range(k, size):
            matrix[k, other] /= total
            matrix[other, k] = matrix[k, other]
    return matrix


@kernel
def _margins(rows: Floats, coefficients: Floats) -> Floats:
    scores = np.empty(len(rows))
    for n in range(len(rows)):
        scores[n] = dot(rows[n], coefficients)
    return scores


@kernel
def _logistic_loss(scores: Floats, target: Floats, weights: Floats) -> float:
    loss = 0.0
    for n in range(len(scores)):
        loss += weights[n] * (softplus(scores[n]) - target[n] * scores[n])
    return loss


@kernel
def _derivatives(scores: Floats, target: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """First and second derivatives of each example's loss by its score, weighted."""
    first, second = np.empty(len(scores)), np.empty(len(scores))
    for n in range(len(scores)):
        chance = sigmoid(scores[n])
        first[n] = weights[n] * (chance - target[n])
        second[n] = weights[n] * max(chance * (1.0 - chance), _LEAST_CURVATURE)
    return first, second


def fit_squared(rows: Floats, target: Floats, weights: Floats, penalties: Penalties) -> Floats:
    """The coefficients (columns,) with the least squared error (halved) and penalties.

    Args:
        rows: (examples, columns), contiguous; the first column is 1, and its coefficient is the intercept.
        target: (examples,).
        weights: (examples,), not negative.
        penalties: on the other coefficients.
    """
    total = dot(weights, np.ones(len(weights)))
    right = np.zeros(rows.shape[1])
    add_rows(right, weights * target, rows, 0)
    coefficients = np.zeros(rows.shape[1])
    _descend(_curvature(rows, weights, total), right / total, coefficients, penalties.l1, penalties.l2)
    return coefficients


def fit_logistic(rows: Floats, target: Floats, weights: Floats, penalties: Penalties) -> Floats:
    """The coefficients with the least logistic loss and penalties, for targets of 0 and 1; arguments as `fit_squared`.

    Newton's method; a step that makes it worse is halved.
    """
    total = dot(weights, np.ones(len(weights)))

    def cost(coefficients: Floats) -> float:
        return _logistic_loss(_margins(rows, coefficients), target, weights) / total + penalties.of(coefficients)

    now = np.zeros(rows.shape[1])
    value = cost(now)
    for _ in range(_STEPS):
        first, second = _derivatives(_margins(rows, now), target, weights)
        curvature, right = _curvature(rows, second, total), np.zeros(len(now))
        add_rows(right, first / -total, rows, 0)
        add_rows(right, now, curvature, 0)
        new = now.copy()
        _descend(curvature, right, new, penalties.l1, penalties.l2)
        step = 1.0
        while cost(now + step * (new - now)) > value and step > _SMALLEST_STEP:
            step /= 2.0
        if step <= _SMALLEST_STEP:  # nothing but rounding is left
            break
        change = float(np.max(np.abs(step * (new - now))))
        now = now + step * (new - now)
        value = cost(now)
        if change < _CLOSE:
            break
    return now
