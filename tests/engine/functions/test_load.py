"""Functions built from their nodes: what they compute, which files they read, and what they refuse."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from engine.errors import ArtifactError
from engine.functions.factorization import FactorizationMachine
from engine.functions.inputs import NUMBER, Inputs
from engine.functions.load import load_function
from engine.functions.schema import FunctionNode, below, files_of

NAMES = ("a", "b", "c")
ROWS = np.random.default_rng(3).normal(size=(40, 3)).astype(np.float32)
FUNCTION: TypeAdapter[FunctionNode] = TypeAdapter(FunctionNode)
LINEAR = {"type": "Linear", "weights": [1.0, 2.0, -1.0], "intercept": 0.5}
MACHINE = {"type": "FactorizationMachine", "artifact": "fm.npz", "inputs_artifact": "inputs.npz"}


def as_they_are(names: tuple[str, ...] = NAMES) -> Inputs:
    """Inputs that are the features themselves."""
    count = len(names)
    kinds = np.full(count, NUMBER, dtype=np.int32)
    return Inputs(names, np.arange(count, dtype=np.int32), kinds, np.zeros(count), np.ones(count))


def machine() -> FactorizationMachine:
    random = np.random.default_rng(5)
    return FactorizationMachine(as_they_are(), 0.25, random.normal(size=3), random.normal(size=(3, 2)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    as_they_are().save(tmp_path / "inputs.npz")
    machine().save(tmp_path / "fm.npz")
    return tmp_path


def test_a_factorization_machine_is_its_definition_written_out(folder: Path) -> None:
    loaded, model = load_function(FUNCTION.validate_python(MACHINE), folder, NAMES), machine()
    rows = ROWS.astype(np.float64)
    expected = 0.25 + rows @ model.weights
    for i, j in itertools.combinations(range(3), 2):
        expected += (model.factors[i] @ model.factors[j]) * rows[:, i] * rows[:, j]

    assert loaded.predict(ROWS) == pytest.approx(expected, abs=1e-12)


def test_linear_with_inputs_equals_linear_of_the_features_where_they_are_the_same(folder: Path) -> None:
    plain, given = (
        load_function(FUNCTION.validate_python({**LINEAR, **more}), folder, NAMES).predict(ROWS)
        for more in ({}, {"inputs_artifact": "inputs.npz"})
    )
    assert plain.tobytes() == given.tobytes()


def test_a_blend_adds_standardized_scores(folder: Path) -> None:
    parts = [
        {"function": LINEAR, "weight": 0.25, "center": 1.0, "scale": 2.0},
        {"function": {"type": "Column", "name": "b"}, "weight": 0.75},
    ]
    blend = load_function(FUNCTION.validate_python({"type": "Blend", "of": parts}), folder, NAMES)
    linear = load_function(FUNCTION.validate_python(LINEAR), folder, NAMES)

    assert blend.predict(ROWS) == pytest.approx(0.25 * (linear.predict(ROWS) - 1.0) / 2.0 + 0.75 * ROWS[:, 1])


@pytest.mark.parametrize("node", [LINEAR, {**LINEAR, "inputs_artifact": "inputs.npz"}, MACHINE])
def test_one_row_has_the_score_that_it_has_among_many(folder: Path, node: dict[str, Any]) -> None:
    function = load_function(
        FUNCTION.validate_python({"type": "Blend", "of": [{"function": node, "weight": 0.3}]}), folder, NAMES
    )
    alone = np.concatenate([function.predict(ROWS[n : n + 1]) for n in range(len(ROWS))])
    assert alone.tobytes() == function.predict(ROWS).tobytes()


def test_files_are_found_and_moved_in_blends_of_blends() -> None:
    inner = {"type": "Blend", "of": [{"function": MACHINE, "weight": 1}, {"function": LINEAR, "weight": 0}]}
    trees = {"function": {"type": "Trees", "artifact": "trees.txt"}, "weight": 1}
    node = FUNCTION.validate_python({"type": "Blend", "of": [{"function": inner, "weight": 1}, trees]})

    assert files_of(node) == ["fm.npz", "inputs.npz", "trees.txt"]
    assert files_of(below("BR", node)) == ["BR/fm.npz", "BR/inputs.npz", "BR/trees.txt"]


def test_what_was_trained_on_other_features_is_refused(folder: Path) -> None:
    with pytest.raises(ArtifactError, match="trained on a, b, c; the descriptor computes a, c, b"):
        load_function(FUNCTION.validate_python(MACHINE), folder, ("a", "c", "b"))


def test_files_that_do_not_belong_together_are_refused(folder: Path) -> None:
    as_they_are(("a", "b")).save(folder / "inputs.npz")
    with pytest.raises(ArtifactError, match=r"fm\.npz: 3 weights, 3 factors for 2 inputs"):
        load_function(FUNCTION.validate_python(MACHINE), folder, ("a", "b"))
    with pytest.raises(ArtifactError, match="2 inputs for 3 weights"):
        load_function(FUNCTION.validate_python({**LINEAR, "inputs_artifact": "inputs.npz"}), folder, ("a", "b"))


def test_a_blend_takes_nothing_away() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        FUNCTION.validate_python({"type": "Blend", "of": [{"function": LINEAR, "weight": -0.1}]})
