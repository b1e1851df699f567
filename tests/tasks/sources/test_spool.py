"""Rows on their way: read as often as asked, and nothing of them is left on the disk."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.sources import spool
from tasks.sources.spool import Spool

COLUMNS = pa.schema([("n", pa.int64()), ("text", pa.string())])


@pytest.mark.parametrize("in_memory", [0, 1 << 20], ids=["on the disk", "in memory"])
def test_rows_come_back_as_they_were_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", in_memory or 1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    parts = [pa.table({"n": [n], "text": [None if n % 3 else "x" * n]}, COLUMNS) for n in range(20)]
    rows = Spool.of(COLUMNS, [*parts, COLUMNS.empty_table()])
    assert [rows.to_reader().read_all() for _ in range(2)] == [pa.concat_tables(parts)] * 2
    assert list(tmp_path.iterdir()) == [], "the file has no name"


def test_a_reader_outlives_what_it_was_made_from() -> None:
    reader = Spool.of(COLUMNS, [pa.table({"n": [1], "text": ["a"]}, COLUMNS)]).to_reader()
    assert reader.read_all().to_pylist() == [{"n": 1, "text": "a"}]


def test_no_rows_have_columns() -> None:
    assert Spool(COLUMNS).to_reader().read_all() == COLUMNS.empty_table()
