"""Suites: what is rejected when a suite is read, and what the bundled ones say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tasks.checks.suites import load_suite, parse_suite, suite_for, suite_names, tables_with_suites
from tasks.errors import CheckFailed
from tasks.spec.project import TOOL
from tests.tasks.checks.test_gx import between, suite


def test_an_unknown_parameter_is_rejected_when_it_is_read_and_the_nearest_is_named() -> None:
    with pytest.raises(CheckFailed, match=r"'rows__trailing_hihg'.*did you mean 'rows__trailing_high'"):
        suite(between("rows", max_value={"$PARAMETER": "rows__trailing_hihg"}))


def test_what_a_family_is_compared_by_is_compared_for_each_of_its_columns() -> None:
    texts = suite(
        between("texts__top_share", max_value={"$PARAMETER": "texts__top_share__trailing_high"}),
        between("texts__vanished"),
        between("texts__null_rate", max_value=0.5),
        families={"texts": ["type:VARCHAR"]},
    )

    found = texts.for_columns({"a": "VARCHAR", "b": "VARCHAR", "n": "INTEGER"})

    assert tuple(column.name for column in found.columns) == (
        "a__top_share",
        "b__top_share",
        "a__vanished",
        "b__vanished",
        "texts__null_rate",
    )
    assert found.expectations[1].parameters == ("b__top_share__trailing_high",)


def test_a_suite_of_another_source_is_neither_read_nor_used(tmp_path: Path) -> None:
    folder = tmp_path / "expectations"
    shutil.copytree(TOOL / "expectations", folder)
    before = {table: suite_for("simulated", table, "default.landed", folder) for table in ("events", "unknown")}
    (folder / "my_shop.sales.json").write_text("{ half")
    (folder / "simulated_too.events.json").write_text("{ half")
    assert {table: suite_for("simulated", table, "default.landed", folder) for table in before} == before
    assert tables_with_suites("simulated", suite_names(folder)) == tables_with_suites("simulated", suite_names())

    own = (folder / "simulated.events.json").read_text()
    (folder / "simulated.unknown.json").write_text(own.replace("simulated.events", "simulated.unknown"))
    assert suite_for("simulated", "unknown", "default.landed", folder).name == "simulated.unknown"


@pytest.mark.parametrize("name", suite_names())
def test_every_bundled_suite_is_valid_and_explains_itself(name: str) -> None:
    found = load_suite(name)

    assert all(e.meta.why.endswith(".") for e in found.expectations)
    assert {"rows", "lists", "rejected"} & {column.name for column in found.columns}
    assert any(e.severity == "critical" for e in found.expectations)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("rowz", "unknown profile column 'rowz'.*did you mean 'rows'"),
        ("useer_id__max", "unknown column, rule or family 'useer_id'.*did you mean 'user_id'"),
        ("user_id__nul_rate", "unknown profile column 'user_id__nul_rate'.*did you mean 'user_id__null_rate'"),
        ("bad__max", "unknown profile column 'bad__max'; expected one of .*bad__rate"),
    ],
)
def test_an_expectation_on_what_is_not_measured_is_rejected_when_it_is_read(column: str, message: str) -> None:
    with pytest.raises(CheckFailed, match=message):
        suite(between(column), columns={"user_id": "VARCHAR"}, rules={"bad": "user_id is null"})


def test_only_cheap_measures_can_be_checked_on_every_day() -> None:
    with pytest.raises(CheckFailed, match="'a__max' with days: all; only rows, "):
        suite(between("a__max", meta={"days": "all"}))


def test_an_empty_suite_is_rejected() -> None:
    with pytest.raises(CheckFailed, match=r"s\.json: expectations: "):
        suite()


def test_an_unknown_key_is_rejected() -> None:
    with pytest.raises(CheckFailed, match=r"expectations\.0\.sevirity: Extra inputs"):
        suite(between("rows") | {"sevirity": "critical"})


def test_broken_json_names_file_and_line() -> None:
    with pytest.raises(CheckFailed, match=r"s\.json:2: not valid JSON"):
        parse_suite('{\n"name": }', "s.json")


def test_a_missing_suite_names_the_nearest() -> None:
    with pytest.raises(CheckFailed, match=r"did you mean 'simulated\.events'"):
        load_suite("simulated.event")


def test_a_source_without_a_suite_gets_the_default() -> None:
    assert suite_for("simulated", "events", "default.landed").name == "simulated.events"
    assert suite_for("my_shop", "sales", "default.landed").name == "default.landed"
    assert tables_with_suites("online_retail", suite_names()) == ["lines", "rejected_rows"]
