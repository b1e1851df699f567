"""The nodes of functions: a closed list, each told apart by `type`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.closed import ArtifactName, Closed, FiniteFloat


class TreesNode(Closed):
    """Boosted trees or a random forest, a LightGBM text whose feature names are the scorer's, in their order."""

    type: Literal["Trees"] = "Trees"
    artifact: ArtifactName


class LinearNode(Closed):
    """intercept + Σ weight × input.

    The inputs are those that `inputs_artifact` makes of the features (`engine.functions.inputs.Inputs.LAYOUT`); without
    one, the features themselves, where a missing one counts as 0.
    """

    type: Literal["Linear"] = "Linear"
    weights: tuple[FiniteFloat, ...]
    intercept: FiniteFloat = 0.0
    inputs_artifact: ArtifactName | None = Field(default=None, exclude_if=lambda name: name is None)


class FactorizationMachineNode(Closed):
    """intercept + Σ weight × input + Σ over pairs of inputs of the product of both and of their factors' dot product.

    Rendle (2010). File: `engine.functions.factorization.FactorizationMachine.LAYOUT`; `inputs_artifact` as of `Linear`.
    """

    type: Literal["FactorizationMachine"] = "FactorizationMachine"
    artifact: ArtifactName
    inputs_artifact: ArtifactName


class OnnxNode(Closed):
    """A model of ONNX that was trained elsewhere: float32 [rows, features] to float32 [rows] or [rows, 1].

    Missing features are NaN. It is run by onnxruntime in blocks of `engine.onnx.session.BLOCK` rows; its file has the
    property `features`, their names in their order. Its last bits depend on the processor: `tolerance` is by how much,
    in parts of the largest score of a list, another one's may differ where golden answers are compared.
    """

    type: Literal["Onnx"] = "Onnx"
    artifact: ArtifactName
    tolerance: Annotated[float, Field(ge=0.0, le=0.01)] = 1e-4


class ColumnNode(Closed):
    """One feature as it is; missing counts as 0. What baselines are."""

    type: Literal["Column"] = "Column"
    name: str


class BlendPart(Closed):
    """One function of a blend: its scores less `center`, over `scale`, times `weight`."""

    function: FunctionNode
    weight: Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
    center: FiniteFloat = 0.0
    scale: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 1.0


class BlendNode(Closed):
    """Σ weight × (score − center) / scale over several functions of the same features, added in their order."""

    type: Literal["Blend"] = "Blend"
    of: tuple[BlendPart, ...] = Field(min_length=1)


FunctionNode = Annotated[
    TreesNode | LinearNode | FactorizationMachineNode | OnnxNode | ColumnNode | BlendNode,
    Field(discriminator="type", title="Function"),
]
BlendPart.model_rebuild()


def files_of(node: FunctionNode) -> list[str]:
    """List the names of the files that a function reads, in the order in which the node names them."""
    if isinstance(node, BlendNode):
        return [name for part in node.of for name in files_of(part.function)]
    own = (getattr(node, key, None) for key in ("artifact", "inputs_artifact"))
    return [name for name in own if name is not None]


def below(folder: str, node: FunctionNode) -> FunctionNode:
    """Give the node of the same function once its files lie in `folder`."""
    if isinstance(node, BlendNode):
        parts = [part.model_copy(update={"function": below(folder, part.function)}) for part in node.of]
        return node.model_copy(update={"of": tuple(parts)})
    named = {key: getattr(node, key, None) for key in ("artifact", "inputs_artifact")}
    return node.model_copy(update={key: f"{folder}/{name}" for key, name in named.items() if name is not None})


def tolerance_of(node: FunctionNode) -> float:
    """How far apart a function's scores may be on two processors; 0 where they are equal on all."""
    if isinstance(node, BlendNode):
        return max(tolerance_of(part.function) for part in node.of)
    return node.tolerance if isinstance(node, OnnxNode) else 0.0
