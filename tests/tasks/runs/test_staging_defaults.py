"""What dbt is told of a source of files: the dataset file, and nothing a second time."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tasks.errors import BuildError
from tasks.runs.sql_files import models_in
from tasks.runs.sql_lineage import sql_of
from tasks.runs.staging_defaults import DEFAULTS, MADE, defaults_for, source_of_files
from tasks.spec.project import TRANSFORMS, Layers
from tests.copied_transforms import copied_transforms, edit
from tests.tasks.handmade import spec_of
from tests.tasks.without_dbt import SHOP

DATASET = """\
name: shop
tables:
  sales:
    file: "{ds}.csv"
    columns:
      - {header: Customer, name: customer, type: VARCHAR}
      - {name: bought_at, type: TIMESTAMP}
"""


def written(root: Path, dataset: str = DATASET, yml: str = "models: []") -> Path:
    for path, text in {"datasets/shop.yaml": dataset, "models/staging/shop/staging.yml": yml}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def test_the_declared_columns_are_dbts_with_the_line_and_the_records_that_could_not_be_read(tmp_path: Path) -> None:
    files = source_of_files(Layers((written(tmp_path),)), "shop")
    (source,) = yaml.safe_load(files[f"models/staging/shop/{MADE}.yml"])["sources"]
    assert "{{ return({'sales': ['customer', 'bought_at']}[table]) }}" in files[f"macros/{MADE}.sql"]
    columns = {table["name"]: [(c["name"], c["data_type"]) for c in table["columns"]] for table in source["tables"]}
    assert source["name"] == "landing"
    assert columns == {
        "sales": [("customer", "varchar"), ("bought_at", "timestamp"), ("line_number", "bigint")],
        "_rejects": [
            ("table_name", "varchar"), ("line", "bigint"), ("column_name", "varchar"), ("error", "varchar"),
            ("raw", "varchar"),
        ],
    }  # fmt: skip


def test_a_source_without_a_dataset_file_declares_its_tables_itself(tmp_path: Path) -> None:
    assert source_of_files(Layers((written(tmp_path, yml="sources: [{name: landing}]"),)), "elsewhere") == {}


@pytest.mark.parametrize(
    "yml",
    [
        "version: 2\nmodels: []\nsources:\n  - name: landing\n    tables: []\n",
        "version: 2\nmodels: []\nsources: [{name: other}, {name: 'landing'}]\n",
    ],
)
def test_a_second_declaration_is_to_be_deleted(tmp_path: Path, yml: str) -> None:
    with pytest.raises(BuildError, match=r"staging\.yml:3: sources: found the source `landing`.*delete this entry"):
        source_of_files(Layers((written(tmp_path, yml=yml),)), "shop")


@pytest.mark.parametrize("dataset", ["name: [", "name: shop", "tables: {sales: {columns: [customer]}}", "- 1"])
def test_what_is_no_dataset_file_is_named(tmp_path: Path, dataset: str) -> None:
    with pytest.raises(BuildError, match=r"datasets/shop\.yaml: found no `tables` with `columns`"):
        source_of_files(Layers((written(tmp_path, dataset),)), "shop")


def test_a_column_of_the_dataset_file_is_part_of_the_pipelines_sql_and_a_remark_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = copied_transforms(tmp_path, monkeypatch) / "datasets" / "online_retail.yaml"
    spec = spec_of(**SHOP)
    before = sql_of(spec)
    assert f"models/staging/online_retail/{MADE}.yml" in before.files
    edit(dataset, "tables:", "tables:  # a remark")
    assert sql_of(spec).digest == before.digest
    edit(dataset, "name: quantity, type: INTEGER", "name: quantity, type: BIGINT")
    assert sql_of(spec).digest != before.digest


def test_no_bundled_staging_repeats_its_dataset_file() -> None:
    names = [path.stem for path in sorted((TRANSFORMS / "datasets").glob("*.yaml"))]
    assert [name for name in names if not source_of_files(Layers((TRANSFORMS,)), name)] == []


def left_out(root: Path, **models: str) -> dict[str, str]:
    """The parts that a staging folder of some models gets beside them."""
    for name in ("stg_users", "stg_impressions"):
        (root / DEFAULTS).mkdir(parents=True, exist_ok=True)
        (root / DEFAULTS / f"{name}.sql").write_text("select 1")
        (root / DEFAULTS / f"{name}.yml").write_text(f"models: [{{name: {name}}}]")
    folder = root / "models" / "staging" / "shop"
    for name, text in models.items():
        (folder / f"{name}.sql").write_text(text)
    own = list(models_in(Layers((root,)), "models/staging/shop"))
    return {Path(part.path).name: part.text for part in defaults_for(Layers((root,)), own)}


def test_a_staging_folder_gets_the_models_that_it_leaves_out(tmp_path: Path) -> None:
    sales = "with {% call ruled('sales', ids=['customer']) %}null{% endcall %}"
    things = '{% call ruled("things") %}null{% endcall %}'
    found = left_out(written(tmp_path), stg_interactions=sales, stg_items=things, stg_users="select 2")
    assert set(found) == {"stg_impressions.sql", "stg_impressions.yml", "stg_rejected_rows.sql"}
    assert "rejected_rows({'sales': 'stg_interactions', 'things': 'stg_items'})" in found["stg_rejected_rows.sql"]


def test_a_folder_with_all_other_models_gets_the_one_that_is_made(tmp_path: Path) -> None:
    models = {"stg_shown": "{% call ruled('sales') %}null{% endcall %}", "stg_users": "select 1"}
    assert set(left_out(written(tmp_path), **models, stg_impressions="select 1")) == {"stg_rejected_rows.sql"}


def test_what_the_folder_says_of_a_model_goes_before_the_default(tmp_path: Path) -> None:
    found = left_out(written(tmp_path, yml="models: [{name: stg_impressions}]"), stg_interactions="select 1")
    assert set(found) == {"stg_users.sql", "stg_users.yml", "stg_impressions.sql", "stg_rejected_rows.sql"}


def test_tables_that_are_not_spelled_need_a_model_of_their_own(tmp_path: Path) -> None:
    root = written(tmp_path)
    models = {"stg_interactions": "{% call ruled(table) %}null{% endcall %}"}
    with pytest.raises(
        BuildError, match=r"stg_interactions\.sql: found `ruled\(table`.*write the model stg_rejected_rows"
    ):
        left_out(root, **models)
    assert "stg_rejected_rows.sql" not in left_out(root, **models, stg_rejected_rows="select 1")


def test_a_folder_without_a_model_gets_none(tmp_path: Path) -> None:
    assert "stg_rejected_rows.sql" not in left_out(written(tmp_path))


KEYED = f"{DATASET}    key: [customer, bought_at]\n"


@pytest.mark.parametrize(
    ("dataset", "model", "refused"),
    [
        (KEYED, "select 1\nfrom {{ landing('sales') }}", True),
        (KEYED, "select case when sent_before is not null then 'sent_again' end from {{ landing('sales') }}", False),
        (KEYED, "with {% call ruled('sales') %}null{% endcall %} select * from ruled", False),
        (KEYED, "select 1 from {{ landing('others') }}", False),
        (KEYED.replace("{ds}.csv", "sales.csv"), "select 1 from {{ landing('sales') }}", False),
        (f"{KEYED.replace('{ds}.csv', 'sales.csv')}    day: {{column: bought_at}}\n", "{{ landing('sales') }}", False),
        (DATASET, "select 1 from {{ landing('sales') }}", False),
    ],
)
def test_a_model_of_a_table_with_a_key_asks_which_rows_were_sent_before(
    tmp_path: Path, dataset: str, model: str, refused: bool
) -> None:
    sql = Layers((written(tmp_path, dataset),))
    (tmp_path / "models" / "staging" / "shop" / "stg_sales.sql").write_text(model, encoding="utf-8")
    if refused:
        said = (
            r"stg_sales\.sql:2: found `landing\('sales'\)`, whose rows may come again .*shop\.yaml declares its `key`"
        )
        with pytest.raises(BuildError, match=said):
            source_of_files(sql, "shop")
    else:
        assert source_of_files(sql, "shop")
