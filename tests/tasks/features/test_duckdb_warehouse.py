"""The warehouse in one DuckDB file: what a failure in its first build leaves."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tasks.errors import BuildError
from tasks.features import control_tables, duckdb_warehouse
from tasks.features.duckdb_warehouse import DuckDBWarehouse
from tasks.features.ledger import BuildRequest, TableCode
from tasks.runs.sql_lineage import sql_of
from tasks.store.files import Home
from tasks.store.partitions import Partition
from tests.tasks.handmade import day, spec_of

PART = Partition("events", day("02-19"), Path("/landing/events.parquet"), "a" * 64, 1)
NEED = BuildRequest((PART,), {day("02-20"): "digest"}, {day("02-18"): "digest"})

CODE = TableCode(sql_of(spec_of()), "code")


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    (tmp_path / "warehouse").mkdir()
    return DuckDBWarehouse(Home(tmp_path), "tiny")


def full(*_: object, **__: object) -> None:
    raise duckdb.IOException("No space left on device")


def test_a_full_disk_in_the_first_build_leaves_no_empty_file(
    warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(control_tables, "write_control_tables", full)
        with pytest.raises(duckdb.IOException):
            warehouse.prepare(NEED, CODE)
    assert list(warehouse.path.parent.iterdir()) == []
    assert warehouse.prepare(NEED, CODE).features.keys() == {day("02-20")}


def test_a_full_disk_later_keeps_what_was_built(warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.prepare(NEED, CODE)
    before = warehouse.ledger()
    monkeypatch.setattr(control_tables, "write_control_tables", full)
    with pytest.raises(duckdb.IOException):
        warehouse.prepare(NEED, CODE)
    assert warehouse.exists()
    assert warehouse.ledger() == before


def test_a_damaged_block_is_named_with_its_file(warehouse: DuckDBWarehouse) -> None:
    warehouse.prepare(NEED, CODE)
    with warehouse.connect(read_only=False) as connection:
        connection.execute("create table rows as select range as n, hash(range) as h from range(100000)")
    content = bytearray(warehouse.path.read_bytes())
    for place in range(3 * 4096 + 100, len(content), 262_144):  # a byte of every block
        content[place] ^= 1
    warehouse.path.write_bytes(content)
    named = rf"{warehouse.path}: .*Corrupt database file.*delete it, it is only a cache"
    with pytest.raises(BuildError, match=named), warehouse.open() as tables:
        tables.rows("select bit_xor(hash(n)), bit_xor(h) from rows")
    with pytest.raises(BuildError, match=named):
        warehouse.prepare(NEED, CODE)


def test_other_words_of_the_engine_are_no_damage(warehouse: DuckDBWarehouse) -> None:
    assert warehouse.damage("Catalog Error: Table with name x does not exist!") is None


def test_a_file_that_finds_no_room_is_not_called_damaged(
    warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb_warehouse, "connect", full)

    with pytest.raises(BuildError, match=r"tiny\.duckdb: cannot be opened \(No space left.*\); free some space,"):
        warehouse.connect(read_only=True)
