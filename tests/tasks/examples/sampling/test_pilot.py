"""Deviations of strata, by hand."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from tasks.examples.sampling.pilot import deviations

A, B, C = ("a",), ("b",), ("c",)


def test_a_stratum_with_one_list_or_with_equal_lists_is_drawn_towards_the_others() -> None:
    found = deviations({A: [0.0, 1.0, 0.0, 1.0], B: [0.5, 0.5, 0.5], C: [0.3]})
    pooled = (4 * 0.25) / (3 + 2)
    assert found[A] == pytest.approx(math.sqrt((4 * 0.25 + 2 * pooled) / 5))
    assert found[B] == pytest.approx(math.sqrt(2 * pooled / 4))
    assert found[C] == pytest.approx(math.sqrt(pooled))


def test_with_many_lists_it_is_the_standard_deviation() -> None:
    values = np.random.default_rng(1).normal(size=5000).tolist()
    found = deviations({A: values, B: [0.1, 0.2]})
    assert found[A] == pytest.approx(np.std(values, ddof=1), rel=1e-3)


def test_nothing_measured_is_no_deviation() -> None:
    assert deviations({A: [], B: [0.4]}) == {A: 0.0, B: 0.0}
    assert deviations({}) == {}


def test_the_order_of_lists_does_not_matter() -> None:
    values = [random.Random(n).random() for n in range(99)]
    assert deviations({A: values}) == deviations({A: values[::-1]}) == deviations({A: sorted(values)})
