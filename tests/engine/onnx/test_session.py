"""Models of ONNX as they run: a row has one score, whatever is beside it, and memory and time are bounded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from engine.errors import ArtifactError
from engine.onnx import session
from engine.onnx.checks import Signature
from engine.onnx.proto import FLOAT, INT64
from engine.onnx.session import BLOCK, BlockModel
from tests.onnx_models import constant, model_of, perceptron, save

TO_ONE = [helper.make_node("ReduceSum", ["x", "axis"], ["s"]), constant("axis", [1], np.int64)]


def load(path: Path, features: int = 3) -> BlockModel:
    return BlockModel.load(path, Signature(FLOAT, features))


@pytest.mark.parametrize(("features", "hidden"), [(3, 16), (30, 64), (64, 300)])
def test_a_row_has_the_same_score_alone_and_anywhere_among_others(tmp_path: Path, features: int, hidden: int) -> None:
    names = [f"f{n}" for n in range(features)]
    model = load(save(perceptron(features, hidden, names), tmp_path / "m.onnx"), features)
    rows = np.random.default_rng(1).normal(size=(3 * BLOCK + 5, features)).astype(np.float32)

    many = model.run(rows)

    assert b"".join(model.run(row[None]).tobytes() for row in rows) == many.tobytes()
    for shift in (1, 7, BLOCK - 1, BLOCK + 3):
        assert np.roll(model.run(np.roll(rows, shift, axis=0)), -shift, axis=0).tobytes() == many.tobytes()


def test_it_computes_what_its_nodes_say(tmp_path: Path) -> None:
    model = perceptron()
    weights = {t.name: np.frombuffer(t.raw_data, np.float32).reshape(tuple(t.dims)) for t in model.graph.initializer}
    rows = np.random.default_rng(2).normal(size=(100, 3)).astype(np.float32)
    rows[::7, 1] = np.nan

    given = np.nan_to_num(rows, nan=0.0).astype(np.float64)
    hidden = np.maximum(given @ weights["w1"].astype(np.float64) + weights["b1"], 0.0)
    expected = hidden @ weights["w2"].astype(np.float64) + weights["b2"]

    assert load(save(model, tmp_path / "m.onnx")).run(rows) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_no_rows_have_no_scores(tmp_path: Path) -> None:
    assert load(save(perceptron(), tmp_path / "m.onnx")).run(np.empty((0, 3), np.float32)).shape == (0, 1)


@pytest.mark.parametrize("shape", [[20_000, 20_000], [2**40, 2**20]])
def test_memory_is_bounded(tmp_path: Path, shape: list[int]) -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["c"]),
        helper.make_node("ReduceSum", ["c"], ["z"], keepdims=0),
        TO_ONE[0],
        helper.make_node("Add", ["s", "z"], ["y"]),
    ]
    path = save(model_of(nodes, [TO_ONE[1], constant("shape", shape, np.int64)]), tmp_path / "m.onnx")
    with pytest.raises(ArtifactError, match=r"m\.onnx: a model of ONNX that cannot be run.*ConstantOfShape"):
        load(path)


def test_time_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_SECONDS", 0.05)
    products = [helper.make_node("MatMul", [f"m{n}", "m0"], [f"m{n + 1}"]) for n in range(1_000)]
    nodes = [
        helper.make_node("Mul", ["column", "row"], ["m0"]),
        *products,
        helper.make_node("ReduceSum", ["m1000"], ["z"], keepdims=0),
        TO_ONE[0],
        helper.make_node("Add", ["s", "z"], ["y"]),
    ]
    constants = [TO_ONE[1], constant("column", np.zeros((512, 1))), constant("row", np.zeros((1, 512)))]
    with pytest.raises(ArtifactError, match="terminate"):
        load(save(model_of(nodes, constants), tmp_path / "m.onnx"))


def test_what_only_a_run_shows_is_refused(tmp_path: Path) -> None:
    fewer = model_of([helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)], output_shape=None)
    with pytest.raises(ArtifactError, match=r"gives float32 of the shape \(\) for 64 rows; expected float32 \[rows, 3"):
        load(save(fewer, tmp_path / "m.onnx"))


def test_a_model_that_means_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"m\.onnx: a model of ONNX that cannot be loaded"):
        load(save(model_of([helper.make_node("Add", ["x", "nowhere"], ["y"])]), tmp_path / "m.onnx"))


def test_whole_numbers_become_vectors(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["table", "x"], ["vectors"]),
        helper.make_node("ReduceMean", ["vectors", "one"], ["y"], keepdims=0),
    ]
    table = np.arange(8, dtype=np.float32).reshape(4, 2)
    model = model_of(
        nodes,
        [constant("table", table), constant("one", [1], np.int64)],
        input_type=INT64,
        output_shape=("rows", 2),
        names=None,
    )
    loaded = BlockModel.load(save(model, tmp_path / "m.onnx"), Signature(INT64, 3, 2))
    assert loaded.run(np.array([[1, 2, 3], [0, 0, 3]])).tolist() == [[4.0, 5.0], [2.0, 3.0]]
