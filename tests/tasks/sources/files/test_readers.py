"""One file, whatever its format and compression."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.errors import SourceError
from tasks.sources.files.readers import read_file
from tasks.sources.layout import Layout, format_of
from tasks.store.database import connect

LAYOUT = Layout(("a",), ("a",), ("INTEGER",))
LINES = b"a\n1\nx\n"


def packed(path: Path, content: bytes) -> Path:
    if path.suffix == ".gz":
        # Two members: what a log's rotation appends.
        path.write_bytes(gzip.compress(content[:2]) + gzip.compress(content[2:]))
    elif path.suffix == ".zst":
        path.write_bytes(
            pa.compress(content[:2], "zstd", asbytes=True) + pa.compress(content[2:], "zstd", asbytes=True)
        )
    else:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.csv.zst", "a.tsv", "u.data"])
def test_packed_files_are_read_as_the_others(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / name, LINES)
    with connect(":memory:") as connection:
        rows, rejects = read_file(path, LAYOUT, connection)
    assert rows.to_pylist() == [{"a": 1, "line_number": 2}]
    assert [(one.line, one.raw) for one in rejects] == [(3, "x")]


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.zst"])
def test_half_a_packed_file_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / name, LINES * 1000)
    path.write_bytes(path.read_bytes()[:-9])
    with connect(":memory:") as connection, pytest.raises(SourceError, match=rf"{name}: cannot be unpacked") as error:
        read_file(path, LAYOUT, connection)
    assert str(tmp_path) in str(error.value)


def test_errors_name_the_file_that_was_given(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.csv.gz", b"b\n1\n")
    with connect(":memory:") as connection, pytest.raises(SourceError, match="line 1 is not the header 'a'") as error:
        read_file(path, LAYOUT, connection)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize(
    ("name", "format_"),
    [("{ds}.csv", "csv"), ("u.data", "csv"), ("a/{ds}/*.jsonl.gz", "json_lines"), ("x.parquet", "parquet")],
)
def test_a_name_tells_the_format(name: str, format_: str) -> None:
    assert format_of(name) == format_
