"""Every type of source that a pipeline file may name can be opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from tasks.errors import SourceError
from tasks.sources.datasets import Dataset, load_dataset
from tasks.sources.registry import SOURCES, open_source
from tasks.sources.released_rows import ReleasedSource
from tasks.spec.parts import Source as DeclaredSource
from tasks.store.files import Home
from tests.tasks.handmade import spec_of

DECLARED: dict[str, dict[str, Any]] = {
    "simulated": {"type": "simulated", "users": 20, "items": 20, "seed": 1},
    "files": {"type": "files", "dataset": "online_retail"},
    "sql": {"type": "sql", "dataset": "orders", "url_env": "ORDERS_URL"},
}
ORDERS = """
name: orders
description: Orders.
first_day: 2020-01-01
tables: {orders: {from: orders, static: true, columns: [{name: id, type: VARCHAR}]}}
"""


@pytest.fixture(autouse=True)
def _orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set of a database, beside the bundled ones."""
    (tmp_path / "orders.yaml").write_text(ORDERS)

    def load(name: str) -> Dataset:
        return load_dataset(name, tmp_path) if name == "orders" else load_dataset(name)

    monkeypatch.setattr("tasks.sources.datasets.load_dataset", load)


def test_the_pipeline_file_and_the_registry_know_the_same_types() -> None:
    union = get_args(DeclaredSource)[0]
    types = {get_args(part.model_fields["type"].annotation)[0] for part in get_args(union)}

    assert types == SOURCES.keys() == DECLARED.keys()


@pytest.mark.parametrize("kind", sorted(DECLARED))
def test_every_type_opens_a_source_that_lands_where_the_pipeline_looks(kind: str, tmp_path: Path) -> None:
    spec = spec_of(source=DECLARED[kind])

    source = open_source(spec, Home(tmp_path))

    assert isinstance(source, ReleasedSource)
    assert source.name == spec.source_name
    assert source.tables
    assert source.entities <= set(source.tables)


@pytest.mark.parametrize("kind", ["simulated", "sql"])
def test_a_folder_for_a_source_that_reads_none_is_an_error(kind: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"--data .*reads no folder; leave it out"):
        open_source(spec_of(source=DECLARED[kind]), Home(tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("kind", "dataset", "message"),
    [
        ("files", "orders", r"orders.yaml declares tables of a database; expected files .*type: sql, dataset: orders"),
        ("sql", "online_retail", r"online_retail.yaml declares files; expected tables of a database"),
    ],
)
def test_a_data_set_of_another_type_of_source_is_an_error(
    kind: str, dataset: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=message):
        open_source(spec_of(source=DECLARED[kind] | {"dataset": dataset}), Home(tmp_path))
