"""What a file of ONNX must be before a library gets it: one input, one output, known operators, bounded sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ArtifactError, nearest
from engine.onnx.operators import CLASSICAL, IR_VERSIONS, OPERATORS, STANDARD, VERSIONS, domain_of
from engine.onnx.proto import BYTES_OF, FLOAT, INT64, OnnxModel, Tensor, Value, parse
from engine.onnx.wire import Malformed

MOST_BYTES = 64 * 2**20
"""Of a file."""
MOST_NODES = 5_000
MOST_ELEMENTS = 2**24
"""Of a tensor whose shape is written down: 64 MiB of 32-bit numbers."""
_TYPE_NAMES = {FLOAT: "float32", INT64: "int64"}


@dataclass(frozen=True)
class Signature:
    """What a model takes and gives.

    Attributes:
        element: type of the numbers it takes, `FLOAT` or `INT64`.
        inputs: numbers of a row that it takes.
        outputs: numbers of a row that it gives; None: as many as it wants.
    """

    element: int
    inputs: int
    outputs: int | None = 1

    @property
    def text(self) -> str:
        """What is expected, for messages."""
        gives = "numbers" if self.outputs is None else f"{self.outputs}" if self.outputs > 1 else "1 or nothing"
        return f"{_TYPE_NAMES[self.element]} [rows, {self.inputs}] to float32 [rows, {gives}]"


def read_model(path: Path) -> bytes:
    """Read the file of a model, unless it is larger than one may be.

    Raises:
        ArtifactError: it is, or cannot be read.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ArtifactError(f"{path}: {size:,} bytes; expected a model of at most {MOST_BYTES:,}")
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror}); expected a model of ONNX") from None


def checked_model(content: bytes, path: Path, signature: Signature) -> OnnxModel:
    """Read a model's file as far as needed to check it; no library has seen it yet.

    Args:
        content: of the file.
        path: for messages.
        signature: what it has to take and to give.

    Raises:
        ArtifactError: it is no model of ONNX, or one with what no ranker needs.
    """
    if len(content) > MOST_BYTES:
        raise ArtifactError(f"{path}: {len(content):,} bytes; expected a model of at most {MOST_BYTES:,}")
    try:
        model = parse(content)
    except Malformed as error:
        raise ArtifactError(f"{path}: not a model of ONNX that we run; found {error}") from None
    problem = next(_problems(model, signature), None)
    if problem is not None:
        raise ArtifactError(f"{path}: {problem}")
    return model


def _problems(model: OnnxModel, signature: Signature) -> Iterator[str]:
    yield from _format_problems(model)
    yield from _operator_problems(model)
    for tensor in model.tensors():
        yield from _tensor_problems(tensor)
    yield from _signature_problems(model, signature)
    for value in (*model.inputs, *model.outputs, *model.values):
        known = math.prod(size for size in value.shape or () if size is not None)
        if any(size is not None and size < 0 for size in value.shape or ()) or known > MOST_ELEMENTS:
            yield f"the value {value.name!r} has the shape {value.shape}; expected at most {MOST_ELEMENTS:,} numbers"


def _format_problems(model: OnnxModel) -> Iterator[str]:
    if model.ir_version not in IR_VERSIONS:
        yield f"IR version {model.ir_version}, expected {IR_VERSIONS[0]} to {IR_VERSIONS[-1]}"
    if not model.opsets:
        yield "no opset; expected one of ai.onnx"
    # The exporter of scikit-learn writes an opset twice; two versions would leave it to the library which one counts.
    distinct = {(domain_of(domain), version) for domain, version in model.opsets}
    written = [domain for domain, _ in distinct]
    for domain, version in model.opsets:
        versions = VERSIONS.get(domain_of(domain))
        if versions is None:
            yield f"operators of the domain {domain!r}; expected only those of {STANDARD} and {CLASSICAL}"
        elif version not in versions:
            yield f"opset {version} of {domain_of(domain)}, expected {versions[0]} to {versions[-1]}"
        elif written.count(domain_of(domain)) > 1:
            yield f"two versions of the opset of {domain_of(domain)}, expected one"


def _operator_problems(model: OnnxModel) -> Iterator[str]:
    if len(model.nodes) > MOST_NODES:
        yield f"{len(model.nodes):,} nodes, expected at most {MOST_NODES:,}"
    for node in model.nodes:
        known = OPERATORS.get(domain_of(node.domain))
        if known is None:
            yield f"node {node.name!r} is of the domain {node.domain!r}; expected {STANDARD} or {CLASSICAL}"
        elif node.operator not in known:
            yield (
                f"node {node.name!r} has the operator {node.operator!r}, which is none of those that we run"
                f"{nearest(node.operator, known)}"
            )


def _tensor_problems(tensor: Tensor) -> Iterator[str]:
    if tensor.external:
        yield f"the tensor {tensor.name!r} lies in another file; expected all data within the model"
    size = BYTES_OF.get(tensor.element)
    if size is None:
        yield f"the tensor {tensor.name!r} has elements of type {tensor.element}; expected numbers or booleans"
    elif any(length < 0 for length in tensor.shape) or tensor.elements > MOST_ELEMENTS:
        yield f"the tensor {tensor.name!r} has the shape {tensor.shape}; expected at most {MOST_ELEMENTS:,} numbers"
    elif tensor.raw is not None and tensor.raw != tensor.elements * size:
        yield f"the tensor {tensor.name!r} has {tensor.raw:,} bytes; its shape {tensor.shape} asks for others"


def _signature_problems(model: OnnxModel, signature: Signature) -> Iterator[str]:
    for values, kind in ((model.inputs, "input"), (model.outputs, "output")):
        if len(values) != 1:
            found = ", ".join(repr(value.name) for value in values) or "none"
            yield f"found the {kind}s {found}; expected one: {signature.text}"
    for value in model.inputs[:1]:
        if value.element != signature.element or not _rows_of(value, signature.inputs):
            yield f"the input {_shown(value)}; expected {signature.text}"
    for value in model.outputs[:1]:
        if value.element != FLOAT or not _gives(value, signature):
            yield f"the output {_shown(value)}; expected {signature.text}"


def _rows_of(value: Value, width: int) -> bool:
    # A model that was exported for a number of rows takes no other.
    return value.shape is not None and len(value.shape) == 2 and value.shape[0] is None and value.shape[1] == width


def _gives(value: Value, signature: Signature) -> bool:
    if value.shape is None:  # not written down: known once it has been run
        return True
    if len(value.shape) == 1:
        return signature.outputs == 1
    return len(value.shape) == 2 and (signature.outputs is None or value.shape[1] in {None, signature.outputs})


def _shown(value: Value) -> str:
    sizes = ["rows" if size is None else str(size) for size in value.shape or ()]
    shape = "of no shape" if value.shape is None else f"[{', '.join(sizes)}]"
    return f"{value.name!r} is {_TYPE_NAMES.get(value.element, f'of type {value.element}')} {shape}"
