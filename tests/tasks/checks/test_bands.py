"""Bands: what a day is usually like, and that neither chance nor a bad day moves them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.checks.bands import Band, History, Point
from tasks.checks.profile_columns import ProfileColumn
from tasks.checks.suite_parts import Trailing

DAY = date(2026, 2, 10)  # a Tuesday


def points(*values: float, units: float = 1000, every: int = 1) -> list[Point]:
    return [Point(DAY - timedelta(days=every * n), value, units) for n, value in enumerate(reversed(values), 1)]


COLUMNS = {"share": "id__null_rate", "count": "rows", "hours": "seen__hours_to_end", "number": "value__mean"}


def band(points: list[Point], units: float, kind: str, *, floor: float | None = None, weekdays: bool = False) -> Any:
    column = ProfileColumn.parse(COLUMNS[kind])
    return History(column, tuple(points), DAY, units, Trailing(weekdays=weekdays)).band(floor)


def bounds(values: list[float], kind: str, *, units: float = 1000, floor: float | None = None) -> Band:
    found: Band = band(points(*values), units, kind, floor=floor)
    return found


def test_too_few_days_give_no_band() -> None:
    assert band(points(0.1, 0.1, 0.1, 0.1), 1000, "share") is None


def test_one_bad_day_among_those_before_changes_next_to_nothing() -> None:
    usual, spoiled = [100.0, 104, 96, 101, 99, 103, 97, 100, 102, 98, 100, 101], [100.0, 104, 96, 101, 99, 103, 97]
    spoiled += [9000.0, 102, 98, 100, 101]

    good, bad = bounds(usual, "count"), bounds(spoiled, "count")

    assert bad.high < 1.1 * good.high
    assert bad.low > 0.9 * good.low


def test_the_floor_is_the_least_width() -> None:
    found = bounds([0.5] * 10, "share", units=1e9, floor=0.1)

    assert found.low == pytest.approx(0.4, abs=1e-3)
    assert found.high == pytest.approx(0.6, abs=1e-3)
    assert found.highest == pytest.approx(0.65, abs=1e-3)


def test_counts_and_positive_numbers_are_compared_by_ratio() -> None:
    for kind in ("count", "number"):
        found = bounds([50.0, 100, 200, 100, 50, 100, 200, 100], kind)
        assert found.low * found.high == pytest.approx(100.0**2)
        assert found.lowest >= 0


def test_a_day_is_like_the_same_weekday_where_the_source_has_weekdays() -> None:
    sundays = [
        Point(day, 10.0 if day.weekday() == 1 else 100.0, 1000) for day in (DAY - timedelta(n) for n in range(1, 29))
    ]

    found = band(sundays, 1000, "number", weekdays=True)

    assert found is not None
    assert found.low < 10 < found.high < 20


def test_zeros_give_no_band_of_numbers() -> None:
    assert band(points(*[0.0] * 10), 1000, "number") is None


@given(st.floats(0, 1), st.integers(1, 10**6), st.lists(st.floats(0, 1), min_size=5, max_size=28))
def test_bounds_are_in_order_and_shares_are_shares(floor: float, units: int, values: list[float]) -> None:
    found = bounds(values, "share", units=units, floor=max(floor, 1e-6))

    assert 0 <= found.lowest <= found.low <= found.high <= found.highest <= 1


@given(st.integers(1, 10**6), st.integers(2, 100))
def test_the_fewer_the_rows_the_wider_the_band(units: int, times: int) -> None:
    few, many = (bounds([0.3, 0.32, 0.28, 0.31, 0.3, 0.29], "share", units=n) for n in (units, units * times))

    assert few.high >= many.high
    assert few.low <= many.low


@pytest.mark.parametrize("rows", [20, 200, 5000])
@pytest.mark.parametrize("share", [0.001, 0.05, 0.5])
def test_chance_alone_stays_within_the_usual(rows: int, share: float) -> None:
    draw = np.random.default_rng(7)
    days = draw.binomial(rows, share, (300, 15)) / rows
    inside = 0
    for values in days:
        found = band(points(*values[:-1], units=rows), rows, "share", floor=1e-6)
        assert found is not None
        inside += found.low <= values[-1] <= found.high
    assert inside >= 297  # 99 %


@pytest.mark.parametrize("usual", [3, 30, 3000])
def test_chance_alone_keeps_counts_within_the_usual(usual: int) -> None:
    draw = np.random.default_rng(7)
    inside = 0
    for values in draw.poisson(usual, (300, 15)):
        filled = [float(value) for value in values[:-1]]
        found = band([Point(p.day, p.value, p.value) for p in points(*filled)], 1, "count", floor=1e-6)
        assert found is not None
        inside += found.low <= values[-1] <= found.high
    assert inside >= 297
