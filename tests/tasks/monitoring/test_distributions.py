"""Distributions in SQL, against scipy and numpy on the same numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from tasks.monitoring.distributions import Bin, Shape, balance_weekdays, load_sides, positive_rates, shapes, sides
from tasks.store.database import memory

Values = Sequence[float | None] | npt.NDArray[Any]


def side(columns: Mapping[str, Values], **more: Any) -> pa.Table:
    """Examples: a row a list of a user, unless `more` says otherwise."""
    count = len(next(iter(columns.values())))
    keys: dict[str, Any] = {
        "user_id": [f"u{n}" for n in range(count)],
        "item_id": [f"i{n}" for n in range(count)],
        "group_id": [f"g{n}" for n in range(count)],
        "cut": [date(2026, 2, 2)] * count,
        "weight": [1.0] * count,
        **more,
    }
    return pa.table({**keys, **{name: pa.array(values, pa.float32()) for name, values in columns.items()}})


def shape(before: Values, after: Values) -> Shape:
    with memory() as connection:
        connection.register("before", side({"x": before}))
        connection.register("after", side({"x": after}))
        load_sides(connection, ["before", "after"], ["x"])
        return shapes(connection, ["x"])["x"]


SOME = st.lists(st.floats(-5, 5, width=32) | st.sampled_from([0.0, 1.0, 2.0]), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(SOME, SOME)
def test_the_ks_distance_is_that_of_scipy(before: list[float], after: list[float]) -> None:
    with np.errstate(all="ignore"):  # in its p-value
        expected = ks_2samp(before, after, method="asymp").statistic

    assert shape(before, after).ks == pytest.approx(expected, abs=1e-8)


def psi_of(before: npt.NDArray[Any], after: npt.NDArray[Any]) -> float:
    """PSI by its definition, with deciles of the reference and half a row in each bin."""
    ends = np.unique(np.quantile(before, np.arange(1, 10) / 10, method="inverted_cdf"))
    ends = ends[ends < before.max()] if (ends < before.max()).any() else before.max(keepdims=True)
    p, q = (np.bincount(np.searchsorted(ends, x, side="left"), minlength=len(ends) + 1) for x in (before, after))
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (p, q))
    return float(((q - p) * np.log(q / p)).sum())


@pytest.mark.parametrize("shift", [0.0, 0.5, 100.0])
@pytest.mark.parametrize("decimals", [0, 6])
def test_psi_is_its_definition(shift: float, decimals: int) -> None:
    random = np.random.default_rng(3)
    before, after = random.normal(size=997).round(decimals), random.normal(shift, size=1499).round(decimals)
    before, after = before.astype(np.float32), after.astype(np.float32)

    assert shape(before, after).psi((997.0, 1499.0)) == pytest.approx(psi_of(before, after), rel=1e-9)


def test_bins_medians_and_shares_by_hand() -> None:
    found = shape([0] * 9 + [1], [0] * 4 + [3] * 6)

    assert found.bins() == (
        Bin(low=None, high=0.0, reference=0.9, current=0.4),
        Bin(low=0.0, high=None, reference=0.1, current=0.6),
    )
    assert found.medians == (0.0, 3.0)
    assert (found.ks, found.at) == (0.6, 1.0)  # every one is at most 1, and 0.4 of the others


def test_a_constant_that_becomes_another_is_as_far_as_can_be() -> None:
    assert shape([1.0] * 50, [-1.0] * 50).ks == 1.0
    assert shape([1.0] * 50, [2.0] * 50).psi((50, 50)) > 5


def test_what_is_missing_counts_above_every_number() -> None:
    found = shape([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, None, math.nan])

    assert found.reference == pytest.approx((0.25, 0.25, 0.25, 0.25))
    assert found.current == pytest.approx((0.25, 0.25, 0.0, 0.5))
    json.dumps([one.to_json() for one in shape([math.nan], [1.0]).bins()], allow_nan=False)


def test_weights_undo_the_sampling() -> None:
    with memory() as connection:
        connection.register("before", side({"x": [0.0, 1.0]}, weight=[1.0, 9.0]))
        connection.register("after", side({"x": [0.0] + [1.0] * 9}))
        load_sides(connection, ["before", "after"], ["x"])
        assert shapes(connection, ["x"])["x"].ks == 0.0


def test_the_effective_number_of_users_items_and_lists() -> None:
    rows = {
        "user_id": ["ana", "ana", "bob", "bob"],
        "group_id": ["g1", "g1", "g2", "g3"],
        "item_id": ["i1", "i1", "i1", "i2"],
    }
    with memory() as connection:
        connection.register("before", side({"x": [0.0] * 4}, **rows, weight=[1.0, 1.0, 1.0, 5.0]))
        connection.register("after", side({"x": [0.0] * 3}))
        load_sides(connection, ["before", "after"], ["x"])
        before, after = sides(connection)

    assert (before.rows, before.groups) == (4, 3)
    assert before.units["user_id"] == pytest.approx(8**2 / (2**2 + 6**2))
    assert before.units["group_id"] == pytest.approx(8**2 / (2**2 + 1 + 5**2))
    assert before.units["item_id"] == pytest.approx(8**2 / (3**2 + 5**2))
    assert set(after.units.values()) == {3.0}


def test_weekdays_of_the_reference_count_as_on_the_current_side() -> None:
    monday, tuesday, sunday = date(2026, 2, 2), date(2026, 2, 3), date(2026, 2, 8)
    before = side({"x": [1.0, 1.0, 2.0, 9.0]}, cut=[monday, monday, tuesday, sunday])
    after = side({"x": [1.0, 2.0, 2.0]}, cut=[monday, tuesday, tuesday])
    with memory() as connection:
        connection.register("before", before)
        connection.register("after", after)
        load_sides(connection, ["before", "after"], ["x"])
        balance_weekdays(connection)

        assert shapes(connection, ["x"])["x"].ks == pytest.approx(0.0, abs=1e-6)
        assert sides(connection)[0].rows == 3  # not the Sunday


def test_the_share_of_positive_examples() -> None:
    with memory() as connection:
        connection.register("before", side({"grade": [0.0, 3.0]}, weight=[3.0, 1.0]))
        connection.register("after", side({"grade": [0.0]}))
        load_sides(connection, ["before", "after"], ["grade"])

        assert positive_rates(connection) == (0.25, 0.0)


def test_the_figures_do_not_depend_on_the_order_of_the_rows() -> None:
    random = np.random.default_rng(1)
    values, weights = random.normal(size=5000), random.uniform(0.1, 3, size=5000)
    found = []
    for order in (np.arange(5000), np.arange(5000)[::-1]):
        with memory() as connection:
            users = np.array([f"u{n % 70}" for n in range(5000)])
            connection.register("before", side({"x": values[order]}, weight=weights[order], user_id=users[order]))
            connection.register("after", side({"x": values[:500]}))
            load_sides(connection, ["before", "after"], ["x"])
            found.append((shapes(connection, ["x"]), sides(connection)))
    assert found[0] == found[1]
