"""The overlap of an item with a past, against its definition in exact fractions."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import ArtifactError
from engine.items import Items
from engine.overlap import Overlap

ITEMS = np.array(["i1", "i2", "i3", "i4"])


def written(folder: Path, past: dict[str, dict[str, int]], lists: dict[str, Any]) -> tuple[Path, Path]:
    rows = [(user, value, actions) for user, values in past.items() for value, actions in values.items()]
    users, values, actions = zip(*rows, strict=True) if rows else ((), (), ())
    columns = {
        "user_id": pa.array(users, pa.string()),
        "value": pa.array(values, pa.string()),
        "actions": pa.array(actions, pa.int64()),
    }
    pq.write_table(pa.table(columns), folder / "past.parquet")
    items = {"item_id": list(lists), "genres": pa.array(lists.values(), pa.list_(pa.string()))}
    pq.write_table(pa.table(items), folder / "items.parquet")
    return folder / "past.parquet", folder / "items.parquet"


def loaded(folder: Path, past: dict[str, dict[str, int]], lists: dict[str, Any]) -> Overlap:
    return Overlap.load(*written(folder, past, lists), "genres", Items.all(ITEMS))


def shares(overlap: Overlap, *users: str) -> list[list[float]]:
    """The share of every item, for each user."""
    items = np.tile(np.arange(len(ITEMS), dtype=np.int32), len(users))
    owner = np.repeat(np.arange(len(users)), len(ITEMS))
    return overlap.share(np.array(users), owner, items).reshape(len(users), -1).tolist()  # type: ignore[no-any-return]


def test_the_share_of_the_past_that_an_item_has(tmp_path: Path) -> None:
    overlap = loaded(
        tmp_path,
        {"ana": {"war": 1, "drama": 2, "noir": 5}, "bob": {"drama": 4}},
        {"i3": ["noir", "war", "noir"], "i1": ["drama", None, "unheard of"], "i2": None, "gone": ["noir"]},
    )
    # i2 has no list, i4 no row; `noir` is twice in the list of i3 and counts once
    assert shares(overlap, "ana", "bob", "nobody") == [[0.25, 0.0, 0.75, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0] * 4]


TEXTS = st.sampled_from(["a", "b", "c", "ä", "", "a\0"])


@given(
    past=st.dictionaries(st.sampled_from(["u1", "u2"]), st.dictionaries(TEXTS, st.integers(1, 2**40), min_size=1)),
    lists=st.dictionaries(st.sampled_from(ITEMS.tolist()), st.none() | st.lists(TEXTS | st.none(), max_size=8)),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_equals_the_definition(tmp_path: Path, past: dict[str, Counter[str]], lists: dict[str, Any]) -> None:
    overlap = loaded(tmp_path, past, lists)
    for user, row in zip(("u1", "u2"), shares(overlap, "u1", "u2"), strict=True):
        counts = past.get(user, {})
        for item, share in zip(ITEMS.tolist(), row, strict=True):
            own = sum(counts.get(value, 0) for value in {*(lists.get(item) or [])} - {None})
            expected = np.float32(float(Fraction(own, sum(counts.values())))) if counts else 0.0
            assert share == expected


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    past, items = written(tmp_path, {"ana": {"war": 0}}, {"i1": ["war"]})
    with pytest.raises(ArtifactError, match="expected a user_id, a value and at least one action in every row"):
        Overlap.load(past, items, "genres", Items.all(ITEMS))
    with pytest.raises(ArtifactError, match="not readable as a table of item_id, mood"):
        Overlap.load(past, items, "mood", Items.all(ITEMS))
    with pytest.raises(ArtifactError, match="not readable as a table of user_id, value, actions"):
        Overlap.load(tmp_path / "absent", items, "genres", Items.all(ITEMS))
    twice = pa.table({"user_id": ["ana", "ana"], "value": ["war", "war"], "actions": [1, 2]})
    pq.write_table(twice, past)
    with pytest.raises(ArtifactError, match="two rows of one user_id and value"):
        Overlap.load(past, items, "genres", Items.all(ITEMS))
