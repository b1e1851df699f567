"""Models of ONNX from elsewhere: read as the library `onnx` reads them, and refused where they are hostile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from engine.errors import ArtifactError
from engine.onnx.checks import MOST_BYTES, Signature, checked_model, read_model
from engine.onnx.operators import OPERATORS, STANDARD, VERSIONS
from engine.onnx.proto import FLOAT, INT64, parse
from engine.onnx.wire import MOST_FIELDS, Malformed
from tests.onnx_models import constant, model_of, perceptron

THREE = Signature(FLOAT, 3)
ADD = helper.make_node("ReduceSum", ["x", "one"], ["y"])
ONE = constant("one", [1], np.int64)


def refusal(model: onnx.ModelProto | bytes, signature: Signature = THREE) -> str:
    content = model if isinstance(model, bytes) else model.SerializeToString()
    with pytest.raises(ArtifactError) as caught:
        checked_model(content, Path("model.onnx"), signature)
    return str(caught.value)


def test_what_is_read_is_what_the_library_reads() -> None:
    model = perceptron()
    read = checked_model(model.SerializeToString(), Path("model.onnx"), THREE)

    assert [node.operator for node in read.nodes] == [node.op_type for node in model.graph.node]
    assert [(t.name, t.shape) for t in read.initializers] == [
        (tensor.name, tuple(tensor.dims)) for tensor in model.graph.initializer
    ]
    assert (read.inputs[0].name, read.inputs[0].shape) == ("x", (None, 3))
    assert read.opsets == (("", 18),)
    assert read.properties == {"features": "a,b,c"}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5),
    st.text(max_size=20),
    st.lists(st.integers(0, 2**31), max_size=4),
    st.booleans(),
)
def test_any_numbers_and_texts_are_read_as_the_library_wrote_them(
    opsets: list[int], text: str, shape: list[int], raw: bool
) -> None:
    model = onnx.ModelProto(ir_version=9)
    model.opset_import.extend(helper.make_opsetid(text, version) for version in opsets)
    tensor = model.graph.initializer.add(name=text, dims=shape, data_type=TensorProto.FLOAT)
    if raw:
        tensor.raw_data = b"1234"
    else:
        tensor.float_data.extend([1.0, 2.0])

    read = parse(model.SerializeToString())

    assert [version for _, version in read.opsets] == opsets
    assert read.initializers[0].shape == tuple(shape)
    assert read.initializers[0].name == text
    assert read.initializers[0].raw == (4 if raw else None)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_bytes_are_refused_or_read_and_nothing_else(data: st.DataObject) -> None:
    content = bytearray(perceptron().SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse(bytes(content[: data.draw(st.integers(0, len(content)))]))
    except Malformed:
        return


def external() -> onnx.ModelProto:
    model = perceptron()
    onnx.external_data_helper.set_external_data(model.graph.initializer[1], "/etc/passwd")
    model.graph.initializer[1].data_location = TensorProto.EXTERNAL
    model.graph.initializer[1].ClearField("raw_data")
    return model


def external_in_a_constant() -> onnx.ModelProto:
    model = model_of([helper.make_node("Constant", [], ["c"], value=constant("c", [[1.0]])), ADD], [ONE])
    tensor = model.graph.node[0].attribute[0].t
    onnx.external_data_helper.set_external_data(tensor, "../secret")
    return model


def nested(operator: str, depth: int = 1) -> onnx.ModelProto:
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["z"])], "inner", [], [])
    for _ in range(depth):
        graph = helper.make_graph([helper.make_node(operator, ["x"], ["z"], body=graph)], "outer", [], [])
    return model_of([*graph.node, ADD], [ONE])


def with_functions() -> onnx.ModelProto:
    model = perceptron()
    function = helper.make_function("mine", "f", ["x"], ["y"], [ADD], [helper.make_opsetid("", 18)])
    model.functions.append(function)
    return model


def with_training() -> onnx.ModelProto:
    model = perceptron()
    model.training_info.add()
    return model


def two_graphs() -> bytes:
    content = perceptron().SerializeToString()
    return content + onnx.ModelProto(graph=external().graph).SerializeToString()


def of_shape(shape: list[int]) -> onnx.ModelProto:
    model = perceptron()
    del model.graph.initializer[1].dims[:]
    model.graph.initializer[1].dims.extend(shape)
    return model


def huge_value() -> onnx.ModelProto:
    model = perceptron()
    model.graph.value_info.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, ["rows", 2**40]))
    return model


HOSTILE: dict[str, tuple[Callable[[], onnx.ModelProto | bytes], str]] = {
    "no model": (lambda: b"<html>not found</html>", "not a model of ONNX that we run"),
    "nothing": (lambda: b"", "not a model of ONNX that we run; found no graph"),
    "truncated": (lambda: perceptron().SerializeToString()[:-40], "longer than what is left"),
    "external data": (external, "the tensor 'w1' lies in another file; expected all data within the model"),
    "external data of a node": (external_in_a_constant, "the tensor 'c' lies in another file"),
    "a second graph": (two_graphs, "found graph twice"),
    "loop": (lambda: nested("Loop"), "a graph within a graph"),
    "scan": (lambda: nested("Scan"), "a graph within a graph"),
    "deep": (lambda: nested("If", depth=20), "a graph within a graph"),
    "functions": (with_functions, "functions of its own"),
    "training": (with_training, "training within the model"),
    "huge constant": (lambda: of_shape([2**40, 2**20]), "has the shape (1099511627776, 1048576); expected at most"),
    "negative": (lambda: of_shape([-4]), "has the shape (-4,)"),
    "fewer bytes than its shape": (lambda: of_shape([3, 17]), "its shape (3, 17) asks for others"),
    "huge value": (huge_value, "the value 'h' has the shape (None, 1099511627776); expected at most 16,777,216"),
    "unknown operator": (
        lambda: model_of([helper.make_node("Relus", ["x"], ["y"])]),
        "the operator 'Relus', which is none of those that we run; did you mean 'Relu'?",
    ),
    "random": (lambda: model_of([helper.make_node("RandomNormalLike", ["x"], ["y"])]), "operator 'RandomNormalLike'"),
    "custom domain": (
        lambda: model_of([helper.make_node("Add", ["x", "x"], ["y"], domain="evil")]),
        "is of the domain 'evil'; expected ai.onnx or ai.onnx.ml",
    ),
    "custom opset": (
        lambda: model_of([ADD], [ONE], opsets={"": 18, "com.microsoft": 1}),
        "operators of the domain 'com.microsoft'",
    ),
    "old opset": (lambda: model_of([ADD], [ONE], opsets={"": 7}), "opset 7 of ai.onnx, expected 11 to 23"),
    "two opsets": (
        lambda: model_of([ADD], [ONE], opsets={"": 18, "ai.onnx": 17}),
        "two versions of the opset of ai.onnx",
    ),
    "texts": (
        lambda: model_of([ADD], [ONE, helper.make_tensor("t", TensorProto.STRING, [1], [b"x"])]),
        "field 6 of a message",
    ),
    "other features": (
        lambda: model_of([ADD], [ONE], input_shape=("rows", 4)),
        "the input 'x' is float32 [rows, 4]; expected float32 [rows, 3] to float32 [rows, 1 or nothing]",
    ),
    "fixed rows": (lambda: model_of([ADD], [ONE], input_shape=(1, 3)), "the input 'x' is float32 [1, 3]"),
    "integers": (lambda: model_of([ADD], [ONE], input_type=TensorProto.INT64), "the input 'x' is int64 [rows, 3]"),
    "two scores": (lambda: model_of([ADD], [ONE], output_shape=("rows", 2)), "the output 'y' is float32 [rows, 2]"),
    "too many nodes": (
        lambda: model_of([*[helper.make_node("Relu", ["x"], [f"r{n}"]) for n in range(5_000)], ADD], [ONE]),
        "5,001 nodes, expected at most 5,000",
    ),
    "too many fields": (lambda: b"\x32\x00" * (MOST_FIELDS + 1), "found "),
}


@pytest.mark.parametrize(("make", "text"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_models_are_refused_before_a_library_gets_them(
    make: Callable[[], onnx.ModelProto | bytes], text: str
) -> None:
    assert text in refusal(make())


def test_the_same_opset_may_be_named_twice() -> None:
    model = perceptron()
    model.opset_import.append(helper.make_opsetid("", 18))
    assert checked_model(model.SerializeToString(), Path("model.onnx"), THREE)


def test_fields_are_counted() -> None:
    names = onnx.ModelProto()
    names.graph.node.add().input.extend([""] * (MOST_FIELDS + 1))
    assert f"more than {MOST_FIELDS:,} fields" in refusal(names.SerializeToString())


def test_two_inputs_and_two_outputs_are_refused() -> None:
    model = perceptron()
    model.graph.input.append(helper.make_tensor_value_info("age", TensorProto.FLOAT, ["rows", 1]))
    assert "found the inputs 'x', 'age'; expected one: float32 [rows, 3]" in refusal(model)
    model = perceptron()
    model.graph.output.append(helper.make_tensor_value_info("label", TensorProto.INT64, ["rows"]))
    assert "found the outputs 'y', 'label'" in refusal(model)


def test_a_model_of_item_numbers_takes_whole_numbers_and_gives_a_vector() -> None:
    model = model_of([ADD], [ONE], input_type=TensorProto.INT64, output_shape=("rows", 8), names=None)
    content = model.SerializeToString()
    assert checked_model(content, Path("m"), Signature(INT64, 3, 8))
    assert checked_model(content, Path("m"), Signature(INT64, 3, None))
    assert "expected int64 [rows, 3] to float32 [rows, 4]" in refusal(model, Signature(INT64, 3, 4))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with path.open("wb") as stream:
        stream.truncate(MOST_BYTES + 1)
    with pytest.raises(ArtifactError, match="67,108,865 bytes; expected a model of at most 67,108,864"):
        read_model(path)
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_model(tmp_path / "absent.onnx")


def test_every_operator_is_one_of_onnx_in_the_versions_that_are_taken() -> None:
    for domain, names in OPERATORS.items():
        written = "" if domain == STANDARD else domain
        for name in names:
            assert onnx.defs.get_schema(name, VERSIONS[domain][-1], written).since_version <= VERSIONS[domain][-1]
