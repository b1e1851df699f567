from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.checks import profile_sql
from tasks.checks.profile import (
    Footer,
    Relation,
    footers,
    measure_relation,
    missing_days,
    profile_file,
    rows_vs_trailing,
    schema_measures,
)
from tasks.checks.profile_columns import ProfileColumn
from tasks.checks.suite_parts import ProfileDeclaration
from tasks.errors import CheckFailed, LandingError
from tasks.store.sql import identifier, literal

ROWS = """(values ('a', 1, 0.5::float, timestamp '2026-02-10 10:00'),
                  ('b', 2, 1.5::float, timestamp '2026-02-10 11:00'),
                  ('b', 3, null,       timestamp '2026-02-11 00:00'),
                  (null, 4, 'nan'::float, null)) t(id, n, x, seen)"""
DAY = date(2026, 2, 10)


def columns(*names: str) -> list[ProfileColumn]:
    return [ProfileColumn.parse(name) for name in names]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def measured(connection: duckdb.DuckDBPyConnection, measure: ProfileDeclaration, *names: str) -> dict[str, object]:
    return measure_relation(connection, Relation(ROWS, {"run_day": DAY}), measure, columns(*names))


def test_measures_of_columns(connection: duckdb.DuckDBPyConnection) -> None:
    asked = ("rows", "id__null_rate", "n__min", "n__max", "n__mean", "id__distinct", "seen__max", "x__not_finite_rate")

    assert measured(connection, ProfileDeclaration(), *asked) == {
        "rows": 4,
        "id__null_rate": 0.25,
        "n__min": 1,
        "n__max": 4,
        "n__mean": 2.5,
        "n__mean__deviation": 1.29099444874,
        "id__distinct": 2,
        "seen__max": "2026-02-11T00:00:00",
        "x__not_finite_rate": 0.25,
    }


def test_keys_are_counted_as_a_whole(connection: duckdb.DuckDBPyConnection) -> None:
    one = measured(connection, ProfileDeclaration(key=("id",)), "key__duplicate_rate", "key__null_rate")
    two = measured(connection, ProfileDeclaration(key=("id", "n")), "key__duplicate_rate", "key__null_rate")

    assert one == {"rows": 4, "key__duplicate_rate": 0.25, "key__null_rate": 0.25}
    assert two == {"rows": 4, "key__duplicate_rate": 0.0, "key__null_rate": 0.25}


@pytest.mark.parametrize("exact", [True, False])
def test_keys_whose_columns_are_alike_are_no_duplicates(
    exact: bool, connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB's hash of both columns, and of their joined text, is the same for hundreds of these."""
    if not exact:
        monkeypatch.setattr(profile_sql, "EXACT_ROWS", 10)
    alike = Relation(
        "(select 'r-' || lpad(g::varchar, 6, '0') || '@u' || lpad(g::varchar, 6, '0') as g, "
        "'i' || lpad(i::varchar, 6, '0') as i from range(60) a(g), range(40) b(i))",
        {},
    )
    found = measure_relation(connection, alike, ProfileDeclaration(key=("g", "i")), columns("key__duplicate_rate"))
    assert found["key__duplicate_rate"] == 0.0


def test_duplicates_of_a_big_table_are_found_in_a_sample_of_its_keys(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile_sql, "EXACT_ROWS", 10)
    twice = Relation("(select i // 2 as id from range(100000) t(i))", {})

    found = measure_relation(connection, twice, ProfileDeclaration(key=("id",)), columns("key__duplicate_rate"))

    assert found["key__duplicate_rate"] == 0.5


def test_the_sketch_of_a_big_table_is_that_of_a_small_one(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Relation("(select i as id from range(50000) t(i))", {})
    wanted = columns("key__sketch", "key__duplicate_rate")
    small = measure_relation(connection, rows, ProfileDeclaration(key=("id",)), wanted)
    monkeypatch.setattr(profile_sql, "EXACT_ROWS", 10)

    assert len(small["key__sketch"]["hashes"]) > 4_000
    assert measure_relation(connection, rows, ProfileDeclaration(key=("id",)), wanted) == small


def test_a_rule_may_name_the_run_day_and_ignores_nulls(connection: duckdb.DuckDBPyConnection) -> None:
    late = ProfileDeclaration(rules={"late": "seen >= run_day + interval 1 day"})

    assert measured(connection, late, "late__rate")["late__rate"] == 0.25


def test_a_rule_that_nothing_is_known_of_holds_for_no_row(connection: duckdb.DuckDBPyConnection) -> None:
    nobody = Relation("(values (null::varchar, null::float), (null, null)) t(id, x)", {})
    odd = ProfileDeclaration(rules={"odd": "not regexp_matches(id, '^u')"})

    found = measure_relation(connection, nobody, odd, columns("odd__rate", "x__not_finite_rate"))

    assert found == {"rows": 2, "odd__rate": 0.0, "x__not_finite_rate": 0.0}


def test_a_family_reports_its_worst_column_by_name(connection: duckdb.DuckDBPyConnection) -> None:
    family = ProfileDeclaration(families={"numbers": ("n", "type:FLOAT")})

    found = measured(connection, family, "numbers__min", "numbers__null_rate", "numbers__constant")

    assert (found["numbers__min"], found["numbers__min__of"]) == (0.5, "x")
    assert (found["numbers__null_rate"], found["numbers__null_rate__of"]) == (0.25, "x")
    assert found["numbers__constant"] == "none"


def test_a_family_without_columns_is_not_measured(connection: duckdb.DuckDBPyConnection) -> None:
    family = ProfileDeclaration(families={"shares": ("*_share_*",)})

    assert measured(connection, family, "shares__max")["shares__max"] is None


def test_what_is_not_there_or_has_another_type_is_not_measured(connection: duckdb.DuckDBPyConnection) -> None:
    measure = ProfileDeclaration(columns={"id": "VARCHAR", "n": "DOUBLE", "gone": "DATE"}, rules={"big": "n > 2"})

    found = measured(connection, measure, "gone__min", "n__max", "big__rate")

    assert (found["gone__min"], found["n__max"], found["big__rate"]) == (None, None, None)
    assert found["missing_columns"] == "gone"
    assert found["mistyped_columns"] == "n is INTEGER, not DOUBLE"
    assert found["unexpected_columns"] == "x, seen"


def test_no_rows_measure_nothing_but_rows(connection: duckdb.DuckDBPyConnection) -> None:
    empty = Relation(f"(select * from {ROWS} where false)", {})
    measure = ProfileDeclaration(key=("id",), rules={"big": "n > 2"}, families={"all": ("*",)})

    found = measure_relation(
        connection,
        empty,
        measure,
        columns("n__distinct", "id__null_rate", "key__duplicate_rate", "big__rate", "all__constant"),
    )

    assert found.pop("rows") == 0
    assert set(found.values()) == {None}


def test_names_that_need_quoting(connection: duckdb.DuckDBPyConnection) -> None:
    odd = Relation("""(select 1 as "or""der by", 2 as "select")""", {})

    found = measure_relation(
        connection, odd, ProfileDeclaration(key=('or"der by',)), columns("select__max", "key__duplicate_rate")
    )

    assert found == {"rows": 1, "select__max": 2, "key__duplicate_rate": 0.0}


def test_a_rule_that_cannot_be_computed_is_a_failure_that_names_the_file(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "a.parquet"
    connection.execute(f"copy (select 'x' as n) to '{path}'")

    with pytest.raises(CheckFailed, match=r"a\.parquet: cannot be measured"):
        profile_file(connection, path, {}, ProfileDeclaration(rules={"big": "n + 1 > 2"}), columns("big__rate"))


def test_a_torn_file_is_named(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.parquet", tmp_path / "bad.parquet"
    connection.execute(f"copy (select 1 as n, 'x' as t) to '{good}'")
    bad.write_bytes(good.read_bytes()[:-20])

    assert footers(connection, [good]) == {good: Footer(1, {"n": "INTEGER", "t": "VARCHAR"})}
    with pytest.raises(LandingError, match=r"bad\.parquet: cannot be read as parquet"):
        footers(connection, [good, bad])
    with pytest.raises(LandingError, match=r"bad\.parquet: cannot be read as parquet"):
        profile_file(connection, bad, {}, ProfileDeclaration(), columns("rows"))


@pytest.mark.parametrize(
    ("rows", "earlier", "expected"),
    [
        (10, [], None),
        (10, [0, 0], None),
        (0, [5], None),
        (10, [5], 2.0),
        (10, [5, 0, 15], 1.0),
        (10, [1000, 10, 10, 10, 10, 10, 10, 10], 1.0),
    ],
)
def test_rows_vs_trailing(rows: int, earlier: list[int], expected: float | None) -> None:
    assert rows_vs_trailing(rows, earlier) == expected


def test_missing_days() -> None:
    assert missing_days([date(2026, 2, 28), date(2026, 3, 2)]) == "2026-03-01"
    assert missing_days([date(2026, 2, 28)]) == "none"


def test_schema_measures_of_an_undeclared_table() -> None:
    assert schema_measures({}, {"a": "DATE"}) == {}


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1).filter(lambda text: "\x00" not in text and text.isprintable()))
def test_any_text_survives_quoting(text: str) -> None:
    with duckdb.connect() as connection:
        cursor = connection.execute(f"select {literal(text)} as {identifier(text)}")

        assert cursor.description is not None
        assert cursor.description[0][0] == text
        assert cursor.fetchall() == [(text,)]
