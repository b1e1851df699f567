"""Builds executable functions from their nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.arrays import Floats
from engine.errors import ArtifactError
from engine.functions.factorization import FactorizationMachine
from engine.functions.inputs import Inputs
from engine.functions.linear import Column, Linear
from engine.functions.onnx import OnnxFunction
from engine.functions.schema import BlendNode, ColumnNode, FactorizationMachineNode, FunctionNode, LinearNode, OnnxNode
from engine.trees import Trees


class Function(Protocol):
    """Maps features (rows × features, NaN = missing) to one score per row, the same for one row as for many."""

    def predict(self, matrix: npt.NDArray[Any]) -> Floats:
        """Return the scores."""


@dataclass(frozen=True, eq=False)
class Weighted:
    """A function of a blend: weight × (score − center) / scale."""

    function: Function
    weight: float
    center: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class Blend:
    """The sum of several functions' weighted scores, added in their order."""

    of: tuple[Weighted, ...]

    def predict(self, matrix: npt.NDArray[Any]) -> Floats:
        """Return the scores."""
        scores = np.zeros(len(matrix))
        for part in self.of:
            scores += part.weight * ((part.function.predict(matrix) - part.center) / part.scale)
        return scores


def load_function(node: FunctionNode, folder: Path, names: Sequence[str]) -> Function:
    """Build a function of the features `names`, in their order; its files lie below `folder`.

    Raises `ArtifactError` where a file is damaged, or was trained on other features.
    """
    if isinstance(node, BlendNode):
        parts = (Weighted(load_function(p.function, folder, names), p.weight, p.center, p.scale) for p in node.of)
        return Blend(tuple(parts))
    if isinstance(node, LinearNode):
        return _linear(node, folder, names)
    if isinstance(node, FactorizationMachineNode):
        return FactorizationMachine.load(folder / node.artifact, _inputs(folder / node.inputs_artifact, names))
    if isinstance(node, OnnxNode):
        foreign = OnnxFunction.load(folder / node.artifact, len(names))
        _same_features(folder / node.artifact, foreign.feature_names, names)
        return foreign
    if isinstance(node, ColumnNode):
        return Column(list(names).index(node.name))
    trees = Trees.load(folder / node.artifact)
    _same_features(folder / node.artifact, trees.feature_names, names)
    return trees


def _linear(node: LinearNode, folder: Path, names: Sequence[str]) -> Linear:
    if node.inputs_artifact is None:
        return Linear(node.weights, node.intercept)
    inputs = _inputs(folder / node.inputs_artifact, names)
    if len(inputs) != len(node.weights):
        raise ArtifactError(f"{folder / node.inputs_artifact}: {len(inputs)} inputs for {len(node.weights)} weights")
    return Linear(node.weights, node.intercept, inputs)


def _inputs(path: Path, names: Sequence[str]) -> Inputs:
    inputs = Inputs.load(path)
    _same_features(path, inputs.names, names)
    return inputs


def _same_features(path: Path, learned: Sequence[str], names: Sequence[str]) -> None:
    if tuple(learned) != tuple(names):
        raise ArtifactError(
            f"{path}: trained on {', '.join(learned)}; the descriptor computes {', '.join(names)}: names and order "
            "must be equal"
        )
