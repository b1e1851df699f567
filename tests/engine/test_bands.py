"""Bands of numbers: SQL and the engine put every number into one of them, and into the same."""

from __future__ import annotations

import math
from fractions import Fraction

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bands import band_names, band_of
from tasks.spec.attributes import Attribute

numbers = st.floats(allow_nan=False, allow_infinity=False)
edges = st.lists(numbers, min_size=1, max_size=5, unique_by=lambda edge: edge + 0.0).map(
    lambda some: tuple(sorted(some))
)
AGE = Attribute("age", "user", "number", "double", "feat_user_attributes")


def test_an_edge_belongs_to_the_band_above_it() -> None:
    ages = [None, 17, 17.999999, 18, 29, 30, 49, 50, 120]
    assert [band_of(age, (18, 30, 50)) for age in ages] == [
        None, "under 18", "under 18", "18 to under 30", "18 to under 30", "30 to under 50", "30 to under 50",
        "50 or more", "50 or more",
    ]  # fmt: skip
    assert band_of(math.nan, (18,)) is None


def test_edges_are_named_as_they_are_written() -> None:
    assert band_names((-0.5, 0.1, 1_000_000.0)) == [
        "under -0.5", "-0.5 to under 0.1", "0.1 to under 1000000", "1000000 or more",
    ]  # fmt: skip


@given(edges)
def test_bands_have_names_of_their_own(ends: tuple[float, ...]) -> None:
    names = band_names(ends)
    assert len(set(names)) == len(ends) + 1


@settings(max_examples=60)
@given(edges, st.lists(numbers))
def test_sql_and_the_engine_agree_in_every_number(ends: tuple[float, ...], others: list[float]) -> None:
    # The numbers that matter are the edges, and their neighbors.
    near = [value for edge in ends for value in (edge, math.nextafter(edge, -math.inf), math.nextafter(edge, math.inf))]
    values = [value for value in [*near, *others] if math.isfinite(value)]
    band = Attribute("band", "user", "text", "varchar", "feat_user_attributes", number=AGE, edges=ends)
    with duckdb.connect() as connection:
        connection.execute("create table rows (place integer, age double)")
        connection.executemany("insert into rows values (?, ?)", [[-1, None], *([n, v] for n, v in enumerate(values))])
        of_sql = [
            text for (text,) in connection.execute(f"select {band.sql('rows')} from rows order by place").fetchall()
        ]
    assert of_sql == [None, *(band_of(value, ends) for value in values)]


@given(edges, numbers)
def test_a_band_is_where_the_number_is_among_the_edges(ends: tuple[float, ...], value: float) -> None:
    below = sum(Fraction(edge) <= Fraction(value) for edge in ends)
    assert band_of(value, ends) == band_names(ends)[below]


@pytest.mark.parametrize("data_type", ["smallint", "integer", "bigint", "float", "double"])
def test_numbers_of_every_type_are_cut(data_type: str) -> None:
    band = Attribute("band", "user", "text", "varchar", "r", number=AGE, edges=(0.1, 2.0))
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select {band.sql('r')} from (select cast(unnest([0, 1, 2]) as {data_type}) as age) as r"
        ).fetchall()
    assert rows == [("under 0.1",), ("0.1 to under 2",), ("2 or more",)]
