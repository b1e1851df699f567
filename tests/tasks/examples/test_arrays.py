"""Examples as arrays."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tasks.examples.arrays import group_ends, group_offsets, matrix
from tests.tasks.handmade import examples, group

TABLE = examples(
    group("g1", "u1", [0, 1], f=[1.0, 2.0], h=[0.5, -0.5]),
    group("g2", "u1", [1], f=[3.0], h=[0.0]),
    group("g0", "u2", [0, 0, 2], f=[4.0, 5.0, 6.0], h=[1.0, 1.5, 2.0]),
)


def test_features_stand_in_the_order_asked_for() -> None:
    found = matrix(TABLE, ["h", "f"])
    assert found.dtype == np.float32
    assert found.tolist() == [[0.5, 1], [-0.5, 2], [0, 3], [1, 4], [1.5, 5], [2, 6]]


def test_groups_are_runs_of_one_id() -> None:
    assert group_ends(TABLE).tolist() == [2, 3, 6]
    assert group_offsets(TABLE).tolist() == [0, 2, 3, 6]


def test_chunks_and_empty_tables() -> None:
    halves = pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)])
    assert group_offsets(halves).tolist() == [0, 2, 3, 6]
    assert matrix(halves, ["f"]).ravel().tolist() == [1, 2, 3, 4, 5, 6]
    assert group_offsets(TABLE.slice(0, 0)).tolist() == [0]
    assert matrix(TABLE.slice(0, 0), ["f"]).shape == (0, 1)
