"""Pieces of the SQL that measures."""

from __future__ import annotations

import duckdb
import pytest

from tasks.checks.profile_columns import ProfileColumn
from tasks.checks.profile_sql import ColumnSql, ProfilePlan, family, hash_limit, key_columns, names, rule
from tasks.checks.suite_parts import ProfileDeclaration
from tasks.errors import CheckFailed


@pytest.mark.parametrize(
    "text", ["select 1", "n > 1; drop table t", "n >", "(select max(n) from t) > 1", "", "drop table t"]
)
def test_a_rule_that_is_no_condition_is_rejected(text: str) -> None:
    with pytest.raises(CheckFailed, match="the rule"):
        rule(text, {"n": "INTEGER"})


def test_a_rule_about_an_absent_column_is_not_computed() -> None:
    assert rule("gone > 1", {"n": "INTEGER"}) is None


def test_aggregates_are_computed_once_however_many_measures_need_them() -> None:
    plan = ProfilePlan(ProfileDeclaration(families={"all": ("*",)}), 10, {"n": "INTEGER"}, {"n": "INTEGER"})

    for name in ("n__min", "all__min", "all__constant"):
        plan.add(ProfileColumn.parse(name))

    assert list(plan.aggregates) == ["rows", "n__min", "n__max"]


@pytest.mark.parametrize("kind", ["INTEGER", "FLOAT", "VARCHAR", "TIMESTAMP"])
def test_every_expression_is_sql(kind: str) -> None:
    sql = ColumnSql("x", kind, 10, has_run_day=True)
    numbers = ("mean", "std", "median", "p05", "p95", "not_finite_rate")  # of numbers only, which suites know
    expressions = {**sql.exact(), **sql.sampled()}
    chosen = [text for name, text in expressions.items() if name not in numbers or kind in ("INTEGER", "FLOAT")]

    with duckdb.connect() as connection:
        connection.execute(f"create table t as select null::{kind} as x, date '2026-02-10' as run_day")
        ((*values,),) = connection.execute(f"select {', '.join(chosen)} from t").fetchall()
        connection.execute(f"select {sql.counted} from t")

    assert len(values) == len(chosen)


def test_families_keys_and_names() -> None:
    declared = ProfileDeclaration(
        key=("*",), families={"shares": ("*_share", "type:DOUBLE"), "all": ("*", "type:DATE")}
    )
    types = {"a_share": "FLOAT", "b": "DOUBLE", "c": "FLOAT", "line_number": "BIGINT", "sent_before": "DATE"}

    assert family(declared, "shares", types) == ["a_share", "b"]
    assert family(declared, "all", types) == ["a_share", "b", "c"], "what the landing adds was not sent"
    assert key_columns(declared, types) == ("a_share", "b", "c")
    assert (names([]), names(["a", "b"])) == ("none", "a, b")


def test_about_as_many_hashes_as_wanted_lie_below_the_limit() -> None:
    assert hash_limit(0) == hash_limit(100) == 2**64 - 1
    assert hash_limit(10_000, 5_000) == 2**63
