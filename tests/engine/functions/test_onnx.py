"""Functions that are models of ONNX: which features they take, and scores that could not be ordered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from pydantic import TypeAdapter

from engine.errors import ArtifactError, RequestError
from engine.functions.load import Function, load_function
from engine.functions.schema import FunctionNode, below, files_of, tolerance_of
from tests.onnx_models import NAMES, linear, model_of, perceptron, save

FUNCTION: TypeAdapter[FunctionNode] = TypeAdapter(FunctionNode)
NODE = FUNCTION.validate_python({"type": "Onnx", "artifact": "model.onnx"})
COLUMN = {"type": "Column", "name": "a"}
BLEND = FUNCTION.validate_python(
    {"type": "Blend", "of": [{"function": NODE, "weight": 0.5}, {"function": COLUMN, "weight": 1.0, "center": 2.0}]}
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(linear([1.0, 2.0, -4.0], NAMES), tmp_path / "model.onnx")
    return tmp_path


def load(folder: Path, names: tuple[str, ...] = NAMES) -> Function:
    return load_function(NODE, folder, names)


def test_scores_are_those_of_the_model_and_missing_features_reach_it(folder: Path) -> None:
    rows = np.array([[1.0, 2.0, 3.0], [1.0, np.nan, 0.5]], dtype=np.float32)
    assert load(folder).predict(rows).tolist() == [-7.0, -1.0]


def test_it_may_be_a_member_of_a_blend(folder: Path) -> None:
    rows = np.array([[1.0, 2.0, 3.0]], dtype=np.float32)
    assert load_function(BLEND, folder, NAMES).predict(rows).tolist() == [-3.5 + (1.0 - 2.0)]
    assert files_of(below("BR", BLEND)) == ["BR/model.onnx"]
    assert (tolerance_of(BLEND), tolerance_of(FUNCTION.validate_python(COLUMN))) == (1e-4, 0.0)


def test_a_model_of_other_features_is_refused(folder: Path) -> None:
    with pytest.raises(ArtifactError, match=r"trained on a, b, c; the descriptor computes b, a, c"):
        load(folder, ("b", "a", "c"))
    with pytest.raises(ArtifactError, match=r"is float32 \[rows, 3\]; expected float32 \[rows, 2\]"):
        load(folder, ("a", "b"))


def test_a_model_that_does_not_say_its_features_is_refused(tmp_path: Path) -> None:
    model = perceptron()
    del model.metadata_props[:]
    save(model, tmp_path / "model.onnx")
    with pytest.raises(ArtifactError, match="no metadata property 'features'; expected the names of its features"):
        load(tmp_path)


def test_a_score_that_is_no_number_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceL1", ["x"], ["n"], axes=[1]), helper.make_node("Log", ["n"], ["y"])]
    save(model_of(nodes, opsets={"": 17}), tmp_path / "model.onnx")
    function = load(tmp_path)
    assert function.predict(np.ones((2, 3), np.float32)) == pytest.approx(np.log(3.0))
    with pytest.raises(ArtifactError, match=r"gives the score -inf for the features \[0\.0, 0\.0, 0\.0\]"):
        function.predict(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], np.float32))


def test_another_number_of_features_is_refused(folder: Path) -> None:
    with pytest.raises(RequestError, match=r"shape \(2, 4\); expected rows of 3 features"):
        load(folder).predict(np.ones((2, 4), np.float32))
