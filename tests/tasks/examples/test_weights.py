"""What retrieval learns from where kinds are declared, on rows that are written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import TrainingError
from tasks.examples import queries
from tasks.examples.weights import require_positives
from tasks.features.duckdb_warehouse import DuckDBTables
from tasks.spec.spec import Spec
from tests.tasks.handmade import spec_of
from tests.tiny_pipelines import Lines

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CUT = date(2026, 3, 10)
ROWS = [
    # user, item, kind, value, occurred on, landed on
    ("ana", "film", "rating", 5.0, "2026-03-10", "2026-03-10"),
    ("ana", "film", "rating", 3.9, "2026-03-10", "2026-03-10"),  # below the least value
    ("ana", "film", "purchase", 1.0, "2026-03-10", "2026-03-10"),
    ("ana", "song", "list_add", 1.0, "2026-03-08", "2026-03-10"),
    ("bo", "film", "cancellation", 2.0, "2026-03-01", "2026-03-01"),  # an undo
    ("bo", "film", "gift", 1.0, "2026-03-01", "2026-03-02"),
    ("bo", "song", "play", 0.1, "2025-03-11", "2025-03-11"),  # the first day of the year
    ("bo", "song", "play", 0.1, "2025-03-10", "2025-03-10"),  # a day too early
    ("cy", "film", "purchase", 1.0, "2026-03-11", "2026-03-11"),  # the day after the cut
    ("cy", "film", "purchase", 1.0, "2026-03-10", "2026-03-11"),  # known the day after
]
KINDS: dict[str, Any] = {
    "rating": {"least": 4}, "purchase": {"weight": 5}, "list_add": {"weight": 0.1}, "gift": {"weight": 0.2},
}  # fmt: skip


def with_kinds(kinds: dict[str, Any]) -> Spec:
    return spec_of(interactions={"kinds": kinds})


@pytest.fixture
def connection() -> Iterator[DuckDBPyConnection]:
    with duckdb.connect() as made:
        yield made


def tables_of(connection: DuckDBPyConnection, rows: list[tuple[Any, ...]]) -> DuckDBTables:
    connection.execute(
        "create or replace table interactions"
        " (user_id varchar, item_id varchar, kind varchar, value double, occurred_at timestamp, ds date)"
    )
    if rows:
        connection.executemany("insert into interactions values (?, ?, ?, ?, ?, ?)", rows)
    return DuckDBTables(connection)


def past(tables: DuckDBTables, spec: Spec) -> list[tuple[Any, ...]]:
    table = tables.arrow(queries.past_actions(spec, CUT))
    assert table.schema.field("actions").type == pa.float64()
    return [tuple(row.values()) for row in table.to_pylist()]


def test_weights_of_what_was_known_by_the_cut_are_summed_by_day(connection: DuckDBPyConnection) -> None:
    assert past(tables_of(connection, ROWS), with_kinds(KINDS)) == [
        ("ana", "film", 0, 6.0), ("ana", "song", 2, 0.1), ("bo", "film", 9, 0.2), ("bo", "song", 364, 1.0),
    ]  # fmt: skip


def test_what_is_not_declared_counts_as_it_does_without_a_declaration(connection: DuckDBPyConnection) -> None:
    assert past(tables_of(connection, ROWS), with_kinds({"wish": {"counts_as": "save"}})) == [
        ("ana", "film", 0, 3.0), ("bo", "song", 364, 1.0),
    ]  # fmt: skip


def test_a_value_that_is_the_least_one_counts(connection: DuckDBPyConnection) -> None:
    """0.1 is no binary number: as DECIMAL and as DOUBLE, comparisons with it would differ."""
    rows = [("ana", "film", "play", 0.1, "2026-03-10", "2026-03-10")]
    for least, counted in ((0.1, 1), (0.10000000000000002, 0), (1e-7, 1), (1e22, 0)):
        assert len(past(tables_of(connection, rows), with_kinds({"play": {"least": least}}))) == counted


@given(st.lists(st.sampled_from(["purchase", "play", "gift"]), max_size=30), st.data())
def test_sums_are_exact_whatever_their_order(kinds: list[str], data: st.DataObject) -> None:
    spec = with_kinds({"purchase": {"weight": 0.1}, "play": {"weight": 0.2}, "gift": {"weight": 0.3}})
    expected = sum({"purchase": 1, "play": 2, "gift": 3}[kind] for kind in kinds) / 10
    for order in (kinds, data.draw(st.permutations(kinds))):
        rows = [("ana", "film", kind, 1.0, "2026-03-10", "2026-03-10") for kind in order]
        with duckdb.connect() as connection:
            found = past(tables_of(connection, rows), spec)
        assert found == ([("ana", "film", 0, expected)] if kinds else [])


def test_a_least_value_above_all_values_leaves_nothing_and_is_named(connection: DuckDBPyConnection) -> None:
    rows = [row for row in ROWS if row[2] in {"rating", "list_add", "cancellation"}]
    with pytest.raises(TrainingError) as caught:
        require_positives(tables_of(connection, rows), with_kinds({"rating": {"least": 40}}), CUT)
    assert str(caught.value) == (
        "no interaction of the year up to 2026-03-10 counts for retrieval: all 1 of kind cancellation have no weight; "
        "all 1 of kind list_add have no weight; all 2 of kind rating are below its `least` 40 (the largest is 5); "
        "lower a `least`, or give a kind a `weight`, under `interactions.kinds` of the pipeline file"
    )


def test_a_least_value_that_nothing_reaches_is_a_warning_while_others_count(connection: DuckDBPyConnection) -> None:
    with Lines() as lines:
        require_positives(tables_of(connection, ROWS), with_kinds({"rating": {"least": 40}}), CUT)
    assert [line.getMessage() for line in lines] == [
        "all 2 of kind rating are below its `least` 40 (the largest is 5): retrieval learns nothing from them "
        "(`interactions.kinds`)"
    ]
    assert [line.levelname for line in lines] == ["WARNING"]


@pytest.mark.parametrize("kinds", [{}, KINDS])
def test_nothing_at_all_is_no_mistake_of_the_weights(connection: DuckDBPyConnection, kinds: dict[str, Any]) -> None:
    require_positives(tables_of(connection, []), with_kinds(kinds), CUT)


def test_without_a_declaration_nothing_is_asked_of_the_interactions(connection: DuckDBPyConnection) -> None:
    rows = [row for row in ROWS if row[2] == "list_add"]
    require_positives(tables_of(connection, rows), spec_of(), CUT)
    assert "int_user_item_daily" in queries.past_actions(spec_of(), CUT)
