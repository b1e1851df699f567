"""Two towers: vectors of users' last items, computed when they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from engine.errors import ArtifactError
from engine.items import Items
from engine.npz import save_arrays
from engine.towers import TwoTowers
from tests.onnx_models import constant, model_of

USERS = np.array(["ana", "bob", "cy"])
ITEMS = np.array(["i1", "i2", "i3", "i4"])
VECTORS = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0], [-1.0, 0.5]], dtype=np.float32)


def sums(last: int = 3) -> onnx.ModelProto:
    """The sum of the vectors of the last items; no item is nothing."""
    table = np.concatenate([VECTORS, np.zeros((1, 2), np.float32)])
    nodes = [
        helper.make_node("Gather", ["table", "x"], ["vectors"]),
        helper.make_node("ReduceSum", ["vectors", "axis"], ["y"], keepdims=0),
    ]
    return model_of(
        nodes, [constant("table", table), constant("axis", [1], np.int64)],
        input_type=TensorProto.INT64, input_shape=("users", last), output_shape=("users", 2), names=None,
    )  # fmt: skip


def file(path: Path, towers: onnx.ModelProto, **more: Any) -> Path:
    arrays = {
        "user_ids": USERS,
        "item_ids": ITEMS,
        "offsets": np.array([0, 1, 5, 5]),
        "items": np.array([1, 2, 0, 0, 3], dtype=np.int32),
        "last": np.int64(3),
        "item_vectors": VECTORS,
        "model": np.frombuffer(towers.SerializeToString(), dtype=np.uint8),
    }
    save_arrays(path, **{**arrays, **more})
    return path


def load(path: Path) -> TwoTowers:
    return TwoTowers.load(path, Items.all(ITEMS))


def test_scores_are_products_with_the_vector_of_the_last_items(tmp_path: Path) -> None:
    towers = load(file(tmp_path / "t.npz", sums()))
    # ana did i2 alone; of bob's four the oldest is beyond the last three; cy has done nothing.
    wanted = np.array([[0.0, 1.0], [1.0 + 1.0 - 1.0, 0.5], [0.0, 0.0]], dtype=np.float32) @ VECTORS.T
    rows, items = np.repeat(np.arange(3), 4), np.tile(np.arange(4, dtype=np.int32), 3)

    scores = towers.score(USERS, rows, items)

    assert scores.reshape(3, 4).tolist() == wanted.tolist()
    assert np.isnan(towers.score(np.array(["stranger"]), rows[:4], items[:4])).all()
    found = towers.retrieve(np.array(["bob", "stranger", "ana"]), 2)
    assert found.offsets.tolist() == [0, 2, 2, 4]
    assert ITEMS[found.items].tolist() == ["i3", "i1", "i3", "i2"]
    assert found.scores.tolist() == [3.0, 1.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"item_vectors": VECTORS[:3]}, "3 vectors for 4 items"),
        ({"last": np.int64(0)}, "the last 0 of each user; expected a vector for each item, and 1 to 200"),
        ({"last": np.int64(4)}, r"the input 'x' is int64 \[rows, 3\]; expected int64 \[rows, 4\]"),
        ({"items": np.array([1, 2, 0, 0, 4], dtype=np.int32)}, "an entry is outside 0 .. 3"),
        ({"model": np.frombuffer(b"no model", dtype=np.uint8)}, "not a model of ONNX that we run"),
        ({"model": np.zeros(3, dtype=np.float32)}, "array 'model' is of type float32; expected u1"),
    ],
)
def test_files_that_mean_nothing_are_refused(tmp_path: Path, more: dict[str, Any], text: str) -> None:
    with pytest.raises(ArtifactError, match=text):
        load(file(tmp_path / "t.npz", sums(), **more))
