"""The draw on a few hundred groups: exact, the same however the rows lie, and unbiased for the population."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from duckdb import DuckDBPyConnection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.examples.sampling import draw as module
from tasks.examples.sampling.draw import StratumDraw, draw, place_bound
from tasks.examples.sampling.order import PRIME, Order, group_hash_sql
from tasks.features.duckdb_warehouse import DuckDBTables
from tasks.spec.spec import Spec
from tests.tasks.handmade import day, spec_of

CUTS = [day("02-01"), day("02-02")]
GROUPS = f"""
select {group_hash_sql("lists")} as group_hash, *
from (select 'g' || n as group_id, date '2026-02-01' + (n % 2)::integer as cut, 'u' || n as user_id,
             case when n % 10 = 9 then 0 else 1 end as best, 0 as worst,
             case when n % 7 = 0 then 'SE' when n % 3 = 0 then 'IN' else 'BR' end as region,
             case when n % 5 = 0 then 'new' else 'old' end as tenure_band
      from range(600) t(n)) lists
"""
"""540 groups with a positive, in six strata of 14 to 250."""


pytestmark = pytest.mark.usefixtures("small_marts")


@pytest.fixture
def connection() -> Iterator[DuckDBPyConnection]:
    """Groups of two items; the relevant one is the more popular one in old lists, and in every second of the new."""
    with duckdb.connect() as made:
        made.execute(f"create table groups as {GROUPS}")
        made.execute(
            """
            create table candidates as
            select group_id || '/' || item as example_id, group_id, user_id, item as item_id, cut
            from groups, (values ('i1'), ('i2')) v(item);
            create table labels as
            select user_id, case when tenure_band = 'old' or hash(user_id) % 2 = 0 then 'i1' else 'i2' end as item_id,
                   cut, 1 as grade
            from groups;
            create table feat_items as
            select i as item_id, date '2026-02-01' + d as as_of, n as item_actions_28d
            from (values ('i1', 9), ('i2', 4)) v(i, n), (values (0), (1)) w(d);
            """
        )
        yield made


def asking(groups: int = 60, **rest: Any) -> Spec:
    return spec_of(sample={"groups": groups, "strata": ["region", "tenure_band"], "seed": 1, **rest})


def drawn(connection: DuckDBPyConnection, spec: Spec) -> list[tuple[Any, ...]]:
    draw(DuckDBTables(connection), spec, "fit", CUTS)
    return connection.execute("select * from fit order by all").fetchall()


NEYMAN: dict[str, Any] = {"allocation": "neyman", "pilot": 20, "floor": 2}


@pytest.mark.parametrize(
    "asked",
    [{"allocation": "proportional", "floor": 2}, {"allocation": "equal"}, {"allocation": "sqrt", "floor": 2}, NEYMAN],
    ids=lambda asked: asked["allocation"],
)
def test_weighted_estimates_are_unbiased_for_the_population(
    connection: DuckDBPyConnection, asked: dict[str, Any]
) -> None:
    """The mean over many seeds of Σ w·y is the population's Σ y, within four of its standard errors."""
    value = "(hash(group_id) % 100) + case when tenure_band = 'new' then 200 else 0 end"
    ((total, count),) = connection.execute(f"select sum({value}), count(*) from groups where best > 0").fetchall()
    estimates, unweighted = [], []
    for seed in range(60):
        strata = draw(DuckDBTables(connection), asking(**asked, **{"seed": seed}), "fit", CUTS)
        assert all(one.drawn for one in strata)
        ((weighted, plain, weight),) = connection.execute(
            f"select sum(weight * ({value})), avg({value}), sum(weight) from fit join groups using (group_id, cut)"
        ).fetchall()
        assert weight == pytest.approx(count)
        estimates.append(weighted / count)
        unweighted.append(plain)
    error = statistics.stdev(estimates) / math.sqrt(len(estimates))
    assert statistics.mean(estimates) == pytest.approx(total / count, abs=4 * error)
    if asked["allocation"] == "equal":
        assert abs(statistics.mean(unweighted) - total / count) > 20 * error, "the weights undo nothing"


def test_neyman_looks_where_lists_differ(connection: DuckDBPyConnection) -> None:
    strata = draw(DuckDBTables(connection), asking(**{**NEYMAN, "floor": 0}), "fit", CUTS)
    spread = {one.name: one.spread for one in strata}
    assert all(spread[f"{region} · new"] > 3 * spread[f"{region} · old"] > 0 for region in ("BR", "IN", "SE"))
    rates = {one.name: one.rate for one in strata}
    assert rates["BR · new"] > 2 * rates["BR · old"]
    assert sum(one.drawn for one in strata) == 60


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from(["cut", "region", "n % 4"]),
    st.sampled_from([1, 2]),
    st.sampled_from([7, 512]),
)
def test_neither_order_nor_files_nor_threads_matter(
    connection: DuckDBPyConnection, tmp_path: Path, shuffle: int, partition: str, threads: int, row_group: int
) -> None:
    spec = asking(90, **NEYMAN)
    connection.execute(f"create or replace table groups as {GROUPS}")
    expected = drawn(connection, spec)

    files = tmp_path / f"{shuffle}-{threads}-{row_group}-{partition.partition(' ')[0]}"
    rows = "select *, substr(group_id, 2)::integer as n from groups"
    connection.execute(
        f"copy (select *, {partition} as part from ({rows}) order by hash(group_id || '{shuffle}')) to '{files}' "
        f"(format parquet, partition_by (part), overwrite, row_group_size {row_group})"
    )
    connection.execute(f"set threads = {threads}")
    connection.execute(
        f"create or replace table groups as select * exclude (n, part) from read_parquet('{files}/**/*.parquet')"
    )
    assert drawn(connection, spec) == expected


def every_group_in_order(connection: DuckDBPyConnection, strata: tuple[StratumDraw, ...], seed: int) -> set[str]:
    """The same draw by one plain window over all groups."""
    names, place = set(), Order.of(seed, "sample").sql("group_hash")
    for one in strata:
        rows = connection.execute(
            "select group_id from groups where best > 0 and region = ? and tenure_band = ? "
            f"order by {place}, group_id limit {one.drawn}",
            list(one.stratum.values()),
        ).fetchall()
        names |= {name for (name,) in rows}
    return names


@given(st.integers(1, 540), st.integers(0, 1000))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_sizes_are_exact_and_the_groups_those_of_a_plain_window(
    connection: DuckDBPyConnection, groups: int, seed: int
) -> None:
    strata = draw(DuckDBTables(connection), asking(groups, seed=seed), "fit", CUTS)
    names = {name for (name,) in connection.execute("select group_id from fit").fetchall()}
    assert sum(one.drawn for one in strata) == groups == len(names)
    assert names == every_group_in_order(connection, strata, seed)


def test_a_bound_that_lets_too_few_pass_is_lifted(
    connection: DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = drawn(connection, asking())
    monkeypatch.setattr(module, "place_bound", lambda available, size: PRIME // 32)
    assert drawn(connection, asking()) == expected


def test_bounds() -> None:
    assert place_bound(1000, 1000) == place_bound(0, 0) == PRIME
    assert place_bound(10_000_000, 10_000) == int(10_624 / 10_000_000 * PRIME)


def test_what_is_recorded_of_a_stratum(connection: DuckDBPyConnection) -> None:
    connection.execute("delete from groups where region = 'SE' and tenure_band = 'new' and group_id <> 'g0'")
    overrides = [{"stratum": {"region": "IN"}, "rate": 0.5}]
    strata = draw(DuckDBTables(connection), asking(50, floor=4, cap=30, overrides=overrides), "fit", CUTS)
    assert {one.name: (one.groups, one.drawn, one.promised, one.shortfall, one.cap) for one in strata} == {
        "BR · new": (68, 4, 4, 0, 30),
        "BR · old": (241, 4, 4, 0, 30),
        "IN · new": (34, 17, 17, 0, None),
        "IN · old": (119, 60, 60, 0, None),
        "SE · new": (1, 1, 4, 3, 30),
        "SE · old": (60, 4, 4, 0, 30),
    }
    assert {one.name for one in strata if one.overridden} == {"IN · new", "IN · old"}
