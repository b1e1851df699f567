"""From features to the inputs of functions that need numbers of one scale, none of them missing.

A feature that is a number becomes its distance from the mean of the examples it was learned from, in their standard
deviations; where it is missing, the mean stands in for it (0). If it was ever missing there, another input says
whether it is: 1 or 0. A feature that is the code of a text becomes an input for each code that was learned from: 1
where it has that code, else 0; a missing or another code is 0 in all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from engine.arrays import Codes, Floats, Scores, kernel
from engine.errors import ArtifactError, RequestError
from engine.npz import Layout, load_arrays, save_arrays

NUMBER, MISSING, CODE = 0, 1, 2
"""Kinds of inputs: a standardized number, whether a feature is missing, whether it has a code."""
FARTHEST = 10.0
"""Standard deviations: an input farther from the mean counts as this far, so that no outlier decides a score alone."""


@kernel
def _fill(out: Floats, matrix: Scores, features: Codes, kinds: Codes, centers: Floats, scales: Floats) -> None:
    for row in range(len(matrix)):
        for n in range(len(features)):
            value = float(matrix[row, features[n]])
            missing = value != value
            if kinds[n] == MISSING:
                out[row, n] = 1.0 if missing else 0.0
            elif kinds[n] == CODE:
                out[row, n] = 1.0 if value == centers[n] else 0.0
            else:
                distance = 0.0 if missing else (value - centers[n]) / scales[n]
                out[row, n] = min(max(distance, -FARTHEST), FARTHEST)


@dataclass(frozen=True, eq=False)
class Inputs:
    """The inputs made of features; all arrays but `names` are one value an input.

    Attributes:
        names: the features, in the order of the matrix's columns.
        features: which of them each input is made of.
        kinds: `NUMBER`, `MISSING` or `CODE`.
        centers: the mean of a number, the code; 0 for `MISSING`.
        scales: the standard deviation of a number; 1 for the others.
    """

    LAYOUT: ClassVar[Layout] = {
        "names": "U:1",
        "features": "i4:1",
        "kinds": "i4:1",
        "centers": "f8:1",
        "scales": "f8:1",
    }

    names: tuple[str, ...]
    features: Codes
    kinds: Codes
    centers: Floats
    scales: Floats

    def __len__(self) -> int:
        return len(self.features)

    def of(self, matrix: npt.NDArray[Any]) -> Floats:
        """Make the inputs (rows × inputs) of features (rows × features, float32 or float64, NaN = missing).

        Raises `RequestError` on another shape.
        """
        if matrix.ndim != 2 or matrix.shape[1] != len(self.names):
            raise RequestError(
                f"features of shape {matrix.shape}; expected rows of {len(self.names)} features: "
                f"{', '.join(self.names)}"
            )
        out = np.empty((len(matrix), len(self)))
        _fill(out, np.ascontiguousarray(matrix), self.features, self.kinds, self.centers, self.scales)
        return out

    def save(self, path: Path) -> None:
        """Write the file."""
        arrays = {name: getattr(self, name) for name in self.LAYOUT if name != "names"}
        save_arrays(path, names=np.array(self.names, dtype=np.str_), **arrays)

    @classmethod
    def load(cls, path: Path) -> Inputs:
        """Read the file; raise `ArtifactError` where it is damaged or means nothing."""
        arrays = load_arrays(path, cls.LAYOUT)
        names = tuple(arrays.pop("names").tolist())
        if len({len(array) for array in arrays.values()}) > 1:
            raise ArtifactError(f"{path}: arrays of different lengths; expected one value an input in each")
        inputs = cls(names, **arrays)
        if ((inputs.features < 0) | (inputs.features >= len(names))).any():
            raise ArtifactError(f"{path}: an input is of a feature that is not there; expected 0 to {len(names) - 1}")
        if not np.isin(inputs.kinds, (NUMBER, MISSING, CODE)).all() or (inputs.scales <= 0).any():
            raise ArtifactError(f"{path}: an input of an unknown kind or without a scale; expected kinds 0 to 2")
        return inputs
