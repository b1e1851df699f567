"""SQL of a project of one's own: added to matinee's, built as one project of dbt, noticed when it is edited."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tasks.errors import BuildError
from tasks.runs.made_by import MadeBy
from tasks.runs.sql_lineage import PipelineSql, find_sql, sql_of
from tasks.spec.project import TRANSFORMS, Layers
from tests.copied_transforms import edit
from tests.tasks.handmade import spec_of
from tests.tasks.without_dbt import SHOP

STAGING = "models/staging/shop"
DATASET = "name: shop\ntables:\n  sales:\n    columns: [{name: buyer, type: VARCHAR}]\n"
OWN = {
    "datasets/shop.yaml": DATASET,
    f"{STAGING}/staging.yml": "models: [{name: stg_interactions}]",
    f"{STAGING}/stg_interactions.sql": "select {{ my_macro() }} from {{ ref('my_prices') }} {{ ruled('sales') }}",
    "macros/mine.sql": "{% macro my_macro() %}1{% endmacro %}{% macro nobodys() %}2{% endmacro %}",
    "models/own/my_prices.sql": "select 1 as price",
    "models/marts/my_mart.sql": "select 1",
    "tests/prices_are_positive.sql": "select * from {{ ref('my_prices') }} where price < 0",
}


def project(folder: Path, **more: str) -> Layers:
    for path, text in {**OWN, **more}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return Layers((TRANSFORMS, folder))


def of_shop(sql: Layers) -> PipelineSql:
    return find_sql(sql, {"staging": "shop"})


def test_what_a_project_has_is_added_to_what_its_pipelines_get(tmp_path: Path) -> None:
    alone = find_sql(Layers((TRANSFORMS,)), {"staging": "ml_100k"}).files
    files = of_shop(project(tmp_path)).files
    assert OWN.keys() - files.keys() == {"datasets/shop.yaml", "models/marts/my_mart.sql"}, "nobody names that mart"
    assert "nobodys" not in files["macros/mine.sql"]
    shared = {path for path in alone if path.startswith(("models/canonical", "models/marts", "models/intermediate"))}
    assert {path: alone[path] for path in shared} == {path: files[path] for path in shared}
    assert not [path for path in files if path.startswith("models/staging/ml_100k")]
    assert "buyer" in files[f"{STAGING}/made_from_dataset.yml"]
    folders = yaml.safe_load(files["dbt_project.yml"])["model-paths"]
    assert folders[-2:] == ["models/staging_defaults", "models/own"]


def test_a_pipeline_of_matinee_is_not_touched_by_files_that_it_does_not_name(tmp_path: Path) -> None:
    for staging in ("simulated", "online_retail"):
        alone, both = (find_sql(sql, {"staging": staging}) for sql in (Layers((TRANSFORMS,)), project(tmp_path)))
        assert alone.files == both.files


def test_a_data_set_called_like_one_of_matinee_goes_before_it_as_a_whole(tmp_path: Path) -> None:
    folder = "models/staging/online_retail"
    own = project(tmp_path, **{f"{folder}/stg_users.sql": "select 1", "datasets/online_retail.yaml": DATASET})
    files = find_sql(own, {"staging": "online_retail"}).files
    assert {path for path in files if path.startswith(folder)} == {
        f"{folder}/stg_users.sql", f"{folder}/made_from_dataset.yml",
    }  # fmt: skip
    assert "buyer" in files[f"{folder}/made_from_dataset.yml"]


@pytest.mark.parametrize("path", ["macros/measures.sql", "models/marts/labels.sql", "models/canonical/users.sql"])
def test_a_file_where_matinee_has_one_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(BuildError, match=rf"^{tmp_path}/{path}: matinee has a file at this place itself, {TRANSFORMS}"):
        of_shop(project(tmp_path, **{path: "select 1"}))


@pytest.mark.parametrize("name", ["dbt_project.yml", "profiles.yml"])
def test_settings_of_dbt_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BuildError, match=rf"^{tmp_path}/{name}: matinee has its own, and adds the SQL of a project"):
        of_shop(project(tmp_path, **{name: "name: mine"}))


def test_an_edit_of_a_file_of_the_project_changes_what_its_tables_are_made_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_PROJECT", str(tmp_path))
    sql, spec = tmp_path / "transforms", spec_of(**SHOP | {"source": {"type": "files", "dataset": "shop"}})
    project(sql)
    edits = {
        "macros/mine.sql": ("}1{", "}3{"), "models/own/my_prices.sql": ("1", "3"),
        f"{STAGING}/stg_interactions.sql": ("select", "select 5,"), "datasets/shop.yaml": ("VARCHAR", "BIGINT"),
    }  # fmt: skip
    for path, (old, new) in edits.items():
        before, digest = MadeBy.now(spec).files, sql_of(spec).digest
        edit(sql / path, old, new)
        after = MadeBy.now(spec).files
        assert {name for name in before if before[name] != after[name]} == {path}
        assert sql_of(spec).digest != digest
    before, digest = MadeBy.now(spec).files, sql_of(spec).digest
    edit(sql / "macros/mine.sql", "}2{", "}4{")
    assert (MadeBy.now(spec).files, sql_of(spec).digest) == (before, digest), "nobody names that macro"
