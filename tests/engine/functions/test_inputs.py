"""What functions of one scale are given in place of features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import ArtifactError, RequestError
from engine.functions.inputs import CODE, FARTHEST, MISSING, NUMBER, Inputs

NAN = float("nan")


def inputs(**changes: Any) -> Inputs:
    """The number `price` (mean 10, deviation 2), whether it is missing, and the codes 0 and 3 of `region`."""
    given = {
        "names": ("price", "region"),
        "features": np.array([0, 0, 1, 1], dtype=np.int32),
        "kinds": np.array([NUMBER, MISSING, CODE, CODE], dtype=np.int32),
        "centers": np.array([10.0, 0.0, 0.0, 3.0]),
        "scales": np.array([2.0, 1.0, 1.0, 1.0]),
    }
    return Inputs(**{**given, **changes})


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ([14.0, 0.0], [2.0, 0.0, 1.0, 0.0]),
        ([NAN, 3.0], [0.0, 1.0, 0.0, 1.0]),  # the mean stands in for what is missing
        ([9.0, NAN], [-0.5, 0.0, 0.0, 0.0]),
        ([10.0, 7.0], [0.0, 0.0, 0.0, 0.0]),  # a code that nothing was learned of
        ([1e30, 0.0], [FARTHEST, 0.0, 1.0, 0.0]),
        ([-np.inf, 0.0], [-FARTHEST, 0.0, 1.0, 0.0]),
    ],
)
def test_what_a_row_becomes(features: list[float], expected: list[float]) -> None:
    assert inputs().of(np.array([features], dtype=np.float32)).tolist() == [expected]


def test_the_file_gives_the_same_inputs(tmp_path: Path) -> None:
    inputs().save(tmp_path / "inputs.npz")
    loaded = Inputs.load(tmp_path / "inputs.npz")
    matrix = np.random.default_rng(1).normal(10, 5, (50, 2)).astype(np.float32)

    assert loaded.names == ("price", "region")
    assert loaded.of(matrix).tobytes() == inputs().of(matrix).tobytes()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"features": np.array([0, 0, 1, 2], dtype=np.int32)}, "a feature that is not there; expected 0 to 1"),
        ({"kinds": np.array([0, 1, 2, 3], dtype=np.int32)}, "an unknown kind or without a scale"),
        ({"scales": np.array([0.0, 1.0, 1.0, 1.0])}, "an unknown kind or without a scale"),
        ({"centers": np.zeros(3)}, "arrays of different lengths"),
        ({"centers": np.array([NAN, 0.0, 0.0, 0.0])}, "array 'centers' holds NaN"),
    ],
)
def test_a_file_that_means_nothing_is_refused(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    inputs(**changes).save(tmp_path / "inputs.npz")
    with pytest.raises(ArtifactError, match=problem):
        Inputs.load(tmp_path / "inputs.npz")


def test_features_of_another_number_are_refused() -> None:
    with pytest.raises(RequestError, match="expected rows of 2 features: price, region"):
        inputs().of(np.zeros((1, 3)))
