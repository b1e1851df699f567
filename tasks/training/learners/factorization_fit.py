"""Fits factorization machines by stochastic gradients, example by example: one order of everything, and no library.

Adagrad (Duchi, Hazan & Singer, 2011): each parameter's step shrinks by the gradients that it has had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.arrays import Floats, Offsets, kernel
from engine.exact import sigmoid
from engine.functions.factorization import score_row

_START = 0.01
"""Largest factor in the beginning: at 0, none of them would ever move."""
_HAD = 1.0
"""Squared gradients that a parameter has had in the beginning, so that its first step is no leap."""


class State(NamedTuple):
    """What is learned, and the squared gradients of each part so far; the intercept is an array of one."""

    intercept: Floats
    weights: Floats
    factors: Floats
    intercept_had: Floats
    weights_had: Floats
    factors_had: Floats


@dataclass(frozen=True)
class Steps:
    """How far each step goes."""

    rate: float
    l2: float


def start(inputs: int, factors: int, seed: int) -> State:
    """The state before the first step."""
    # Uniform numbers are the same everywhere; normal ones come from the machine's logarithm.
    drawn = np.random.default_rng([seed, 0xF3]).random((inputs, factors))
    return State(
        intercept=np.zeros(1),
        weights=np.zeros(inputs),
        factors=(2.0 * drawn - 1.0) * _START,
        intercept_had=np.full(1, _HAD),
        weights_had=np.full(inputs, _HAD),
        factors_had=np.full((inputs, factors), _HAD),
    )


@kernel
def _step(rows: tuple[Floats, Floats], sums: tuple[Floats, Floats], slope: float, state: State, steps: Floats) -> None:
    """Follow the loss's slope by the difference of the scores of two rows; `steps` are rate and l2."""
    (above, below), (above_sums, below_sums) = rows, sums
    rate, l2 = steps[0], steps[1]
    weights, factors, weights_had, factors_had = state.weights, state.factors, state.weights_had, state.factors_had
    for n in range(len(above)):
        a, b = above[n], below[n]
        if a == 0.0 and b == 0.0:
            continue
        gradient = slope * (a - b) + l2 * weights[n]
        weights_had[n] += gradient * gradient
        weights[n] -= rate * gradient / np.sqrt(weights_had[n])
        for f in range(len(above_sums)):
            factor = factors[n, f]
            gradient = slope * (a * (above_sums[f] - factor * a) - b * (below_sums[f] - factor * b)) + l2 * factor
            factors_had[n, f] += gradient * gradient
            factors[n, f] -= rate * gradient / np.sqrt(factors_had[n, f])


@kernel
def _learn_pairs(rows: Floats, pairs: Offsets, weights: Floats, state: State, steps: Floats) -> None:
    """Go over pairs of rows (better, worse) in their order: the logistic loss of the difference of their scores."""
    sums = (np.empty(state.factors.shape[1]), np.empty(state.factors.shape[1]))
    for n in range(len(pairs)):
        better, worse = rows[pairs[n, 0]], rows[pairs[n, 1]]
        lead = score_row(better, 0.0, state.weights, state.factors, sums[0])
        lead -= score_row(worse, 0.0, state.weights, state.factors, sums[1])
        _step((better, worse), sums, -weights[pairs[n, 0]] * sigmoid(-lead), state, steps)


@kernel
def _learn_points(rows: Floats, order: Offsets, target: Floats, weights: Floats, state: State, steps: Floats) -> None:
    """Go over rows in an order: the logistic loss of each."""
    sums = (np.empty(state.factors.shape[1]), np.zeros(state.factors.shape[1]))
    nothing = np.zeros(rows.shape[1])
    for n in order:
        score = score_row(rows[n], state.intercept[0], state.weights, state.factors, sums[0])
        slope = weights[n] * (sigmoid(score) - target[n])
        state.intercept_had[0] += slope * slope
        state.intercept[0] -= steps[0] * slope / np.sqrt(state.intercept_had[0])
        _step((rows[n], nothing), sums, slope, state, steps)


def learn_points(rows: Floats, target: Floats, weights: Floats, state: State, *, steps: Steps, order: Offsets) -> None:
    """One epoch over the examples in an order; `target` is 0 or 1, the weights have the mean 1."""
    _learn_points(rows, order, target, weights, state, np.array([steps.rate, steps.l2]))


def learn_pairs(rows: Floats, pairs: Offsets, weights: Floats, state: State, steps: Steps) -> None:
    """One epoch over pairs (better, worse) of examples; the weights of examples have the mean 1."""
    _learn_pairs(rows, pairs, weights, state, np.array([steps.rate, steps.l2]))


@dataclass(frozen=True)
class Lists:
    """Lists of examples, from which pairs are drawn: rows of a list stand together."""

    grades: npt.NDArray[np.int64]
    offsets: Offsets

    def pairs(self, random: np.random.Generator) -> Offsets:
        """Draw, for each example that beats another of its list, one that it beats; (pairs, 2) in random order."""
        group = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        by_grade = np.lexsort((self.grades, group))  # within a list from the lowest grade on
        key = group * (int(self.grades.max(initial=0)) + 1) + self.grades
        beaten = np.searchsorted(key[by_grade], key) - self.offsets[:-1][group]
        better = np.flatnonzero(beaten > 0)
        drawn = (random.random(len(better)) * beaten[better]).astype(np.int64)
        worse = by_grade[self.offsets[:-1][group[better]] + drawn]
        return np.ascontiguousarray(np.column_stack([better, worse])[random.permutation(len(better))])
