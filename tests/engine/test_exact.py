"""Sums in one order: what the compiler does with the loops changes no bit of them."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import psi

from engine.arrays import Floats
from engine.exact import (
    add_outer,
    add_rows,
    digamma,
    dot,
    exponential,
    gram,
    invert_positive,
    log,
    logs,
    powers,
    sigmoid,
    softplus,
    solve_positive,
)

PROJECT = Path(__file__).parents[2]
SIZES = st.integers(0, 40)
SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, *shape: int) -> Floats:
    """Numbers of very different sizes, whose sums depend on their order."""
    random = np.random.default_rng(seed)
    return random.normal(size=shape) * 10.0 ** random.integers(-6, 6, size=shape)


@given(SEEDS, SIZES, SIZES, SIZES)
def test_rows_are_added_one_after_the_other(seed: int, rows: int, columns: int, left: int) -> None:
    out, weights, matrix = drawn(seed, columns), drawn(seed + 1, rows), drawn(seed + 2, rows, columns)
    left = min(left, columns)
    expected = out.copy()
    for weight, row in zip(weights, matrix, strict=True):
        expected[left:] += weight * row[left:]

    add_rows(out, weights, matrix, left)

    assert out.tobytes() == expected.tobytes()


@given(st.floats(1e-6, 1e9))
def test_digamma_is_that_of_the_library_but_for_its_last_bits(value: float) -> None:
    expected = float(psi(value))
    assert digamma(value) == pytest.approx(expected, rel=1e-13, abs=1e-14)  # it is 0 at 1.46


@given(st.floats(-800, 800))
def test_the_exponential_is_that_of_the_library_but_for_its_last_bits(power: float) -> None:
    expected = math.exp(power) if power < 709 else math.inf
    assert exponential(power) == pytest.approx(expected, rel=5e-16, abs=1e-320)


@given(st.floats(-700, 700))
def test_logistic_functions_are_their_definitions(value: float) -> None:
    assert sigmoid(value) == pytest.approx(1 / (1 + math.exp(-value)), rel=1e-15)
    assert softplus(value) == pytest.approx(float(np.logaddexp(0.0, value)), rel=1e-15)


def test_logistic_functions_of_what_is_not_finite() -> None:
    assert (exponential(-math.inf), exponential(math.inf)) == (0.0, math.inf)
    assert (sigmoid(-math.inf), sigmoid(math.inf), softplus(-math.inf), softplus(math.inf)) == (0.0, 1.0, 0.0, math.inf)
    assert math.isnan(exponential(math.nan))


@given(SEEDS, SIZES)
def test_a_dot_product_is_four_sums(seed: int, size: int) -> None:
    left, right = drawn(seed, size), drawn(seed + 1, size)
    whole = size - size % 4
    sums = np.zeros(4)
    for n in range(0, whole, 4):
        sums += left[n : n + 4] * right[n : n + 4]
    for n in range(whole, size):
        sums[0] += left[n] * right[n]
    assert dot(left, right) == (sums[0] + sums[1]) + (sums[2] + sums[3])


@given(SEEDS, SIZES, st.integers(1, 40))
def test_a_gram_matrix_is_symmetric_to_the_last_bit(seed: int, rows: int, columns: int) -> None:
    matrix = drawn(seed, rows, columns)
    shared = gram(matrix)
    assert shared.tobytes() == shared.T.tobytes()
    one_by_one = np.zeros((columns, columns))
    for row in matrix:
        one_by_one += np.outer(row, row)
    assert shared.tobytes() == one_by_one.tobytes()


@given(SEEDS, SIZES, st.integers(1, 40))
def test_weighted_products_are_added_above_the_diagonal(seed: int, rows: int, columns: int) -> None:
    total, weights, matrix = drawn(seed, columns, columns), drawn(seed + 1, rows), drawn(seed + 2, rows, columns)
    expected = total.copy()
    for weight, row in zip(weights, matrix, strict=True):
        expected += np.outer(weight * row, row)
    add_outer(total, weights, matrix)
    assert np.triu(total).tobytes() == np.triu(expected).tobytes()


@given(SEEDS, st.integers(1, 70))
def test_positive_systems_are_solved(seed: int, size: int) -> None:
    random = np.random.default_rng(seed)
    root = random.normal(size=(size, size))
    matrix, solution = root @ root.T + np.eye(size), random.normal(size=size)
    right = matrix @ solution
    assert solve_positive(matrix.copy(), right)
    np.testing.assert_allclose(right, solution, rtol=1e-6, atol=1e-6)


@given(SEEDS, st.integers(1, 70))
def test_positive_matrices_are_inverted(seed: int, size: int) -> None:
    root = np.random.default_rng(seed).normal(size=(size, size))
    matrix = root @ root.T + np.eye(size)
    inverse = matrix.copy()
    assert invert_positive(inverse)
    assert inverse.tobytes() == inverse.T.tobytes()
    np.testing.assert_allclose(inverse @ matrix, np.eye(size), atol=1e-8)


def test_large_matrices_are_inverted_tile_by_tile() -> None:
    root = np.random.default_rng(0).normal(size=(700, 600))
    inverse = root.T @ root + 50.0 * np.eye(600)
    expected = np.linalg.inv(inverse)
    assert invert_positive(inverse)
    np.testing.assert_allclose(inverse, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("bad", [np.array([[1.0, 2.0], [2.0, 1.0]]), np.zeros((2, 2)), np.full((2, 2), np.nan)])
def test_other_systems_are_refused(bad: Floats) -> None:
    assert not solve_positive(bad.copy(), np.ones(2))
    assert not invert_positive(bad.copy())


COMPILED = """
import re
import numpy as np
from numba import typeof
from engine import als, exact, folding
floats, codes, offsets = np.ones((2, 2)), np.zeros(1, np.int32), np.zeros(2, np.int64)
side = als.Side(offsets, codes, floats[0], als.Penalty(1.0))
calls = {
    als._solve: (0, 1, side, floats, floats, floats),
    als.gram: (floats,),
    exact.invert_positive: (floats,),
    folding._fold: (floats.astype(np.float32), floats[0], floats, 1.0, floats[0].astype(np.float32)),
}
for kernel, arguments in calls.items():
    kernel.compile(tuple(typeof(argument) for argument in arguments))
    for text in kernel.inspect_asm().values():
        assert "vmulpd" in text
        print(kernel.__name__, re.findall(r"vfn?m(?:add|sub)\\w*", text), "zmm" in text)
"""


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="compiles for another x86-64 processor")
@pytest.mark.slow
def test_no_product_is_fused_with_an_addition(tmp_path: Path) -> None:
    """A fused product is rounded once instead of twice; processors with AVX-512 have it, and vectors of eight."""
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(tmp_path),
        "NUMBA_CPU_NAME": "skylake-avx512",
        "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+avx512f,+avx512vl,+avx512dq,-prefer-256-bit",
    }
    command = [sys.executable, "-c", COMPILED]
    result = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["_solve [] True", "gram [] True", "invert_positive [] True", "_fold [] True"]


@given(st.floats(1e-300, 1e300))
def test_logarithms_are_those_of_the_library_but_for_the_last_bits(value: float) -> None:
    assert log(value) == pytest.approx(np.log(value), rel=1e-14, abs=1e-15)


@given(st.lists(st.floats(1e-30, 1e30), min_size=1, max_size=5), st.floats(-3, 3))
def test_powers_are_those_of_the_library_but_for_the_last_bits(values: list[float], exponent: float) -> None:
    numbers = np.array(values)
    np.testing.assert_allclose(powers(numbers, exponent), numbers**exponent, rtol=1e-12)
    np.testing.assert_allclose(logs(numbers), np.log(numbers), rtol=1e-13, atol=1e-15)


def test_powers_of_0_and_logarithms_of_1_are_exact() -> None:
    assert powers(np.array([0.0, 1.0]), 0.3).tolist() == [0.0, 1.0]
    assert logs(np.array([1.0])).tolist() == [0.0]
