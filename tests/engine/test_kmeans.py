"""k-means, beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from engine.arrays import Floats
from engine.kmeans import fit, nearest


def blobs(seed: int = 0) -> Floats:
    random = np.random.default_rng(seed)
    made: Floats = np.concatenate([random.normal(center, 0.2, (50, 3)) for center in (-2.0, 0.0, 3.0)])
    return made


@pytest.mark.parametrize("seed", range(5))
def test_separated_points_are_told_apart_as_by_the_library(seed: int) -> None:
    points = blobs()
    centers = fit(points, 3, 50, seed)
    expected = KMeans(3, n_init=10, random_state=0).fit(points).cluster_centers_
    np.testing.assert_allclose(centers[np.argsort(centers[:, 0])], expected[np.argsort(expected[:, 0])])


@given(st.integers(0, 99), st.integers(1, 12))
def test_every_center_is_the_mean_of_the_points_that_are_nearest_to_it(seed: int, clusters: int) -> None:
    points = np.random.default_rng(seed).normal(size=(40, 2))
    centers = fit(points, clusters, 500, seed)
    numbers = nearest(points, centers)
    distances = ((points[:, None, :] - centers[None, :, :]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(numbers, distances.argmin(axis=1))
    for number in set(numbers.tolist()):
        np.testing.assert_allclose(centers[number], points[numbers == number].mean(axis=0))


@given(st.integers(0, 99))
def test_there_are_no_more_centers_than_distinct_points(seed: int) -> None:
    points = np.array([[0.0], [1.0], [0.0], [1.0], [1.0]])
    assert sorted(fit(points, 4, 10, seed).ravel().tolist()) == [0.0, 1.0]


def test_of_equally_near_centers_the_first_is_taken() -> None:
    assert nearest(np.array([[0.0]]), np.array([[2.0], [1.0], [-1.0]])).tolist() == [1]
