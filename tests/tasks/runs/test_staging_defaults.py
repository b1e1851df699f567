"""What dbt is told of a source of files: the dataset file, and nothing a second time."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tasks.errors import BuildError
from tasks.runs.sql_lineage import sql_of
from tasks.runs.staging_defaults import MADE, source_of_files
from tasks.spec.project import TRANSFORMS
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
    (text,) = source_of_files(written(tmp_path), "shop").values()
    (source,) = yaml.safe_load(text)["sources"]
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
    assert source_of_files(written(tmp_path, yml="sources: [{name: landing}]"), "elsewhere") == {}


@pytest.mark.parametrize(
    "yml",
    [
        "version: 2\nmodels: []\nsources:\n  - name: landing\n    tables: []\n",
        "version: 2\nmodels: []\nsources: [{name: other}, {name: 'landing'}]\n",
    ],
)
def test_a_second_declaration_is_to_be_deleted(tmp_path: Path, yml: str) -> None:
    with pytest.raises(BuildError, match=r"staging\.yml:3: sources: found the source `landing`.*delete this entry"):
        source_of_files(written(tmp_path, yml=yml), "shop")


@pytest.mark.parametrize("dataset", ["name: [", "name: shop", "tables: {sales: {columns: [customer]}}", "- 1"])
def test_what_is_no_dataset_file_is_named(tmp_path: Path, dataset: str) -> None:
    with pytest.raises(BuildError, match=r"datasets/shop\.yaml: found no `tables` with `columns`"):
        source_of_files(written(tmp_path, dataset), "shop")


def test_a_column_of_the_dataset_file_is_part_of_the_pipelines_sql_and_a_remark_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = copied_transforms(tmp_path, monkeypatch) / "datasets" / "online_retail.yaml"
    spec = spec_of(**SHOP)
    before = sql_of(spec)
    assert f"models/staging/online_retail/{MADE}" in before.files
    edit(dataset, "tables:", "tables:  # a remark")
    assert sql_of(spec).digest == before.digest
    edit(dataset, "name: quantity, type: INTEGER", "name: quantity, type: BIGINT")
    assert sql_of(spec).digest != before.digest


def test_no_bundled_staging_repeats_its_dataset_file() -> None:
    names = [path.stem for path in sorted((TRANSFORMS / "datasets").glob("*.yaml"))]
    assert [name for name in names if not source_of_files(TRANSFORMS, name)] == []
