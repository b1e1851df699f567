"""The catalogue is what the marts' own contracts say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import BuildError, MatineeError
from tasks.spec import feature_catalog as catalog
from tasks.spec.feature_catalog import MartFeature, feature_catalog

MART = """
models:
  - name: feat_users
    columns:
      - {name: user_id, data_type: varchar}
      - {name: region, config: {meta: {attribute: true}}}
      - name: user_tenure_days
        description: >
          Days since
          the user joined.
        config: {meta: {default: -1}}
  - name: not_a_mart
    columns: [{name: x, config: {meta: {default: 0}}}]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    marts = tmp_path / "models" / "marts"
    marts.mkdir(parents=True)
    monkeypatch.setattr(catalog, "TRANSFORMS", tmp_path)
    feature_catalog.cache_clear()
    yield marts
    feature_catalog.cache_clear()


def test_features_have_defaults_and_attributes_have_none(project: Path) -> None:
    (project / "feat_users.yml").write_text(MART)
    found = feature_catalog()

    expected = MartFeature("user_tenure_days", "feat_users", "user", -1.0, "Days since the user joined.")
    assert found.features == {"user_tenure_days": expected}
    assert found.user_attributes == ("region",)


@pytest.mark.parametrize("text", ["", "models:\n  - name: my_mart\n    columns: [{", "models: [{name: my_mart}]"])
def test_a_file_about_another_table_is_nobodys_fault(project: Path, text: str) -> None:
    (project / "feat_users.yml").write_text(MART)
    (project / "my_mart.yml").write_text(text)
    assert feature_catalog().features.keys() == {"user_tenure_days"}


def test_a_project_without_features_is_an_error(project: Path) -> None:
    (project / "feat_users.yml").write_text("models: []\n")
    with pytest.raises(BuildError, match="models/marts: no feature is declared there"):
        feature_catalog()


def test_a_feature_has_one_home(project: Path) -> None:
    (project / "feat_users.yml").write_text(MART)
    (project / "feat_items.yml").write_text(MART.replace("name: feat_users", "name: feat_items"))
    with pytest.raises(
        BuildError, match="the feature 'user_tenure_days' is declared by feat_items and feat_users; expected one home"
    ):
        feature_catalog()


def test_the_project_has_its_25_features_with_words_for_each() -> None:
    found = feature_catalog()
    assert len(found.features) >= 25
    assert {feature.entity for feature in found.features.values()} == {"user", "item", "user_item", "user_category"}
    assert all(feature.description for feature in found.features.values())
    assert {"region", "tenure_band"} <= set(found.user_attributes)


def test_how_far_a_feature_looks_back_stands_in_its_name_or_its_yml() -> None:
    known = feature_catalog().features
    names = ("item_ctr_7d", "item_trend", "item_users_trend_28d", "user_item_due", "user_tenure_days")

    assert [known[name].window for name in names] == [7, 28, 90, 365, 0]
    assert {name for name, feature in known.items() if not feature.window} == {"item_age_days", "user_tenure_days"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models:\n  - name: [\n foo: bar: baz\n", r"feat_users\.yml:3: not valid YAML"),
        ("models:\n  - {name: feat_users}\n", r"feat_users\.yml: found another shape.*'columns'"),
        (
            "models:\n  - name: feat_users\n    columns: [{name: a, config: {meta: {default: many}}}]\n",
            r"feat_users\.yml: found another shape.*'many'",
        ),
        ("- a list\n", r"feat_users\.yml:1: expected a mapping"),
    ],
)
def test_a_mart_that_cannot_be_read_is_named_in_one_line(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marts = tmp_path / "models" / "marts"
    marts.mkdir(parents=True)
    (marts / "feat_users.yml").write_text(text)
    monkeypatch.setattr("tasks.spec.feature_catalog.TRANSFORMS", tmp_path)
    with pytest.raises(MatineeError, match=said) as caught:
        feature_catalog.__wrapped__()
    assert "\n" not in str(caught.value)
