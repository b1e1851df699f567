"""Shares of rejected rows: measured by rule, and compared with the days before."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from tasks.checks.gx import evaluate_suite
from tasks.checks.profile_row import Profile
from tasks.checks.rejection_rates import RejectedCount, reject_profiles
from tasks.checks.suites import load_suite
from tasks.checks.verdicts import Check
from tasks.features.duckdb_warehouse import DuckDBTables
from tasks.store.files import Home
from tests.tasks.checking import DAY, FakeRun, days_up_to, land_table

ROWS = "select i as n from range({rows}) numbers(i)"
SUITE = load_suite("simulated.rejected_rows")


def profiles(folder: Path, counts: dict[str, list[int]], rows: int = 5000) -> list[Profile]:
    """Measure days of `rows` rows each, up to DAY, of which each rule rejected so many."""
    run = FakeRun(Home(folder))
    days = days_up_to(DAY, len(next(iter(counts.values()))))
    land_table(run, "events", days, ROWS.replace("{rows}", str(rows)))
    with duckdb.connect() as connection:
        connection.execute("create table rejected (table_name varchar, rule varchar, ds date)")
        for rule, numbers in counts.items():
            for day, number in zip(days, numbers, strict=True):
                query = "insert into rejected select 'events', ?, ? from range(?)"
                connection.execute(query, [rule, day, number])
        return reject_profiles(DuckDBTables(connection), run, "rejected", SUITE.meta.trailing)  # type: ignore[arg-type]


def warned(found: list[Profile]) -> list[Check]:
    return [check for check in evaluate_suite(SUITE, found, {}) if not check.success and check.severity == "warning"]


def test_a_rule_that_rejects_what_it_always_does_is_fine(tmp_path: Path) -> None:
    found = profiles(tmp_path, {"missing_id": [10, 12, 9, 11, 8, 13, 10, 12, 11, 10]})
    assert [RejectedCount.of(profile) for profile in found] == [
        RejectedCount(table=f"events: {rule}", rejected=10, rows=5000, rate=0.002)
        for rule in ("any rule", "missing_id")
    ]
    assert found[1].measures["rate_vs_trailing"] == pytest.approx(10 / (96 / 9))
    assert warned(found) == []


def test_a_rule_that_explodes_is_named_with_what_was_expected(tmp_path: Path) -> None:
    found = profiles(tmp_path, {"missing_id": [10] * 9 + [100], "late": [5] * 10})
    checks = warned(found)
    assert {check.table for check in checks} == {"events: any rule", "events: missing_id"}
    assert all(check.observed < 0.05 for check in checks), "far below the absolute bound"
    (named,) = [check for check in checks if check.table == "events: missing_id"]
    assert named.words().startswith("events: missing_id, 2026-02-10: share of rejected rows is 2 %, expected at most ")
    assert named.trend[-1] == ("2026-02-09", 0.002)


def test_a_rule_that_fires_for_the_first_time_is_named(tmp_path: Path) -> None:
    found = profiles(tmp_path, {"missing_id": [10] * 10, "unknown_kind": [0] * 9 + [150]})
    assert "events: unknown_kind" in {check.table for check in warned(found)}


def test_its_first_few_rows_alone_raise_no_alarm(tmp_path: Path) -> None:
    assert warned(profiles(tmp_path, {"unknown_kind": [0] * 9 + [2]})) == []


def test_a_small_day_does_not_alarm_by_chance(tmp_path: Path) -> None:
    assert warned(profiles(tmp_path, {"missing_id": [1, 0, 0, 1, 0, 0, 1, 0, 0, 2]}, rows=60)) == []


def test_without_earlier_days_only_the_absolute_bound_is_checked(tmp_path: Path) -> None:
    found = profiles(tmp_path, {"missing_id": [10, 10, 100]})
    assert found[1].measures["rate_vs_trailing"] is None
    assert warned(found) == []
    rates = [check for check in evaluate_suite(SUITE, found[1:], {}) if check.column == "rate"]
    (said,) = [check for check in rates if check.severity == "warning" and "not checked yet" in check.expected]
    assert said.expected == "not checked yet: 2 of at least 5 earlier days"
    (bound, *_) = warned(profiles(tmp_path / "b", {"missing_id": [300]}))
    assert bound.expected == "at least 0 % and at most 5 %"


def test_a_day_without_rejected_rows_says_so(tmp_path: Path) -> None:
    (found,) = profiles(tmp_path, {"missing_id": [10, 0]})
    assert RejectedCount.of(found) == RejectedCount(table="all tables", rejected=0, rows=None, rate=0.0)
    assert warned([found]) == []


def test_what_comes_after_the_day_does_not_count(tmp_path: Path) -> None:
    run = FakeRun(Home(tmp_path))
    land_table(run, "events", days_up_to(DAY + timedelta(days=5), 15), ROWS.replace("{rows}", "100"))
    with duckdb.connect() as connection:
        connection.execute("create table rejected (table_name varchar, rule varchar, ds date)")
        connection.execute("insert into rejected select 'events', 'missing_id', ? from range(5)", [DAY])
        before = reject_profiles(DuckDBTables(connection), run, "rejected", SUITE.meta.trailing)  # type: ignore[arg-type]
        later: date = DAY + timedelta(days=1)
        connection.execute("insert into rejected select 'events', 'missing_id', ? from range(50)", [later])
        assert reject_profiles(DuckDBTables(connection), run, "rejected", SUITE.meta.trailing) == before  # type: ignore[arg-type]
