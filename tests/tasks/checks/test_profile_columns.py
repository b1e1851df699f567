"""Names of profile columns, taken apart once, and their values in words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.checks.profile_columns import BOUNDS, ProfileColumn, TrailingBound, shown

NAMES = st.from_regex(r"[a-z][a-z0-9]*(_{1,2}[a-z0-9]+)*", fullmatch=True)


@given(NAMES)
def test_a_name_survives_being_taken_apart(name: str) -> None:
    assert ProfileColumn.parse(name).name == name


@given(NAMES, st.sampled_from(BOUNDS))
def test_a_trailing_bound_survives_being_taken_apart(column: str, bound: Any) -> None:
    assert TrailingBound.parse(TrailingBound(column, bound).name) == TrailingBound(column, bound)


@pytest.mark.parametrize("name", ["highest_grade", "rows__trailing_hihg", "rows", ""])
def test_other_parameters_are_no_trailing_bounds(name: str) -> None:
    assert TrailingBound.parse(name) is None


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("user_id__null_rate", "share"),
        ("user_id__top_share", "share"),
        ("rows", "count"),
        ("user_id__approx_distinct", "count"),
        ("seen__hours_to_end", "hours"),
        ("value__mean", "number"),
    ],
)
def test_scales(column: str, kind: str) -> None:
    assert ProfileColumn.parse(column).scale == kind


@pytest.mark.parametrize(
    ("value", "rate", "text"),
    [(None, False, "not measured"), (1234567, False, "1,234,567"), (0.12345, False, "0.1235"), (0.305, True, "30.5 %")],
)
def test_values_in_words(value: Any, rate: bool, text: str) -> None:
    assert shown(value, rate=rate) == text


def test_columns_in_words() -> None:
    assert ProfileColumn.parse("user_id__null_rate").title == "null rate of user_id"
    assert ProfileColumn.parse("missing_columns").title == "missing columns"
