"""What is read of a file of ONNX, and which of its fields there may be: https://github.com/onnx/onnx, `onnx.proto3`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engine.onnx.wire import Budget, Field, Malformed, read_message

FLOAT, INT64 = 1, 7
"""Types of elements."""
BYTES_OF = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
"""Bytes of an element, by type: the numbers and booleans; no texts, no complex numbers, nothing of four bits."""

_PAIR = {1: Field("key", "text"), 2: Field("value", "text")}
_NOTES = Field("notes", "skipped", repeated=True)
_DOC = Field("doc", "skipped")
_DIMENSION = {1: Field("value", "number"), 2: Field("name", "text"), 3: Field("denotation", "skipped")}
_TENSOR_TYPE = {
    1: Field("element", "number"),
    2: Field("shape", {1: Field("dimensions", _DIMENSION, repeated=True)}),
}
_NO_TENSOR = "a value that is no tensor"
_TYPE = {
    1: Field("tensor", _TENSOR_TYPE),
    4: Field(f"{_NO_TENSOR} (a sequence)", "refused"),
    5: Field(f"{_NO_TENSOR} (a map)", "refused"),
    6: Field("denotation", "skipped"),
    8: Field(f"{_NO_TENSOR} (a sparse one)", "refused"),
    9: Field(f"{_NO_TENSOR} (an optional one)", "refused"),
}
_VALUE = {1: Field("name", "text"), 2: Field("type", _TYPE), 3: _DOC, 4: _NOTES}
_TENSOR = {
    1: Field("dimensions", "number", repeated=True),
    2: Field("element", "number"),
    4: Field("numbers", "skipped", repeated=True),
    5: Field("numbers", "skipped", repeated=True),
    7: Field("numbers", "skipped", repeated=True),
    8: Field("name", "text"),
    9: Field("raw", "bytes"),
    10: Field("numbers", "skipped", repeated=True),
    11: Field("numbers", "skipped", repeated=True),
    12: _DOC,
    13: Field("external", _PAIR, repeated=True),
    14: Field("location", "number"),
    16: _NOTES,
}
_ATTRIBUTE = {
    1: Field("name", "text"),
    2: Field("float", "skipped"),
    3: Field("integer", "number"),
    4: Field("text", "bytes"),
    5: Field("tensor", _TENSOR),
    6: Field("a graph within a graph (If, Loop, Scan)", "refused"),
    7: Field("floats", "skipped", repeated=True),
    8: Field("integers", "skipped", repeated=True),
    9: Field("texts", "skipped", repeated=True),
    11: Field("graphs within a graph", "refused", repeated=True),
    13: _DOC,
    20: Field("kind", "number"),
    # 10, 14, 15, 22 and 23 are lists of tensors, types and sparse tensors, which no operator of ours has.
}
_NODE = {
    1: Field("inputs", "text", repeated=True),
    2: Field("outputs", "text", repeated=True),
    3: Field("name", "text"),
    4: Field("operator", "text"),
    5: Field("attributes", _ATTRIBUTE, repeated=True),
    6: _DOC,
    7: Field("domain", "text"),
    9: _NOTES,
}
_GRAPH = {
    1: Field("nodes", _NODE, repeated=True),
    2: Field("name", "text"),
    5: Field("initializers", _TENSOR, repeated=True),
    10: _DOC,
    11: Field("inputs", _VALUE, repeated=True),
    12: Field("outputs", _VALUE, repeated=True),
    13: Field("values", _VALUE, repeated=True),
    16: _NOTES,
}
_MODEL = {
    1: Field("ir_version", "number"),
    2: Field("producer", "text"),
    3: Field("producer_version", "text"),
    4: Field("domain", "text"),
    5: Field("model_version", "number"),
    6: _DOC,
    7: Field("graph", _GRAPH),
    8: Field("opsets", {1: Field("domain", "text"), 2: Field("version", "number")}, repeated=True),
    14: Field("properties", _PAIR, repeated=True),
    20: Field("training within the model", "refused", repeated=True),
    25: Field("functions of its own", "refused", repeated=True),
    26: Field("a plan for several devices", "refused", repeated=True),
}


@dataclass(frozen=True)
class Tensor:
    """Constant numbers: `raw` bytes of them, or None where they are listed one by one."""

    name: str
    element: int
    shape: tuple[int, ...]
    raw: int | None
    external: bool

    @property
    def elements(self) -> int:
        """How many numbers its shape asks for."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Value:
    """An input, an output or a value between two nodes; what is not fixed of its shape is None."""

    name: str
    element: int
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class Node:
    """One operation."""

    name: str
    operator: str
    domain: str
    tensors: tuple[Tensor, ...]


@dataclass(frozen=True)
class OnnxModel:
    """A model, as far as it has to be known to be checked.

    Attributes:
        opsets: version of each domain of operators.
        properties: what whoever exported it wrote down.
    """

    ir_version: int
    opsets: tuple[tuple[str, int], ...]
    properties: dict[str, str]
    nodes: tuple[Node, ...]
    initializers: tuple[Tensor, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    values: tuple[Value, ...]

    def tensors(self) -> Iterator[Tensor]:
        """Yield all constants, those of nodes, too."""
        yield from self.initializers
        for node in self.nodes:
            yield from node.tensors


def parse(content: bytes) -> OnnxModel:
    """Read a file of ONNX.

    Raises:
        Malformed: it is none, or has what is not listed above.
    """
    message = read_message(memoryview(content), _MODEL, Budget())
    graph = message.get("graph")
    if graph is None:
        raise Malformed("no graph")
    return OnnxModel(
        ir_version=message.get("ir_version", 0),
        opsets=tuple((opset.get("domain", ""), opset.get("version", 0)) for opset in message["opsets"]),
        properties={pair.get("key", ""): pair.get("value", "") for pair in message["properties"]},
        nodes=tuple(_node(node) for node in graph["nodes"]),
        initializers=tuple(_tensor(tensor) for tensor in graph["initializers"]),
        inputs=tuple(_value(value) for value in graph["inputs"]),
        outputs=tuple(_value(value) for value in graph["outputs"]),
        values=tuple(_value(value) for value in graph["values"]),
    )


def _tensor(message: dict[str, Any]) -> Tensor:
    raw = message.get("raw")
    return Tensor(
        name=message.get("name", ""),
        element=message.get("element", 0),
        shape=tuple(message["dimensions"]),
        raw=None if raw is None else len(raw),
        external=bool(message["external"]) or message.get("location", 0) != 0,
    )


def _node(message: dict[str, Any]) -> Node:
    constants = (attribute["tensor"] for attribute in message["attributes"] if "tensor" in attribute)
    return Node(
        name=message.get("name", ""),
        operator=message.get("operator", ""),
        domain=message.get("domain", ""),
        tensors=tuple(_tensor(constant) for constant in constants),
    )


def _value(message: dict[str, Any]) -> Value:
    tensor = message.get("type", {}).get("tensor", {})
    shape = tensor.get("shape")
    dimensions = None if shape is None else tuple(dimension.get("value") for dimension in shape["dimensions"])
    return Value(message.get("name", ""), tensor.get("element", 0), dimensions)
