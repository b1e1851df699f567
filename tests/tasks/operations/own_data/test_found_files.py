"""Files as they are found: which texts are read."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import SpecError
from tasks.operations.own_data.found_files import find_tables

TEXT = "user,item,at\nü1,2,2025-01-01\n"


def test_utf_16_with_a_mark_is_declared(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(TEXT.encode("utf-16"))
    _, tables = find_tables(tmp_path)
    assert [(table.header, table.dialect) for table in tables] == [(("user", "item", "at"), {"encoding": "utf-16"})]


@pytest.mark.parametrize(
    ("name", "encoding", "message"),
    [
        ("a.csv", "utf-16-le", r"a\.csv: looks like UTF-16 without a mark .*; convert it, like `iconv -f utf-16le "),
        ("a.csv", "utf-16-be", r"a\.csv: looks like UTF-16 without a mark .*; convert it, like `iconv -f utf-16be "),
        ("a.jsonl", "utf-16", r"a\.jsonl: begins as UTF-16 does; convert it, like `iconv -f utf-16 -t utf-8`"),
    ],
)
def test_utf_16_that_cannot_be_read_is_refused(tmp_path: Path, name: str, encoding: str, message: str) -> None:
    (tmp_path / name).write_bytes(TEXT.encode(encoding))
    with pytest.raises(SpecError, match=message):
        find_tables(tmp_path)


def test_columns_of_lists_and_objects_are_named(tmp_path: Path) -> None:
    rows = [{"user": "a", "item": 1, "tags": ["x"], "from": {"page": 2}}, {"user": "b", "item": None, "tags": None}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "b.parquet")
    _, tables = find_tables(tmp_path)
    assert [(table.file, table.header, table.nested) for table in tables] == [
        ("a.jsonl", ("user", "item"), ("tags", "from")),
        ("b.parquet", ("user", "item"), ("tags", "from")),
    ]


def test_what_is_no_text_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(TEXT.encode())
    (tmp_path / "b.gif").write_bytes(b"GIF89a" + bytes(400))
    (tmp_path / "c.bin").write_bytes(bytes(400))
    _, tables = find_tables(tmp_path)
    assert [table.file for table in tables] == ["a.csv"]
