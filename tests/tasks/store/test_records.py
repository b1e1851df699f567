"""Records on disk."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasks.errors import DamagedFile, MatineeError
from tasks.store.files import write_json
from tasks.store.records import (
    Count,
    Instant,
    PathInside,
    PlainName,
    Record,
    SealedRecord,
    Sha256,
    read_list,
    read_map,
)  # fmt: skip


class Point(Record):
    x: int
    name: str | None = None


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    Point(x=3).write(tmp_path / "point.json")
    assert Point.read(tmp_path / "point.json") == Point(x=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"x": "three"}', "x: found 'three': input should be a valid integer"),
        ('{"x": [3]}', "x: found a list: input should be a valid integer"),
        ('{"name": "a"}', r"x: the key is missing\."),
        ('{"x": 1, "y": 2}', r"the whole file: found a key that does not belong there\."),
        ("[]", "the whole file: found a list: "),
        ("{", "not valid JSON"),
    ],
)
def test_another_shape_is_refused_by_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "point.json"
    path.write_text(text)
    with pytest.raises(
        MatineeError, match=rf"point\.json: {message}.*: run the step that writes it again$|not valid JSON"
    ):
        Point.read(path)
    assert Point.read_if_valid(path) is None


def test_an_error_says_what_to_do_about_this_kind_of_file(tmp_path: Path) -> None:
    class Pointer(Point):
        REMEDY = "publish again"

    path = tmp_path / "pointer.json"
    for text in ("", "{}", "[]", '{"x": null}'):
        path.write_text(text)
        with pytest.raises(MatineeError, match=r"publish again$"):
            Pointer.read(path)
        with pytest.raises(MatineeError, match=r"publish again$"):
            read_map(path, Pointer) if text == "[]" else read_list(path, Pointer)


def test_no_word_of_another_file_is_quoted(tmp_path: Path) -> None:
    """A link in place of a record must not let out what it leads to."""
    path = tmp_path / "point.json"
    for text in (
        '{"x": 1, "aws_key": "AKIA"}',
        '{"aws_key": "AKIA"}',
        '["AKIA"]',
        '{"x": {"aws_key": "AKIA"}}',
        "AKIA",
    ):
        path.write_text(text)
        with pytest.raises(MatineeError) as caught:
            Point.read(path)
        assert not {"AKIA", "aws_key"} & {*re.findall(r"\w+", str(caught.value))}


class Files(Record):
    name: PlainName = "a.parquet"
    path: PathInside = "a/b.json"
    rows: Count = 0
    at: Instant = "2026-02-28T06:00:00+00:00"
    sha256: Sha256 = "0" * 64


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(
            ("name", name)
            for name in ("../../x.parquet", "/etc/passwd", "a/b", "..", "", ".hidden", "a\n", "a\x1b[2J", "ä")
        ),
        *(("path", path) for path in ("../x", "/etc/passwd", "a//b", "a/../../b", "", "a/.b", "a/")),
        *(("rows", rows) for rows in (-5, 1.5, "7", True)),
        *(("at", at) for at in ("yesterday", "2026-02-28", "2026-02-28T06:00:00", "", "0")),
        *(("sha256", sha) for sha in ("abc", "A" * 64, "0" * 65, "0" * 64 + "\n")),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(key: str, value: object, tmp_path: Path) -> None:
    path = tmp_path / "files.json"
    write_json(path, {key: value})
    with pytest.raises(MatineeError, match=rf"files\.json: {key}: found "):
        Files.read(path)


def test_values_come_back_as_they_were_written(tmp_path: Path) -> None:
    Files(at="2026-02-28T06:00:00Z").write(tmp_path / "files.json")
    assert Files.read(tmp_path / "files.json").to_json()["at"] == "2026-02-28T06:00:00Z"


def test_a_missing_file_is_none_for_a_page(tmp_path: Path) -> None:
    assert Point.read_if_valid(tmp_path / "point.json") is None


class Place(SealedRecord):
    name: str
    rows: int


def test_a_sealed_record_comes_back_or_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "place.json"
    Place(name="here", rows=3).write(path)
    assert Place.read(path) == Place(name="here", rows=3)
    path.write_text(path.read_text().replace(": 3", ": 2"))
    with pytest.raises(DamagedFile, match=r"place\.json: found the checksum \w+…, expected \w+…: changed since"):
        Place.read(path)
    assert Place.read_if_valid(path) is None
    assert f"left out of the page: {path}: found the checksum" in caplog.text


def test_a_record_from_before_checksums_is_read(tmp_path: Path) -> None:
    (tmp_path / "place.json").write_text('{"name": "here", "rows": 3}')
    assert Place.read(tmp_path / "place.json") == Place(name="here", rows=3)
