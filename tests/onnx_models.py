"""Small models of ONNX, written by hand: what exporters of other libraries give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NAMES = ("a", "b", "c")
OPSET = 18


def constant(name: str, values: Any, dtype: Any = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype=dtype), name)


def model_of(
    nodes: Sequence[onnx.NodeProto],
    constants: Sequence[onnx.TensorProto] = (),
    *,
    names: Sequence[str] | None = NAMES,
    input_shape: Sequence[int | str | None] = ("rows", 3),
    output_shape: Sequence[int | str | None] | None = ("rows", 1),
    input_type: int = TensorProto.FLOAT,
    opsets: dict[str, int] | None = None,
) -> onnx.ModelProto:
    """A model from `x` to `y`; `names` are its property `features`."""
    graph = helper.make_graph(
        list(nodes),
        "scores",
        [helper.make_tensor_value_info("x", input_type, input_shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output_shape)],
        list(constants),
    )
    written = [helper.make_opsetid(domain, version) for domain, version in (opsets or {"": OPSET}).items()]
    model = helper.make_model(graph, opset_imports=written, ir_version=10)
    if names is not None:
        helper.set_model_props(model, {"features": ",".join(names)})
    return model


def perceptron(features: int = 3, hidden: int = 16, names: Sequence[str] = NAMES, seed: int = 0) -> onnx.ModelProto:
    """Two layers; missing features count as 0."""
    random = np.random.default_rng(seed)
    constants = [
        constant("zero", 0.0),
        constant("w1", random.normal(size=(features, hidden))),
        constant("b1", random.normal(size=hidden)),
        constant("w2", random.normal(size=(hidden, 1))),
        constant("b2", [0.5]),
    ]
    nodes = [
        helper.make_node("IsNaN", ["x"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "x"], ["given"]),
        helper.make_node("Gemm", ["given", "w1", "b1"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["y"]),
    ]
    return model_of(nodes, constants, names=names, input_shape=("rows", features))


def linear(weights: Sequence[float], names: Sequence[str]) -> onnx.ModelProto:
    """Σ weight × feature; missing features count as 0."""
    nodes = [
        helper.make_node("IsNaN", ["x"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "x"], ["given"]),
        helper.make_node("MatMul", ["given", "w"], ["y"]),
    ]
    constants = [constant("zero", 0.0), constant("w", np.array(weights)[:, None])]
    return model_of(nodes, constants, names=names, input_shape=("rows", len(names)))


def save(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path
