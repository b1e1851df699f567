"""The factorization: known answers, a dense reference, `implicit`, and the same bytes whoever computes them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from engine.als import Penalty, Settings, _side, _solve, fit, scaled_by_count
from engine.arrays import Floats
from engine.exact import gram

PLAIN = (Penalty(0.5), Penalty(0.5))


def sparse(seed: int, users: int, items: int, share: float) -> csr_matrix:
    """Confidences of a random share of the pairs; some users and items have none."""
    values = np.random.default_rng(seed).random((users, items))
    return csr_matrix(np.where(values < share, 1.0 + 20.0 * values, 0.0))


def dense_sweep(confidence: Floats, fixed: Floats, factors: Floats, penalty: float) -> Floats:
    """Three steps of conjugate gradient for every row, by numpy on full matrices."""
    moved = np.zeros_like(factors)
    for row, weights in enumerate(confidence):
        if not weights.any():
            continue
        extra = np.where(weights > 0, weights - 1.0, 0.0)
        matrix = fixed.T @ fixed + (fixed.T * extra) @ fixed + penalty * np.eye(fixed.shape[1])
        x = factors[row].copy()
        residual = weights @ fixed - matrix @ x
        direction = residual.copy()
        for _ in range(3):
            before = residual @ residual
            image = matrix @ direction
            length = before / (direction @ image)
            x += length * direction
            residual -= length * image
            direction = residual + (residual @ residual) / before * direction
        moved[row] = x
    return moved


def test_a_checkerboard_is_completed() -> None:
    """Even users like even items, odd ones odd items, each all but one: that one comes first."""
    size = 50
    board = np.add.outer(np.arange(size), np.arange(size)) % 2 == 0
    np.fill_diagonal(board, False)
    users, items = fit(csr_matrix(board * 2.0), (Penalty(0.01), Penalty(0.01)), Settings(factors=2))
    scores = np.where(board, -np.inf, users @ items.T)
    assert scores.argmax(axis=1).tolist() == list(range(size))
    assert np.diag(users @ items.T).min() > 0.8


@pytest.mark.parametrize("sweeps", [1, 4])
def test_sweeps_are_those_of_a_dense_reference(sweeps: int) -> None:
    confidence = sparse(3, 40, 30, 0.2)
    random = np.random.default_rng(7)
    users, items = (random.random((n, 8), dtype=np.float32).astype(float) * np.float32(0.01) for n in (40, 30))
    for _ in range(sweeps):
        users = dense_sweep(confidence.toarray(), items, users, 0.5)
        items = dense_sweep(confidence.toarray().T, users, items, 0.5)
    ours = fit(confidence, PLAIN, Settings(factors=8, iterations=sweeps, seed=7))
    np.testing.assert_allclose(ours[0], users, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours[1], items, rtol=1e-5, atol=1e-5)


def test_in_the_end_items_solve_their_normal_equations() -> None:
    confidence = sparse(4, 30, 25, 0.3)
    users, items = (part.astype(float) for part in fit(confidence, PLAIN, Settings(factors=4, iterations=300)))
    weights = confidence.toarray().T
    for row, own in enumerate(weights):
        matrix = users.T @ (np.where(own > 0, own, 1.0)[:, None] * users) + 0.5 * np.eye(4)
        np.testing.assert_allclose(items[row], np.linalg.solve(matrix, own @ users), atol=1e-5)


def test_it_starts_and_moves_as_implicit_does() -> None:
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    confidence = sparse(5, 80, 60, 0.15)
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(factors=8, regularization=0.5, iterations=3, random_state=11, num_threads=1)
        model.fit(confidence.astype(np.float32), show_progress=False)
    users, items = fit(confidence, PLAIN, Settings(factors=8, iterations=3, seed=11))
    np.testing.assert_allclose(users, model.user_factors, atol=1e-3)
    np.testing.assert_allclose(items, model.item_factors, atol=1e-3)


@pytest.mark.parametrize("factors", [1, 5, 16, 33])
def test_threads_change_no_byte(factors: int) -> None:
    confidence = sparse(6, 210, 150, 0.1)
    one, two = (fit(confidence, PLAIN, Settings(factors, iterations=3, threads=n)) for n in (1, 2))
    assert [part.tobytes() for part in one] == [part.tobytes() for part in two]


def test_seeds_are_starting_points() -> None:
    confidence = sparse(6, 20, 15, 0.3)
    first, again, other = (fit(confidence, PLAIN, Settings(4, seed=seed))[1] for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes() != other.tobytes()


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12), st.floats(0.0, 1.0))
@settings(max_examples=30)
def test_users_and_items_without_actions_are_zero_and_everything_is_finite(
    seed: int, users: int, items: int, share: float
) -> None:
    confidence = sparse(seed, users, items, share)
    for factors, entries in zip(fit(confidence, PLAIN, Settings(5)), (confidence, confidence.T.tocsr()), strict=True):
        assert factors.dtype == np.float32
        assert np.isfinite(factors).all()
        assert not factors[np.diff(entries.indptr) == 0].any()


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.data())
@settings(max_examples=30)
def test_a_row_depends_on_no_other_row(seed: int, rows: int, data: st.DataObject) -> None:
    confidence = sparse(seed, rows, 12, 0.4)
    random = np.random.default_rng(seed)
    fixed, start = random.normal(size=(12, 7)), random.normal(size=(rows, 7))
    together = solved(confidence, fixed, start)
    order = np.array(data.draw(st.permutations(range(rows))))
    assert solved(confidence[order], fixed, start[order]).tobytes() == together[order].tobytes()
    first = data.draw(st.integers(0, rows))
    assert solved(confidence[first:], fixed, start[first:]).tobytes() == together[first:].tobytes()


def solved(confidence: csr_matrix, fixed: Floats, start: Floats) -> npt.NDArray[np.float64]:
    factors = start.copy()
    _solve(0, len(factors), _side(confidence, PLAIN[0]), fixed, gram(fixed), factors)
    return factors


@given(st.integers(1, 500), st.integers(1, 500), st.floats(0.0, 1.0), st.floats(0.1, 100.0), st.floats(0.1, 100.0))
def test_scaled_penalties_have_the_mean_of_the_plain_one(
    users: int, items: int, share: float, regularization: float, alpha: float
) -> None:
    entries = int(share * users * items)
    of_users, of_items = scaled_by_count(regularization, alpha, (users, items), entries)
    total = users * of_users.base + items * of_items.base + entries * (of_users.per_entry + of_items.per_entry)
    assert total / (users + items) == pytest.approx(regularization)
    assert of_users.base == pytest.approx(of_users.per_entry * items / alpha)


def test_a_penalty_by_count_weighs_on_those_with_many_actions() -> None:
    confidence = csr_matrix(np.triu(np.full((12, 12), 5.0)))  # the first user has acted on everything
    scaled = scaled_by_count(0.5, 5.0, (12, 12), confidence.nnz)
    lengths = [np.linalg.norm(fit(confidence, kind, Settings(3))[0], axis=1) for kind in (PLAIN, scaled)]
    ratio = lengths[1] / lengths[0]
    assert ratio[0] < 1.0 < ratio[-1]
