"""Which negatives of a list are trained on, and with which correction: by hand, then their laws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from duckdb import DuckDBPyConnection

from tasks.examples.sampling.queries import negatives
from tests.tasks.handmade import day, spec_of

CUT = "date '2026-02-01'"


pytestmark = pytest.mark.usefixtures("small_marts")


@pytest.fixture
def connection() -> Iterator[DuckDBPyConnection]:
    """Two drawn lists of ten items and one that is not drawn; g1 has one positive, g2 two; item n has n·10 actions."""
    with duckdb.connect() as made:
        made.execute(
            f"""
            create table candidates as
            select g || '/' || n as example_id, g as group_id, 'u' || g as user_id, 'i' || n as item_id, {CUT} as cut,
                   n::float as popularity_score, case when n = 2 then 9::float end as history_score
            from (values ('g1'), ('g2'), ('g3')) v(g), range(10) t(n);
            create table labels as
            select * from (values ('ug1', 'i5', {CUT}, 1), ('ug2', 'i0', {CUT}, 2), ('ug2', 'i9', {CUT}, 1),
                                  ('ug1', 'i6', {CUT}, 0)) v(user_id, item_id, cut, grade);
            create table feat_items as select 'i' || n as item_id, {CUT} as as_of, 10 * n as item_actions_28d
            from range(10) t(n);
            create table fit as select * from (values ('g1', {CUT}, 3.0), ('g2', {CUT}, 1.0)) v(group_id, cut, weight);
            """
        )
        yield made


def kept(connection: DuckDBPyConnection, seed: int = 0, **asked: Any) -> dict[str, dict[str, float]]:
    """The corrections of the items kept, by list."""
    spec = spec_of(sample={"groups": 5, "seed": seed, "negatives": asked})
    assert spec.sample.negatives is not None
    found: dict[str, dict[str, float]] = {}
    query = negatives(spec, spec.sample.negatives, "fit", [day("02-01")])
    for example, group, _, correction in connection.execute(f"select * from ({query}) order by all").fetchall():
        found.setdefault(group, {})[example.partition("/")[2]] = correction
    return found


@pytest.mark.parametrize("by", ["uniform", "popularity", "hard"])
def test_every_positive_and_so_many_negatives_for_each(connection: DuckDBPyConnection, by: str) -> None:
    found = kept(connection, per_positive=3, by=by)
    assert {group: len(items) for group, items in found.items()} == {"g1": 1 + 3, "g2": 2 + 6}
    assert found["g1"]["5"] == found["g2"]["0"] == found["g2"]["9"] == 1.0


@pytest.mark.parametrize("by", ["uniform", "popularity", "hard"])
def test_where_there_are_no_more_all_are_kept_as_they_are(connection: DuckDBPyConnection, by: str) -> None:
    found = kept(connection, per_positive=9, by=by)
    assert {group: len(items) for group, items in found.items()} == {"g1": 10, "g2": 10}
    assert all(value == 1.0 for items in found.values() for value in items.values())


def test_uniform_negatives_stand_for_all(connection: DuckDBPyConnection) -> None:
    found = kept(connection, per_positive=3)
    assert Counter(found["g1"].values()) == {3.0: 3, 1.0: 1}  # 3 of 9
    assert sum(found["g2"].values()) == pytest.approx(2 + 8)  # 6 of 8


def test_hard_negatives_are_those_that_any_retriever_has_first(connection: DuckDBPyConnection) -> None:
    # history has i2 first; popularity i9, i8, i7 …, of which i9 is a positive of g2
    assert kept(connection, per_positive=2, by="hard") == {
        "g1": {"5": 1.0, "2": 1.0, "9": 1.0},
        "g2": {"0": 1.0, "9": 1.0, "2": 1.0, "8": 1.0, "7": 1.0, "6": 1.0},
    }


@pytest.mark.parametrize("by", ["uniform", "popularity"])
def test_corrected_sums_over_negatives_are_those_of_all(connection: DuckDBPyConnection, by: str) -> None:
    """Over many seeds, the corrected sum of a value over g1's negatives is near the whole sum; plainly it is not."""
    seeds = 300
    sums, plain = 0.0, 0.0
    for seed in range(seeds):
        items = {int(n): value for n, value in kept(connection, seed, per_positive=3, by=by)["g1"].items() if n != "5"}
        sums += sum(value * (10 + n) for n, value in items.items()) / seeds
        plain += sum(10 + n for n in items) * 3 / seeds
    whole = sum(10 + n for n in range(10) if n != 5)
    assert sums == pytest.approx(whole, rel=0.1)  # sequential Poisson sampling meets its probabilities nearly
    assert by == "uniform" or plain > 1.1 * whole, "the popular ones are not kept more often"


def test_other_seeds_keep_others_and_threads_do_not_matter(connection: DuckDBPyConnection) -> None:
    found = [kept(connection, seed, per_positive=3) for seed in (1, 2)]
    assert found[0] != found[1]
    connection.execute("set threads = 1; create or replace table candidates as from candidates order by hash(item_id)")
    assert kept(connection, 1, per_positive=3) == found[0]
