"""The Gaussian process against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RationalQuadratic

from tasks.tuning.gaussian_process import LENGTHS, NOISE, WIDTH, most_promising

SIZES = (9, 9)
TRIED = [(0, 0), (8, 8), (4, 4), (0, 8), (8, 0), (2, 6), (6, 3)]


def test_the_most_promising_point_is_that_of_another_implementation() -> None:
    numbers = np.random.default_rng(5)
    values = numbers.normal(size=len(TRIED)).tolist()
    candidates = [(a, b) for a in range(9) for b in range(9) if (a, b) not in TRIED]
    given = (np.array(values) - np.mean(values)) / np.std(values)
    bounds = []
    for length in LENGTHS:
        kernel = RationalQuadratic(length_scale=length, alpha=1.0)
        process = GaussianProcessRegressor(kernel, alpha=NOISE, optimizer=None)
        left_out = 0.0
        for n in range(len(TRIED)):
            rest = [m for m in range(len(TRIED)) if m != n]
            process.fit(np.array(TRIED)[rest] / 8, given[rest])
            left_out += float((process.predict(np.array([TRIED[n]]) / 8)[0] - given[n]) ** 2)
        process.fit(np.array(TRIED) / 8, given)
        mean, spread = process.predict(np.array(candidates) / 8, return_std=True)
        bounds.append((left_out, mean + WIDTH * spread))
    bound = min(bounds, key=lambda pair: pair[0])[1]
    found = most_promising(SIZES, TRIED, values, candidates)
    assert bound[found] == pytest.approx(bound.max(), abs=1e-9)


def test_equal_values_are_no_trouble() -> None:
    assert most_promising(SIZES, TRIED, [0.5] * len(TRIED), [(4, 4), (1, 1)]) == 1
