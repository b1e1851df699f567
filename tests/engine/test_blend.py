"""Blends, by hand; what all retrievers have in common is tested in tests/tasks/examples/test_retriever_contract.py."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from pydantic import ValidationError

from engine.blend import Blend
from engine.items import Items
from engine.npz import save_arrays
from engine.retrieval import Popularity, Retriever
from engine.retriever_schema import UnionNode

ITEMS = np.array(["a", "b", "c", "d"])


def popularity(folder: Path, name: str, scores: list[float]) -> Retriever:
    save_arrays(folder / name, item_ids=ITEMS, scores=np.array(scores, dtype=np.float32))
    return Popularity.load(folder / name, Items.all(ITEMS))


def blend(folder: Path, by: Literal["scores", "ranks"], depth: int = 3) -> Blend:
    one, two = popularity(folder, "one", [9.0, 5.0, 1.0, 0.0]), popularity(folder, "two", [0.0, 0.0, 4.0, 8.0])
    return Blend((one, two), (1.0, 2.0), by, depth)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        # one: a 1, b 1/2, c 0; two: d 1, c 1/2, a 0, twice. The fourth of each list of three is cut off.
        ("scores", {"d": 2.0, "a": 1.0, "c": 1.0, "b": 0.5}),
        ("ranks", {"a": 1 / 61 + 2 / 63, "c": 1 / 63 + 2 / 62, "d": 2 / 61, "b": 1 / 62}),
    ],
)
def test_points_are_weighted_sums_over_the_lists(
    tmp_path: Path, by: Literal["scores", "ranks"], expected: dict[str, float]
) -> None:
    found = blend(tmp_path, by).retrieve(np.array(["u"]), 4)
    assert ITEMS[found.items].tolist() == list(expected)
    assert found.scores.tolist() == pytest.approx(list(expected.values()))


def test_items_below_all_lists_have_no_score(tmp_path: Path) -> None:
    scores = blend(tmp_path, "scores", depth=1).score(np.array(["u", "v"]), np.array([1, 1, 0]), np.array([1, 3, 0]))
    np.testing.assert_array_equal(scores, [np.nan, 2.0, 1.0])  # lists of one item: all of its points


def test_lists_of_equal_scores_and_empty_ones_are_no_division_by_zero(tmp_path: Path) -> None:
    flat = popularity(tmp_path, "flat", [3.0, 3.0, 3.0, 3.0])
    nobody = Items(Items.all(ITEMS).ids, np.zeros(4, dtype=np.bool_))
    nothing = Popularity.load(tmp_path / "flat", nobody)
    assert Blend((flat, flat), (1.0, 1.0), "scores", 4).retrieve(np.array(["u"]), 2).scores.tolist() == [2.0, 2.0]
    empty = Blend((nothing, nothing), (1.0, 1.0), "scores", 4)
    assert len(empty.retrieve(np.array(["u"]), 2).items) == 0
    assert np.isnan(empty.score(np.array(["u"]), np.array([0]), np.array([0]))).all()


def test_a_blend_of_what_its_union_lacks_is_refused() -> None:
    models = [{"type": "Popularity", "k": 2, "artifact": "p.npz"}, {"type": "History", "k": 2, "artifact": "h.npz"}]
    of = [{"of": "Popularity", "weight": 1.0}, {"of": "Histroy", "weight": 1.0}]
    with pytest.raises(ValidationError, match="Blend is of Histroy, which is no model; did you mean 'History'"):
        UnionNode.model_validate(
            {"of": [*models, {"type": "RetrieverBlend", "k": 2, "of": of, "by": "ranks", "depth": 9}]}
        )
