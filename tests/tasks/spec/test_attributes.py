"""Attributes are what the yml of a source's staging declares, beside those that every source has."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import SpecError
from tasks.spec import attributes
from tasks.spec.attributes import Attribute, attributes_of, declared_attributes
from tasks.spec.project import Layers
from tests.tasks.handmade import SNAPSHOTS, spec_of

YML = """
models:
  - name: stg_users
    columns:
      - {name: user_id, data_type: varchar}
      - {name: age, data_type: integer, description: "Years.", config: {meta: {attribute: true}}}
      - {name: adult, data_type: boolean, config: {meta: {attribute: true}}}
      - {name: likes, data_type: "varchar[]", config: {meta: {attribute: true, matches: genres}}}
  - name: stg_items
    columns:
      - {name: genres, data_type: "varchar[]", config: {meta: {attribute: true}}}
      - {name: color, data_type: varchar}
  - name: stg_impressions
    columns:
      - {name: device, data_type: varchar, config: {meta: {attribute: true}}}
  - name: stg_interactions
    columns:
      - {name: mood, data_type: varchar, config: {meta: {attribute: true}}}
"""
LIKED = '{name: likes, data_type: "varchar[]", config: {meta: {attribute: true, matches: genres}}}'


@pytest.fixture
def staging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The yml of a source called `shop`."""
    folder = tmp_path / "models" / "staging" / "shop"
    folder.mkdir(parents=True)
    monkeypatch.setattr(attributes, "transforms", lambda: Layers((tmp_path,)))
    return folder / "staging.yml"


def test_declared_columns_are_attributes_of_the_type_of_their_column(staging: Path) -> None:
    staging.write_text(YML)
    assert declared_attributes("shop") == (
        Attribute("age", "user", "number", "integer", "feat_user_attributes", "Years."),
        Attribute("adult", "user", "boolean", "boolean", "feat_user_attributes"),
        Attribute("likes", "user", "list", "varchar[]", "feat_user_attributes", matches="genres"),
        Attribute("genres", "item", "list", "varchar[]", "feat_item_attributes"),
        Attribute("device", "request", "text", "varchar", "request_attributes"),
    )
    features = [name for attribute in attributes_of("shop") for name in attribute.features]
    assert features == [
        "user_region", "user_plan", "user_tenure_band", "item_category",
        "user_age", "user_adult", "user_likes_shared", "user_likes_overlap", "item_genres_overlap", "request_device",
    ]  # fmt: skip


def test_a_source_without_a_declaration_has_those_of_every_source(staging: Path) -> None:
    staging.write_text("models: [{name: stg_users, columns: [{name: user_id}]}]")
    assert declared_attributes("shop") == ()
    assert [attribute.name for attribute in attributes_of("shop")] == ["region", "plan", "tenure_band", "category"]


def test_only_impressions_have_a_request() -> None:
    shown, cut = spec_of(), spec_of(examples=SNAPSHOTS)
    assert [part.name for part in shown.attributes if part.entity == "request"] == ["hour", "daypart"]
    assert [part.name for part in cut.attributes if part.entity == "request"] == []


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            "data_type: integer",
            "data_type: intger",
            r"staging.yml: stg_users.age: found the attribute's data_type 'intger'; expected one of .*did you mean "
            "'integer'",
        ),
        ("name: age", "name: region", "stg_users.region: found the attribute's name 'region'; expected small letters"),
        ("name: age", "name: Age", "stg_users.Age: found the attribute's name 'Age'"),
        ("name: age", "name: tenure_days", "would be the feature 'user_tenure_days', which the marts have already"),
        ("name: age", "name: device", "the attribute 'device' is declared twice; expected another name for one"),
        (
            "data_type: boolean",
            'data_type: "varchar[]"',
            "adult: found a list of a user that matches nothing",
        ),
        (LIKED, LIKED.replace("genres", "genre"), "likes matches 'genre'; expected a list of items .*mean 'genres'"),
        (LIKED, LIKED.replace("varchar[]", "varchar"), "stg_users.likes: found matches: genres; expected"),
    ],
)
def test_what_cannot_be_declared_is_named(staging: Path, old: str, new: str, text: str) -> None:
    staging.write_text(YML.replace(old, new, 1))
    with pytest.raises(SpecError, match=text):
        declared_attributes("shop")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models:\n  - name: stg_users\n    columns: [{", r"staging\.yml:3: not valid YAML: expected the node"),
        ("- stg_users", r"staging\.yml: found another shape than that of dbt's `models:` \(AttributeError: "),
        ("models: [3]", r"staging\.yml: found another shape .*; expected a list of models with `name` and `columns`"),
    ],
)
def test_a_yml_that_is_half_written_is_named_in_one_line(staging: Path, text: str, message: str) -> None:
    staging.write_text(text)
    with pytest.raises(SpecError, match=message) as error:
        declared_attributes("shop")
    assert "\n" not in str(error.value)


def test_an_empty_yml_declares_nothing(staging: Path) -> None:
    staging.write_text("# nothing yet\n")
    assert declared_attributes("shop") == ()
