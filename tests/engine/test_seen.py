"""The two rules for what a user has seen, against lists that are sorted and filtered the plain way."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.candidates import Candidates, allowed, union
from engine.items import Items
from engine.npz import save_arrays
from engine.retrieval import Als, History, ItemItem, Popularity, Retriever
from engine.seen import RULES, ExcludeSeen, OnlySeen
from tests.engine.tiny import history_arrays

USERS = np.array(["u0", "u1", "u2", "u3"])
ITEMS = np.array([f"i{n:02}" for n in range(12)])
Seen = list[set[int]]
seen_by_user = st.lists(st.sets(st.integers(0, len(ITEMS) - 1)), min_size=4, max_size=4)


def past_of(seen: Seen, folder: Path) -> History:
    past = history_arrays(USERS, ITEMS, [dict.fromkeys(sorted(items), 1.0) for items in seen])
    save_arrays(folder / "seen.npz", **past)
    return History.load(folder / "seen.npz", Items.all(ITEMS))


def retrievers(seed: int, seen: Seen, folder: Path) -> list[tuple[Retriever, int]]:
    """One of each type; many scores are equal, so that ties matter."""
    random = np.random.default_rng(seed)
    catalog = Items.all(ITEMS)
    factors = {"user_factors": (4, 2), "item_factors": (12, 2)}
    save_arrays(
        folder / "als.npz", user_ids=USERS, item_ids=ITEMS, regularization=0.1, regularization_per_item=0.0, alpha=1.0,
        **{name: random.integers(-1, 2, shape).astype(np.float32) for name, shape in factors.items()},
    )  # fmt: skip
    save_arrays(folder / "popularity.npz", item_ids=ITEMS, scores=random.integers(0, 4, 12).astype(np.float32))
    past = history_arrays(USERS, ITEMS, [dict.fromkeys(sorted(items), 1.0) for items in seen])
    save_arrays(
        folder / "item_item.npz", **past, starts=np.arange(13), neighbours=random.integers(0, 12, 12).astype(np.int32),
        similarity=random.integers(1, 3, 12).astype(np.float32),
    )  # fmt: skip
    return [
        (Als.load(folder / "als.npz", catalog), 3),
        (ItemItem.load(folder / "item_item.npz", catalog), 2),
        (Popularity.load(folder / "popularity.npz", catalog), 4),
    ]


def listed(candidates: Candidates, user: int) -> list[int]:
    items: list[int] = candidates.items[candidates.offsets[user] : candidates.offsets[user + 1]].tolist()
    return items


@given(seen=seen_by_user, seed=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_a_retrievers_places_go_to_the_best_items_that_nobody_has_seen(seen: Seen, seed: int) -> None:
    with TemporaryDirectory() as name:
        rule = ExcludeSeen(past_of(seen, Path(name)))
        for retriever, k in retrievers(seed, seen, Path(name)):
            everything = retriever.retrieve(USERS, len(ITEMS))
            found = rule.retrieve(retriever, USERS, k)
            for user in range(4):
                own = everything.items[everything.offsets[user] : everything.offsets[user + 1]].tolist()
                expected = [item for item in own if item not in seen[user]][:k]
                assert found.items[found.offsets[user] : found.offsets[user + 1]].tolist() == expected


@given(seen=seen_by_user, seed=st.integers(0, 50), rule=st.sampled_from(sorted(RULES)))
@settings(max_examples=60, deadline=None)
def test_no_list_holds_what_the_rule_forbids(seen: Seen, seed: int, rule: str) -> None:
    with TemporaryDirectory() as name:
        chosen = RULES[rule](past_of(seen, Path(name)))
        candidates = union(retrievers(seed, seen, Path(name)), USERS, chosen)
        given_items = np.tile(np.arange(12, dtype=np.int32), 4)
        named = allowed(chosen, USERS, Candidates(np.arange(0, 49, 12), given_items))
        for user in range(4):
            permitted = seen[user] if rule == "only" else set(range(12)) - seen[user]
            assert set(listed(candidates, user)) <= permitted
            assert listed(named, user) == sorted(permitted)


@given(seen=seen_by_user, seed=st.integers(0, 50), rule=st.sampled_from(sorted(RULES)))
@settings(max_examples=30, deadline=None)
def test_a_user_gets_the_same_list_alone_as_among_many(seen: Seen, seed: int, rule: str) -> None:
    with TemporaryDirectory() as name:
        chosen = RULES[rule](past_of(seen, Path(name)))
        parts = retrievers(seed, seen, Path(name))
        together = union(parts, USERS, chosen)
        for user in range(4):
            assert listed(union(parts, USERS[user : user + 1], chosen), 0) == listed(together, user)


@pytest.mark.parametrize(("rule", "expected"), [("exclude", [[1, 2], [0, 1]]), ("only", [[0], []])])
def test_somebody_unknown_has_seen_nothing(rule: str, expected: list[list[int]], tmp_path: Path) -> None:
    chosen = RULES[rule](past_of([{0}, set(), set(), set()], tmp_path))
    save_arrays(tmp_path / "popularity.npz", item_ids=ITEMS, scores=np.arange(12, 0, -1).astype(np.float32))
    popular = Popularity.load(tmp_path / "popularity.npz", Items.all(ITEMS))
    found = union([(popular, 2)], np.array(["u0", "stranger"]), chosen)
    assert [listed(found, user) for user in range(2)] == expected


def test_only_seen_items_come_in_the_order_of_the_retriever(tmp_path: Path) -> None:
    rule = OnlySeen(past_of([{1, 4, 7, 9}, set(), set(), set()], tmp_path))
    scores = np.array([9, 2, 9, 9, 3, 9, 9, 3, 9, 1, 9, 9], dtype=np.float32)
    save_arrays(tmp_path / "popularity.npz", item_ids=ITEMS, scores=scores)
    found = rule.retrieve(Popularity.load(tmp_path / "popularity.npz", Items.all(ITEMS)), USERS[:1], 3)
    assert found.items.tolist() == [4, 7, 1]
    assert found.scores.tolist() == [3, 3, 2]
