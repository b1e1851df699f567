"""What differs between two pipeline files, in words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.spec.changes import Change, change_text, changed_keys, leaves
from tests.tasks.handmade import spec_of

ALS, HISTORY, POPULARITY = (
    {"type": "als", "k": 100, "half_life": None},
    {"type": "history", "k": 100},
    {"type": "popularity", "k": 100},
)


def words(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [f"{change.name} {change.text}" for change in changed_keys(before, now)]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({"ranker": {"rounds": 80}}, {"ranker": {"rounds": 100}}, ["ranker.rounds 80 → 100"]),
        ({"a": 1, "b": 2}, {"b": 2, "c": None, "d": "x"}, ["d not set → x", "a 1 → not set"]),
        ({"features": ["a", "b", "c"]}, {"features": ["c", "a", "d"]}, ["features added d; removed b"]),
        ({"features": ["a", "b"]}, {"features": ["b", "a"]}, ["features in another order"]),
        ({"why": "x" * 90}, {"why": True}, [f"why {'x' * 59}… → True"]),
        ({"tune": None}, {"tune": {"trials": 3}}, ["tune.trials not set → 3"]),
        ({"retrieval": [HISTORY]}, {"retrieval": [ALS, HISTORY]}, ["retrieval[als] added: k 100"]),
        ({"retrieval": [ALS, HISTORY]}, {"retrieval": [POPULARITY, HISTORY]}, [
            "retrieval[popularity] added: k 100", "retrieval[als] removed",
        ]),
        ({"retrieval": [ALS, HISTORY]}, {"retrieval": [{**ALS, "k": 50}, HISTORY]}, ["retrieval[als].k 100 → 50"]),
        ({"retrieval": [ALS]}, {"retrieval": [ALS, {**ALS, "name": "recent"}]}, [
            "retrieval[recent] added: type als, k 100",
        ]),
        ({"gates": [{"by": 0.1}]}, {"gates": [{"by": 0.2}, {"by": 0.1}]}, [
            "gates[1].by 0.1 → 0.2", "gates[2] added: by 0.1",
        ]),
    ],
)  # fmt: skip
def test_what_changed_is_said_key_by_key(before: dict[str, Any], now: dict[str, Any], expected: list[str]) -> None:
    assert words(before, now) == expected


def test_two_pipeline_files() -> None:
    before = spec_of().canonical()
    now = spec_of(ranker={"rounds": 20}, features=["user_tenure_days", "item_actions_28d", "item_trend"]).canonical()

    assert changed_keys(before, now) == [Change("features", "added item_trend"), Change("ranker.rounds", "10 → 20")]
    assert changed_keys(before, before) == []


PLAIN = st.none() | st.integers(0, 3) | st.sampled_from(["x", "y"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    PLAIN | st.lists(PLAIN, max_size=3),
    lambda inner: (
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        | st.lists(st.dictionaries(st.sampled_from(["a", "type"]), inner, min_size=1, max_size=2), max_size=2)
    ),
    max_leaves=8,
)
FILES = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@given(FILES, FILES)
def test_nothing_is_said_of_equal_files_and_something_of_different_ones(one: Any, other: Any) -> None:
    assert changed_keys(one, one) == []
    known = {key: value for key, value in leaves(one) if value is not None}
    differs = known != {key: value for key, value in leaves(other) if value is not None}
    assert bool(changed_keys(one, other)) == differs


@given(st.lists(st.sampled_from("abcd"), unique=True), st.lists(st.sampled_from("abcd"), unique=True))
def test_what_lists_gain_one_way_they_lose_the_other_way(one: list[str], other: list[str]) -> None:
    there, back = change_text(one, other), change_text(other, one)

    assert ("added" in there) == ("removed" in back)
    assert ("removed" in there) == ("added" in back)
