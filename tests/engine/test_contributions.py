"""Contributions add up to the score, are exact for linear functions, and fair to features that act together."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import contributions as module
from engine.arrays import Floats
from engine.contributions import contributions, dependence, grid
from engine.functions.linear import Linear


class Product:
    """The product of the first two features; others are not read."""

    def predict(self, matrix: npt.NDArray[Any]) -> Floats:
        return matrix[:, 0].astype(np.float64) * matrix[:, 1]


def rows_of(seed: int, rows: int, features: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(rows, features)).round(2).astype(np.float32)


@given(st.integers(0, 1000), st.integers(1, 5), st.integers(2, 5), st.integers(1, 4))
def test_they_add_up_to_the_score_less_the_typical_one(seed: int, rows: int, features: int, background: int) -> None:
    given_rows, typical = rows_of(seed, rows, features), rows_of(seed + 1, background, features)
    parts = contributions(Product(), given_rows, typical, seed)
    expected = Product().predict(given_rows) - Product().predict(typical).mean()
    np.testing.assert_allclose(parts.sum(axis=1), expected, atol=1e-9)
    assert (parts[:, 2:] == 0).all(), "what is not read contributes nothing"


def test_a_linear_function_s_are_its_weights_times_the_distance_from_the_mean() -> None:
    linear, rows, typical = Linear((2.0, -1.0, 0.5), 7.0), rows_of(0, 4, 3), rows_of(1, 6, 3)
    expected = np.array(linear.weights) * (rows - typical.mean(axis=0, dtype=np.float64))
    np.testing.assert_allclose(contributions(linear, rows, typical, 0), expected, atol=1e-6)


def test_features_that_act_together_share_alike() -> None:
    # From (0, 0) to (2, 3) the product changes by 6 with the second change, whichever feature that is.
    parts = contributions(Product(), np.array([[2, 3]], np.float32), np.zeros((1, 2), np.float32), 0)
    assert parts.tolist() == [[3.0, 3.0]]


def test_they_do_not_depend_on_what_is_computed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, typical = rows_of(0, 9, 4), rows_of(1, 3, 4)
    whole = contributions(Product(), rows, typical, 5)
    monkeypatch.setattr(module, "_WALKED", 1)
    assert contributions(Product(), rows, typical, 5).tobytes() == whole.tobytes()


def test_dependence_is_the_mean_score_at_each_value() -> None:
    typical = np.array([[1, 1], [2, 3]], np.float32)
    assert dependence(Product(), typical, 0, np.array([0, 2], np.float32)).tolist() == [0.0, 4.0]
    assert typical[0, 0] == 1, "what is given stays as it is"


def test_a_grid_is_of_values_that_there_are() -> None:
    column = np.array([5, np.nan, 1, 1, 2, 3, 4], np.float32)
    assert grid(column, 3).tolist() == [1.0, 3.0, 5.0]
    assert grid(column, 10).tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert grid(np.array([np.nan], np.float32), 3).tolist() == []
