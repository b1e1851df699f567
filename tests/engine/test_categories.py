"""A dictionary of texts: stable codes, missing for everything that it lacks, and nothing believed unchecked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from engine.categories import categories_of, load_categories
from engine.errors import ArtifactError


def written(folder: Path, plain: object) -> Path:
    path = folder / "categories.json"
    path.write_text(json.dumps(plain), encoding="utf-8")
    return path


def test_a_code_is_the_place_of_a_text(tmp_path: Path) -> None:
    (color,) = load_categories(written(tmp_path, {"color": ["", "blue", "blue\0", "red"]})).values()
    assert [color.code(text) for text in ("", "blue", "blue\0", "red")] == [0.0, 1.0, 2.0, 3.0]
    assert np.isnan([color.code(None), color.code("green"), color.code("Red"), color.code("red ")]).all()


def test_a_column_has_the_same_codes_and_ends_with_a_missing_one(tmp_path: Path) -> None:
    (color,) = load_categories(written(tmp_path, {"color": ["blue", "red"]})).values()
    column = pa.chunked_array([["red", None, "green"], ["blue", "red"]])
    np.testing.assert_array_equal(
        color.column(column), np.array([1, np.nan, np.nan, 0, 1, np.nan], dtype=np.float32), strict=True
    )
    empty = color.column(pa.chunked_array([pa.array([], pa.string())]))
    np.testing.assert_array_equal(empty, [np.nan])


@pytest.mark.parametrize(
    ("plain", "text"),
    [
        ([], "found list; expected lists of texts by feature"),
        ({"color": "red"}, "color: expected a list of texts"),
        ({"color": ["red", 3]}, "color: expected a list of texts"),
        ({"color": ["red", "blue"]}, "color: texts must be distinct and in ascending order"),
        ({"color": ["red", "red"]}, "color: texts must be distinct and in ascending order"),
    ],
)
def test_a_damaged_dictionary_is_refused(tmp_path: Path, plain: object, text: str) -> None:
    with pytest.raises(ArtifactError, match=text):
        load_categories(written(tmp_path, plain))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not readable as JSON"):
        load_categories(tmp_path / "absent.json")
    path = written(tmp_path, {"color": ["red"]})
    with pytest.raises(ArtifactError, match="no texts of the feature 'colour'; did you mean 'color'"):
        categories_of(load_categories(path), "colour", path)
