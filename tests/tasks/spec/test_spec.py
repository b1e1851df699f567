"""The shape of pipeline files: every mistake has its place and its words; every spec survives the way to JSON."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.errors import SpecError
from tasks.spec.load import load_shape
from tasks.spec.project import TOOL
from tasks.spec.spec import Spec, json_schema
from tests.tasks.handmade import SNAPSHOTS, document, spec_of

FILES = sorted([*TOOL.glob("pipelines/*.yaml"), *TOOL.glob("tests/pipelines/good/*.yaml")])


def test_there_are_files() -> None:
    assert len(FILES) >= 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_spec_survives_the_way_to_json_and_back(path: Path) -> None:
    spec = load_shape(path)
    text = json.dumps(spec.canonical())

    assert Spec.model_validate(json.loads(text)) == spec
    assert json.dumps(Spec.model_validate(json.loads(text)).canonical()) == text
    assert Spec.model_validate_json(text) == spec


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_order_of_keys_in_the_file_means_nothing(path: Path, tmp_path: Path) -> None:
    spec = load_shape(path)
    turned = dict(reversed(spec.canonical().items()))
    (tmp_path / path.name).write_text(json.dumps(turned))  # JSON is YAML
    assert load_shape(tmp_path / path.name) == spec


def test_units_are_written_out_again() -> None:
    canonical = spec_of().canonical()
    assert canonical["label"]["horizon"] == "1d"
    assert canonical["start"] == "2026-01-01"
    assert canonical["publish"] == {"alias": "champion", "refit": True}


def test_what_re_ranks_is_in_the_canonical_form_only_where_there_is_something() -> None:
    rule = {"type": "diversify", "by": "category", "strength": 0.2}
    assert "rerank" not in spec_of().canonical()
    assert spec_of(rerank=[rule]).canonical()["rerank"] == [rule]


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        spec_of().name = "other"


def test_numbers_to_try_stay_whole_or_not_as_written() -> None:
    tune = {"trials": 2, "metric": "mrr", "space": {"num_leaves": [7, 15], "learning_rate": [0.1, 1]}}
    spec = spec_of(tune=tune)
    assert spec.canonical()["tune"]["space"] == {"num_leaves": [7, 15], "learning_rate": [0.1, 1]}
    assert spec.tune is not None
    assert [type(value) for value in spec.tune.space["num_leaves"]] == [int, int]


def test_names_of_sources_differ_when_sources_do() -> None:
    assert (spec_of().source_name, spec_of().staging) == ("simulated-10x20-1", "simulated")
    shop = spec_of(source={"type": "files", "dataset": "shop"}, examples=SNAPSHOTS)
    assert (shop.source_name, shop.staging) == ("shop", "shop")


def test_labels_are_complete_after_horizon_and_lateness() -> None:
    assert spec_of(label={"horizon": "7d"}).lag == timedelta(days=9)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ("play_count > 1", False),
        ("play_before > 0", True),
        ("rating_follows_play", True),
        ("rating_last >= 4 and not list_add_before > 0", True),
    ],
)
def test_labels_look_back_when_a_rule_does(pair: str, expected: bool) -> None:
    assert spec_of(label={"grades": [{"grade": 1, "pair": pair}]}).label.looks_back is expected
    assert spec_of().label.looks_back is False


def test_a_rule_knows_its_condition_and_where_it_stands() -> None:
    rules = [{"grade": 0, "pair": "play_count = 0"}, {"grade": 1, "when": "kind = 'play'"}]
    found = spec_of(label={"grades": rules}).label.grades
    assert [(rule.key, rule.condition) for rule in found] == [("pair", "play_count = 0"), ("when", "kind = 'play'")]


def test_a_file_has_the_name_of_its_pipeline(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(json.dumps(document()))
    with pytest.raises(SpecError) as caught:
        load_shape(path)
    assert str(caught.value) == f"{path}:1: name: found 'tiny', expected 'other', the name of the file"


@pytest.mark.parametrize(
    ("schedule", "accepted"),
    [
        (None, True), ("@daily", True), ("0 3 * * *", True), ("5 4 1,15 JAN-MAR MON", True),
        ("@hourly", False), ("daily", False), ("0 3 * *", False), ("0 3 * * * *", False), ("", False),
    ],
)  # fmt: skip
def test_schedules(schedule: str | None, accepted: bool) -> None:
    if accepted:
        assert spec_of(schedule=schedule, end="2026-12-31").schedule == schedule
    else:
        with pytest.raises(ValidationError, match="expected @daily, or a cron expression of five fields"):
            spec_of(schedule=schedule)


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("0 */6 * * *", "several times a day"), ("*/5 3 * * *", "several times"), ("0,30 3 * * *", "several times"),
        ("* 3 * * MON", "several times a day"), ("0 * 1 * *", "several times a day"), ("0 3-4 * * *", "several times"),
        ("0 3 31 2 *", "never comes"),
    ],
)  # fmt: skip
def test_schedules_that_are_no_days_are_refused_with_the_reason(schedule: str, said: str) -> None:
    with pytest.raises(ValidationError, match=f"found '{re.escape(schedule)}', which .*{said}"):
        spec_of(schedule=schedule)


@given(
    minute=st.integers(0, 59), hour=st.integers(0, 23), rest=st.sampled_from(["* * *", "1,15 * *", "* 2 MON", "29 2 *"])
)
def test_an_accepted_schedule_comes_at_most_once_a_day(minute: int, hour: int, rest: str) -> None:
    schedule = spec_of(schedule=f"{minute} {hour} {rest}").schedule
    times = croniter(schedule, datetime(2026, 1, 1, tzinfo=UTC))
    days = [times.get_next(datetime).date() for _ in range(20)]
    assert days == sorted(set(days))


def test_days_of_another_zone_are_refused_with_what_to_do() -> None:
    assert spec_of(timezone="UTC").timezone == "UTC"
    with pytest.raises(ValidationError, match=r"found 'Europe/Berlin', expected UTC: .*staging's times"):
        spec_of(timezone="Europe/Berlin")


@pytest.mark.parametrize(
    "change",
    [
        {"start": 20260101}, {"start": date(2026, 1, 1).toordinal()},
        {"sample": {"groups": 10.0}}, {"sample": {"groups": 0}}, {"sample": {"groups": True}},
        {"ranker": {"type": "lightgbm", "learning_rate": float("nan")}},
        {"ranker": {"type": "lightgbm", "lambda_l2": float("inf")}},
        {"ranker": {"type": "lightgbm", "max_bin": "255"}}, {"ranker": {"type": "lightgbm", "bagging_fraction": True}},
        {"publish": {"refit": "yes"}}, {"publish": {"alias": "../champion"}},
        {"features": []}, {"features": "item_actions_28d"}, {"retrieval": []},
        {"sample": {"strata": ["region; drop table labels"], "groups": 5}},
    ],
    ids=repr,
)  # fmt: skip
def test_values_that_are_nearly_right_are_wrong(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        spec_of(**change)


def test_the_json_schema_knows_units_and_kinds() -> None:
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Label"]["properties"]["horizon"]["pattern"] == r"^(?!0+d)\d{1,4}d$"
    assert set(schema["$defs"]) >= {"Simulated", "FilesSource", "ImpressionExamples", "SnapshotExamples", "LightGBM"}


def test_every_key_of_the_schema_is_described() -> None:
    silent = [
        f"{model}.{key}"
        for model, body in json_schema()["$defs"].items()
        for key, about in body.get("properties", {}).items()
        if "description" not in about and "const" not in about
    ]
    assert silent == []
