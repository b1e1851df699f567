"""Factorization machines of degree two (Rendle, 2010), in time linear in the number of inputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from engine.arrays import Floats, kernel
from engine.errors import ArtifactError
from engine.functions.inputs import Inputs
from engine.npz import Layout, load_arrays, save_arrays


@kernel
def score_row(row: Floats, intercept: float, weights: Floats, factors: Floats, sums: Floats) -> float:
    """Score one row of inputs.

    Args:
        row: (inputs,).
        intercept: added to every score.
        weights: (inputs,).
        factors: (inputs, size).
        sums: (size,), becomes Σ input × factors, which the gradient needs, too.
    """
    score = intercept
    sums[:] = 0.0
    squares = 0.0
    for n in range(len(row)):
        value = row[n]
        if value == 0.0:  # most inputs of codes are
            continue
        score += weights[n] * value
        for f in range(len(sums)):
            part = factors[n, f] * value
            sums[f] += part
            squares += part * part
    pairs = 0.0
    for f in range(len(sums)):
        pairs += sums[f] * sums[f]
    return score + 0.5 * (pairs - squares)


@kernel
def _score(rows: Floats, intercept: float, weights: Floats, factors: Floats) -> Floats:
    scores = np.empty(len(rows))
    sums = np.empty(factors.shape[1])
    for n in range(len(rows)):
        scores[n] = score_row(rows[n], intercept, weights, factors, sums)
    return scores


@dataclass(frozen=True, eq=False)
class FactorizationMachine:
    """intercept + Σ weight × input + Σ over pairs of inputs of their product times their factors' dot product."""

    LAYOUT: ClassVar[Layout] = {"intercept": "f8:0", "weights": "f8:1", "factors": "f8:2"}

    inputs: Inputs
    intercept: float
    weights: Floats
    factors: Floats

    def predict(self, matrix: npt.NDArray[Any]) -> Floats:
        """Return the scores."""
        scores: Floats = _score(self.inputs.of(matrix), self.intercept, self.weights, self.factors)
        return scores

    def save(self, path: Path) -> None:
        """Write the file; that of the inputs is another."""
        save_arrays(path, intercept=self.intercept, weights=self.weights, factors=self.factors)

    @classmethod
    def load(cls, path: Path, inputs: Inputs) -> FactorizationMachine:
        """Read the file; raise `ArtifactError` where it is damaged, or of other inputs."""
        arrays = load_arrays(path, cls.LAYOUT)
        weights, factors = arrays["weights"], arrays["factors"]
        if not len(weights) == len(factors) == len(inputs):
            raise ArtifactError(f"{path}: {len(weights)} weights, {len(factors)} factors for {len(inputs)} inputs")
        return cls(inputs, float(arrays["intercept"]), weights, np.ascontiguousarray(factors))
