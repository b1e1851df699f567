"""Linear functions of features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.arrays import Floats
from engine.functions.inputs import Inputs


@dataclass(frozen=True, eq=False)
class Linear:
    """intercept + Σ weight × input, added in the order of the inputs; without `inputs`, NaN counts as 0."""

    weights: tuple[float, ...]
    intercept: float
    inputs: Inputs | None = None

    def predict(self, matrix: npt.NDArray[Any]) -> Floats:
        """Return the scores."""
        given = np.nan_to_num(matrix.astype(np.float64), nan=0.0) if self.inputs is None else self.inputs.of(matrix)
        scores = np.full(len(matrix), self.intercept)
        # A matrix product would add in an order that depends on the processor's BLAS.
        for column, weight in enumerate(self.weights):
            scores += weight * given[:, column]
        return scores


@dataclass(frozen=True)
class Column:
    """One feature as it is; NaN counts as 0."""

    column: int

    def predict(self, matrix: npt.NDArray[Any]) -> Floats:
        """Return the scores."""
        return np.nan_to_num(matrix[:, self.column].astype(np.float64), nan=0.0)
