"""Records on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import MatineeError
from tasks.store.records import Record


class Point(Record):
    x: int
    name: str | None = None


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    Point(x=3).write(tmp_path / "point.json")
    assert Point.read(tmp_path / "point.json") == Point(x=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"x": "three"}', "x: Input should be a valid integer.*found 'three'"),
        ('{"x": 1, "y": 2}', "y: Extra inputs are not permitted; found '2'"),
        ("[]", "the whole file: .*found"),
        ("{", "not valid JSON"),
    ],
)
def test_another_shape_is_refused_by_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "point.json"
    path.write_text(text)
    with pytest.raises(MatineeError, match=rf"point\.json: {message}"):
        Point.read(path)
    assert Point.read_if_valid(path) is None


def test_a_missing_file_is_none_for_a_page(tmp_path: Path) -> None:
    assert Point.read_if_valid(tmp_path / "point.json") is None
