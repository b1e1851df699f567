"""JSON lines: values as the texts that stand there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import SourceError
from tasks.sources.files.json_lines import read_json_lines
from tasks.sources.layout import Dialect, Layout
from tasks.store.database import connect

LAYOUT = Layout(
    ("user.id", "n", "tags", "at"), ("user", "n", "tags", "at"), ("VARCHAR", "BIGINT", "VARCHAR", "TIMESTAMP")
)


def read(
    path: Path, *lines: str | bytes, layout: Layout = LAYOUT
) -> tuple[list[dict[str, Any]], list[tuple[int, str | None, str]]]:
    path.write_bytes(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines))
    with connect(":memory:") as connection:
        rows, rejects = read_json_lines(path, layout, connection)
    return rows.to_pylist(), [(one.line, one.column, one.error) for one in rejects]


def test_values_keep_their_digits_and_absent_keys_are_none(tmp_path: Path) -> None:
    rows, rejects = read(
        tmp_path / "a.jsonl",
        '{"user": {"id": 12345678901234567890123}, "n": 9007199254740993, "tags": ["a", {"b": 1.10}], "at": null}',
        '{"user.id": "x", "at": "2026-01-01T00:00:00Z"}',
    )
    assert rejects == []
    assert [row["user"] for row in rows] == ["12345678901234567890123", "x"]
    assert [row["n"] for row in rows] == [9007199254740993, None]
    assert rows[0]["tags"] == '["a",{"b":1.10}]'
    assert [str(row["at"]) for row in rows] == ["None", "2026-01-01 00:00:00"]
    assert [row["line_number"] for row in rows] == [1, 2]


@pytest.mark.parametrize(
    ("line", "column", "error"),
    [
        ("", None, "The line is empty."),
        ('{"n": x}', None, "The line is not JSON: Expecting value at column 7."),
        (r'{"user.id": "\ud800"}', "user", "The value holds half a surrogate pair, which is no character."),
        ("[1]", None, "The line is no JSON object."),
        ('{"n": 1, "n": 2}', None, "The line's JSON is refused: a key stands twice in an object."),
        ('{"n": 1.5}', "n", "Found '1.5', expected a whole number from -9223372036854775808 to 9223372036854775807."),
        ('{"n": NaN}', "n", "Found 'NaN', expected a whole number from -9223372036854775808 to 9223372036854775807."),
        (b'{"n": "\xff"}', None, "The line is not UTF-8: byte 0xff at column 8."),
        ("[" * 100_000, None, "The line's JSON is refused: maximum recursion depth exceeded"),
    ],
)
def test_what_is_no_row_is_rejected_and_the_others_are_read(
    tmp_path: Path, line: str | bytes, column: str | None, error: str
) -> None:
    rows, rejects = read(tmp_path / "a.jsonl", '{"n": 1}', line, '{"n": 3}')
    assert [row["n"] for row in rows] == [1, 3]
    ((number, where, why),) = rejects
    assert (number, where) == (2, column)
    assert why.startswith(error)


def test_keys_that_are_not_declared_are_refused_unless_ignored(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with pytest.raises(SourceError, match=r"a.jsonl: line 1: 1 of 2 keys are not declared, the first .* place 2; exp"):
        read(path, '{"n": 1, "secret": "hunter2"}')
    ignoring = Layout(LAYOUT.header, LAYOUT.names, LAYOUT.types, Dialect(others="ignore"))
    assert read(path, '{"n": 1, "secret": "hunter2"}', layout=ignoring)[0][0]["n"] == 1


def test_an_empty_file_has_columns_and_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path / "a.jsonl") == ([], [])


@given(st.lists(st.fixed_dictionaries({
    "user.id": st.none() | st.text(max_size=6).filter(bool), "n": st.none() | st.integers(-(2**63), 2**63 - 1),
}), max_size=5))  # fmt: skip
def test_what_json_writes_is_read_back_equal(objects: list[dict[str, Any]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        rows, rejects = read(Path(folder) / "a.jsonl", *map(json.dumps, objects))
    # A lone half of a surrogate pair is JSON, and is no text.
    assert len(rows) + len(rejects) == len(objects)
    assert [(row["user"], row["n"]) for row in rows] == [(one["user.id"], one["n"]) for one in objects]
