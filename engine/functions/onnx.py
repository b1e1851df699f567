"""Functions that were trained elsewhere: models of ONNX, from features as they are to a score."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.arrays import Floats
from engine.errors import ArtifactError, RequestError
from engine.onnx.checks import Signature
from engine.onnx.proto import FLOAT
from engine.onnx.session import BlockModel

FEATURES = "features"
"""The property of a model's file that lists the features it takes, in their order, with commas between them."""


@dataclass(frozen=True, eq=False)
class OnnxFunction:
    """A model of ONNX: NaN reaches it as it is."""

    model: BlockModel

    def predict(self, matrix: npt.NDArray[Any]) -> Floats:
        """Return the scores.

        Raises:
            RequestError: the matrix has another shape.
            ArtifactError: a score is not finite: it could not be ordered.
        """
        width = self.model.signature.inputs
        if matrix.ndim != 2 or matrix.shape[1] != width:
            raise RequestError(f"features of shape {matrix.shape}; expected rows of {width} features")
        scores: Floats = self.model.run(np.ascontiguousarray(matrix, dtype=np.float32))[:, 0].astype(np.float64)
        if not np.isfinite(scores).all():
            row = int(np.flatnonzero(~np.isfinite(scores))[0])
            raise ArtifactError(
                f"{self.model.path}: gives the score {scores[row]} for the features {matrix[row].tolist()}; expected "
                "finite numbers, also where features are missing (NaN)"
            )
        return scores

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features that it takes, as its file says."""
        return tuple(self.model.properties[FEATURES].split(","))

    @classmethod
    def load(cls, path: Path, features: int) -> OnnxFunction:
        """Check and load a file.

        Raises:
            ArtifactError: it is no model that we run, or does not say which features it takes.
        """
        model = BlockModel.load(path, Signature(FLOAT, features))
        if FEATURES not in model.properties:
            raise ArtifactError(
                f"{path}: no metadata property {FEATURES!r}; expected the names of its features in their order, with "
                "commas between them"
            )
        return cls(model)
