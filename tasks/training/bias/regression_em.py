"""Regression-EM (Wang, Golbandi, Bendersky, Metzler & Najork, 2018): examination and relevance told apart by a model.

P(found relevant in slot k | features x) = examination(k) × relevance(x). Each round takes the expectation of what was
not seen under the current estimates, then moves both of them: relevance by one more tree on the expected labels, a
gradient step of the M-step; examination by its closed form, several times, as it moves slowly where little is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.arrays import Bools, Floats, kernel
from engine.exact import sigmoid
from tasks.store.settings import training_threads

if TYPE_CHECKING:
    import lightgbm
    import pyarrow as pa

    from tasks.training.bias.slots import Slots

ROUNDS = 100
STEPS = 5
"""Steps of the examination in each round."""
_LEAST = 1e-4
"""Smallest examination in the beginning: at 0 it would stay there."""
_RATE = 0.2
_LEAF = 100
"""Examples in a leaf at least, of some thousands."""


def examination_by_em(table: pa.Table, features: tuple[str, ...], slots: Slots, relevant: Bools) -> Floats:
    """Estimate how likely each slot is to be looked at, compared with the likeliest.

    Args:
        table: the examples, with the columns `features` and `weight`.
        features: what relevance depends on.
        slots: of the examples.
        relevant: which examples were found relevant; some were, some were not.
    """
    import lightgbm

    weights = table["weight"].to_numpy().astype(np.float64)
    found = relevant.astype(np.float64)
    examination = np.maximum(slots.sums(weights * found) / slots.sums(weights), _LEAST)
    rounds = _Rounds(slots, found, weights, examination / examination.max())
    rate = min(float(np.sum(weights * found) / np.sum(weights * rounds.examination[slots.codes])), 0.5)
    data = lightgbm.Dataset(
        table.select(list(features)).combine_chunks(),
        label=found,
        init_score=np.full(len(found), np.log(rate / (1.0 - rate))),
    )

    def objective(scores: Floats, _: lightgbm.Dataset) -> tuple[Floats, Floats]:
        return rounds.take(scores)

    # A function, because LightGBM copies its parameters, and what an object learned would be in the copy.
    lightgbm.train(_parameters(len(found)) | {"objective": objective}, data, num_boost_round=ROUNDS)
    result: Floats = rounds.examination / rounds.examination.max()
    return result


def _parameters(rows: int) -> dict[str, Any]:
    return {
        "learning_rate": _RATE,
        "num_leaves": 15,
        "min_data_in_leaf": max(1, min(_LEAF, rows // 50)),
        "lambda_l2": 1.0,
        "seed": 0,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": training_threads(),
        "verbosity": -1,
    }


@dataclass(eq=False)
class _Rounds:
    """What is known round by round; `examination` is of each slot."""

    slots: Slots
    found: Floats
    weights: Floats
    examination: Floats

    def take(self, scores: Floats) -> tuple[Floats, Floats]:
        """Take a round: move the examination, and return gradients and curvatures of the expected logistic loss."""
        relevance = _sigmoids(scores)
        for _ in range(STEPS):
            looked_at, _ = _expected(self.examination[self.slots.codes], relevance, self.found)
            self.examination = self.slots.sums(self.weights * looked_at) / self.slots.sums(self.weights)
        _, relevant = _expected(self.examination[self.slots.codes], relevance, self.found)
        return self.weights * (relevance - relevant), self.weights * relevance * (1.0 - relevance)


@kernel
def _sigmoids(scores: Floats) -> Floats:
    result = np.empty(len(scores))
    for n in range(len(scores)):
        result[n] = sigmoid(scores[n])
    return result


@kernel
def _expected(examination: Floats, relevance: Floats, found: Floats) -> tuple[Floats, Floats]:
    """Return the probabilities that each example was looked at, and that it is relevant, given what was found."""
    looked_at, relevant = np.empty(len(found)), np.empty(len(found))
    for n in range(len(found)):
        if found[n] > 0.0:
            looked_at[n] = relevant[n] = 1.0
        else:
            neither = 1.0 - examination[n] * relevance[n]
            looked_at[n] = examination[n] * (1.0 - relevance[n]) / neither
            relevant[n] = relevance[n] * (1.0 - examination[n]) / neither
    return looked_at, relevant
