"""Retrieval: exact top-k with stable ties, the same answer for one user as for many, damaged files refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.candidates import scores_of, union
from engine.errors import ArtifactError
from engine.ids import Ids
from engine.items import Items
from engine.npz import load_arrays, save_arrays
from engine.retrieval import Als, History, ItemItem, Popularity
from engine.topk import Table, top_k
from tests.engine.tiny import history_arrays

USERS = np.array(["u1", "u2"])
ITEMS = np.array(["a", "b", "c", "d"])
PAST = history_arrays(USERS, ITEMS, [{2: 5.0, 0: 7.0}, {3: 1.0}])
FACTORS = {
    "user_ids": USERS,
    "item_ids": ITEMS,
    "user_factors": np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32),
    "item_factors": np.array([[3.0, 1.0], [1.0, 2.0], [3.0, 0.5], [-1.0, 4.0]], dtype=np.float32),
    "regularization": np.float64(0.1),
    "regularization_per_item": np.float64(0.0),
    "alpha": np.float64(4.0),
}
POPULAR = {"item_ids": ITEMS, "scores": np.array([1.0, 9.0, 9.0, 3.0], dtype=np.float32)}
SIMILAR = {
    **PAST,
    "starts": np.array([0, 1, 2, 4, 4]),
    "neighbours": np.array([1, 0, 0, 3], dtype=np.int32),
    "similarity": np.array([0.5, 0.25, 2.0, 1.0], dtype=np.float32),
}


def saved(folder: Path, arrays: dict[str, Any]) -> Path:
    save_arrays(folder / "arrays.npz", **arrays)
    return folder / "arrays.npz"


def listed(found: Any, ids: Any = ITEMS) -> list[list[str]]:
    return [ids[part].tolist() for part in np.split(found.items, found.offsets[1:-1])]


def test_als_returns_the_largest_products(tmp_path: Path) -> None:
    als = Als.load(saved(tmp_path, FACTORS), Items.all(ITEMS))
    found = als.retrieve(np.array(["u2", "stranger", "u1"]), 2)
    assert listed(found) == [["d", "b"], [], ["a", "c"]]  # a and c are equal for u1
    assert found.scores.tolist() == [4.0, 2.0, 3.0, 3.0]
    scores = als.score(USERS, np.array([0, 1, 0]), np.array([3, 0, 1], dtype=np.int32))
    assert scores.tolist() == [-1.0, 1.0, 1.0]


def test_only_available_items_of_the_catalogue_are_retrieved(tmp_path: Path) -> None:
    items = Items(Ids.of(["b", "c", "x"], "catalogue"), np.array([True, False, True]))
    assert listed(Als.load(saved(tmp_path, FACTORS), items).retrieve(USERS, 9), items.ids.values) == [["b"], ["b"]]
    assert listed(Popularity.load(saved(tmp_path, POPULAR), items).retrieve(USERS, 9), items.ids.values) == [
        ["b"],
        ["b"],
    ]
    past = History.load(saved(tmp_path, PAST), items)
    assert listed(past.retrieve(USERS, 9), items.ids.values) == [[], []]
    # c is not available but has a score; x is unknown to the file
    assert past.score(USERS, np.array([0, 0]), np.array([1, 2], dtype=np.int32)).tolist() == [
        5.0,
        pytest.approx(np.nan, nan_ok=True),
    ]


def test_popularity_is_the_same_for_everybody(tmp_path: Path) -> None:
    popular = Popularity.load(saved(tmp_path, POPULAR), Items.all(ITEMS))
    assert listed(popular.retrieve(np.array(["u1", "stranger"]), 3)) == [["b", "c", "d"]] * 2
    assert popular.score(USERS, np.array([0]), np.array([3], dtype=np.int32)).tolist() == [3.0]


def test_history_is_the_users_own(tmp_path: Path) -> None:
    past = History.load(saved(tmp_path, PAST), Items.all(ITEMS))
    assert listed(past.retrieve(np.array(["u1", "zz", "u2"]), 5)) == [["a", "c"], [], ["d"]]
    scores = past.score(np.array(["u2", "zz"]), np.array([0, 0, 1]), np.array([3, 0, 3], dtype=np.int32))
    np.testing.assert_array_equal(scores, [1.0, np.nan, np.nan])


def test_item_item_sums_similarities_over_the_past(tmp_path: Path) -> None:
    similar = ItemItem.load(saved(tmp_path, SIMILAR), Items.all(ITEMS))
    # u1: c × 5 → a 10, d 5; a × 7 → b 3.5. u2 has d, which has no neighbours.
    found = similar.retrieve(np.array(["u1", "u2", "zz"]), 3)
    assert listed(found) == [["a", "d", "b"], [], []]
    assert found.scores.tolist() == [10.0, 5.0, 3.5]
    scores = similar.score(np.array(["zz", "u1"]), np.array([1, 0, 1]), np.array([3, 0, 2], dtype=np.int32))
    np.testing.assert_array_equal(scores, [5.0, np.nan, 0.0])


def test_union_keeps_the_first_occurrence_and_all_scores(tmp_path: Path) -> None:
    items = Items.all(ITEMS)
    past = History.load(saved(tmp_path, PAST), items)
    popular = Popularity.load(saved(tmp_path, POPULAR), items)
    users = np.array(["u2", "stranger", "u1"])
    found = union([(past, 5), (popular, 2)], users)
    assert listed(found) == [["d", "b", "c"], ["b", "c"], ["a", "c", "b"]]
    scores = scores_of(["history", "popularity"], [(past, 5), (popular, 2)], users, found)
    np.testing.assert_array_equal(scores["popularity_score"], [3, 9, 9, 9, 9, 1, 9, 9])
    np.testing.assert_array_equal(scores["history_score"], [1, *[np.nan] * 4, 7, 5, np.nan])


@given(
    scores=st.lists(st.integers(-3, 3).map(float), max_size=50),
    k=st.integers(0, 60),
)
@settings(max_examples=100, deadline=None)
def test_top_k_is_the_stable_sort(scores: list[float], k: int) -> None:
    array = np.array(scores, dtype=np.float32)
    assert top_k(array, k).tolist() == np.argsort(-array, kind="stable")[:k].tolist()


@pytest.mark.parametrize("kind", ["spread", "sorted", "few values", "spikes"])
def test_top_k_of_many_is_exact_whatever_the_sample_says(kind: str) -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=100_000).astype(np.float32)
    if kind == "sorted":
        scores.sort()
    if kind == "few values":
        scores = scores.round()
    if kind == "spikes":
        scores[:: 100_000 // 8192] = 99.0  # exactly where the sample looks
    assert top_k(scores, 100).tolist() == np.argsort(-scores, kind="stable")[:100].tolist()


def test_many_queries_answer_as_each_alone() -> None:
    random = np.random.default_rng(0)
    table = Table.of(random.normal(size=(3000, 24)).round(1))
    queries = random.normal(size=(40, 24)).astype(np.float32).round(1)
    together = table.top(queries, 50)
    exact = (queries.astype(np.float64) @ table.rows.T.astype(np.float64)).astype(np.float32)
    for number, (rows, scores) in enumerate(together):
        alone = table.top(queries[number : number + 1], 50)[0]
        np.testing.assert_array_equal(rows, alone[0])
        np.testing.assert_array_equal(scores, alone[1])
        np.testing.assert_allclose(scores, np.sort(exact[number])[::-1][:50], rtol=1e-6)


def test_ids_longer_than_the_table_are_unknown() -> None:
    ids = Ids.of(["a", "bb"], "test")
    assert ids.numbers(["bb", "bbb", "", "a", "aa"]).tolist() == [1, -1, -1, 0, -1]
    assert Ids.of([], "test").numbers(["a"]).tolist() == [-1]
    with pytest.raises(ArtifactError, match="ascending"):
        Ids.of(["b", "a"], "test")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"user_ids": np.array(["u2", "u1"])}, "ascending order"),
        ({"offsets": np.array([0, 9, 3])}, "do not divide"),
        ({"items": np.array([2, 0, 4], dtype=np.int32)}, "outside 0 .. 3"),
        ({"scores": np.array([1.0, np.nan, 1.0], dtype=np.float32)}, "NaN"),
        ({"scores": np.array([1.0, 2.0, 1.0])}, "float64; expected f4"),
        ({"scores": np.array([1.0], dtype=np.float32)}, "different lengths"),
        ({"offsets": np.array([[0]])}, "2 dimensions; expected 1"),
    ],
)
def test_inconsistent_files_are_refused(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    path = saved(tmp_path, {**PAST, **change})
    with pytest.raises(ArtifactError, match=text):
        History.load(path, Items.all(ITEMS))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, FACTORS)
    whole = path.read_bytes()
    for size in range(0, len(whole), 97):
        path.write_bytes(whole[:size])
        with pytest.raises(ArtifactError):
            load_arrays(path, Als.LAYOUT)
    np.savez(path, item_ids=np.array([{"pickled": True}], dtype=object))
    with pytest.raises(ArtifactError, match="not readable"):
        load_arrays(path, {"item_ids": "U:1"})
    with pytest.raises(ArtifactError, match="no such file"):
        load_arrays(tmp_path / "absent.npz", {})
    with pytest.raises(ArtifactError, match="belong to 2 users"):
        Als.load(saved(tmp_path, {**FACTORS, "user_factors": np.zeros((2, 3), np.float32)}), Items.all(ITEMS))


def test_the_same_arrays_give_the_same_bytes(tmp_path: Path) -> None:
    first = saved(tmp_path, PAST).read_bytes()
    assert saved(tmp_path, dict(reversed(PAST.items()))).read_bytes() == first
