"""What two lists have in common: the engine and the SQL of the examples agree in every bit."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import RequestError
from engine.items import Items
from engine.matches import ItemLists, Measure
from engine.nodes import RequestMatch
from tasks.examples.feature_sql import match_sql

ITEMS = np.array(["i1", "i2", "i3", "i4"])
MEASURES: tuple[Measure, ...] = ("shared", "overlap")


def matched(wanted: list[Any], listed: dict[str, Any], measure: Measure) -> list[list[float]]:
    """The feature of every item, for each list."""
    lists = ItemLists.of(list(listed), list(listed.values()), Items.all(ITEMS))
    items = np.tile(np.arange(len(ITEMS), dtype=np.int32), len(wanted))
    owner = np.repeat(np.arange(len(wanted)), len(ITEMS))
    return lists.match(lists.wanted(wanted), owner, items, measure).reshape(len(wanted), -1).tolist()  # type: ignore[no-any-return]


def test_values_count_once_and_a_missing_list_is_no_empty_one() -> None:
    nan = np.nan
    films = {"i3": ["war", "noir", "war"], "i1": [], "i2": None, "gone": ["war"]}  # i4 has no row
    wanted = [["noir", "war", "unseen", "war", None], [], None, ["unseen"]]
    np.testing.assert_array_equal(
        matched(wanted, films, "shared"), [[0, nan, 2, nan], [0, nan, 0, nan], [nan] * 4, [0, nan, 0, nan]]
    )
    third = float(np.float32(2 / 3))
    np.testing.assert_array_equal(
        matched(wanted, films, "overlap"), [[0, nan, third, nan], [nan] * 4, [nan] * 4, [0, nan, 0, nan]]
    )


TEXTS = st.sampled_from(["a", "b", "c", "ä", "", "d"])
LISTS = st.none() | st.lists(TEXTS | st.none(), max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(LISTS, min_size=1, max_size=4), st.dictionaries(st.sampled_from(ITEMS.tolist()), LISTS, min_size=1))
def test_sql_gives_the_same_bits_whatever_the_order(wanted: list[Any], listed: dict[str, Any]) -> None:
    rows = [(number, texts, item) for number, texts in enumerate(wanted) for item in ITEMS.tolist()]
    places, lists, items = zip(*rows, strict=True)
    kind = pa.list_(pa.string())
    with duckdb.connect() as connection:
        of_items = [listed.get(item) for item in items]
        connection.register(
            "rows", pa.table({"place": places, "u": pa.array(lists, kind), "i": pa.array(of_items, kind)})
        )
        for measure in MEASURES:
            query = f"select cast({match_sql('u', 'i', measure)} as float) from rows"
            of_sql = [np.nan if value is None else value for (value,) in connection.execute(query).fetchall()]
            np.testing.assert_array_equal(np.ravel(matched(wanted, listed, measure)), of_sql)
            backwards = [None if texts is None else texts[::-1] for texts in wanted]
            np.testing.assert_array_equal(matched(wanted, listed, measure), matched(backwards, listed, measure))


def test_a_context_with_another_type_is_refused() -> None:
    lists = ItemLists.of(["i1"], [["war"]], Items.all(ITEMS))
    node = RequestMatch("tags", lists, "shared")
    assert node.texts({"tags": ("war",)}) == ("war",)
    assert node.texts({}) is None
    for value in ("war", 1.0, True):
        with pytest.raises(RequestError, match=r"context\.tags: found .*, expected a list of texts"):
            node.texts({"tags": value})
