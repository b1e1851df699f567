"""Power laws that are known, and what they say of more groups."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from tasks.training.saturation import EXPONENTS, fit_power_laws

GROUPS = np.array([50.0, 100.0, 200.0, 500.0, 1000.0])


@given(st.floats(0.2, 0.9), st.floats(0.1, 2.0), st.floats(0.2, 1.5))
def test_a_planted_law_is_found(limit: float, scale: float, exponent: float) -> None:
    values = limit - scale * GROUPS**-exponent
    law = fit_power_laws(GROUPS, values[None])
    fitted = law.limit[0] - law.scale[0] * GROUPS ** -law.exponent[0]
    assert fitted == pytest.approx(values, abs=2e-3 * scale)
    assert law.limit[0] == pytest.approx(limit, abs=0.02 * scale)
    assert law.gain(1000, 2.0)[0] <= law.gain(1000, math.inf)[0]


def test_it_agrees_with_a_solver_that_needs_a_starting_point() -> None:
    values = 0.5 - 0.8 * GROUPS**-0.45 + np.array([0.003, -0.002, 0.001, 0.002, -0.001])
    law = fit_power_laws(GROUPS, values[None])
    (limit, scale, exponent), _ = curve_fit(lambda n, a, b, c: a - b * n**-c, GROUPS, values, p0=(0.5, 1.0, 0.5))
    assert (law.limit[0], law.scale[0], law.exponent[0]) == pytest.approx((limit, scale, exponent), rel=0.03)


def test_a_curve_that_falls_promises_nothing() -> None:
    law = fit_power_laws(GROUPS, np.array([[0.5, 0.49, 0.48, 0.47, 0.46]]))
    assert law.scale[0] == 0.0
    assert law.gain(1000, math.inf)[0] == 0.0
    assert law.limit[0] == pytest.approx(0.48)


def test_rows_are_fitted_each_for_itself_within_the_bounds() -> None:
    values = np.random.default_rng(1).random((40, 5))
    laws = fit_power_laws(GROUPS, values)
    for row in range(40):
        alone = fit_power_laws(GROUPS, values[row : row + 1])
        assert [field[0] for field in alone] == pytest.approx([field[row] for field in laws])
    assert (laws.scale >= 0).all()
    assert ((laws.exponent >= EXPONENTS[0]) & (laws.exponent <= EXPONENTS[1])).all()
