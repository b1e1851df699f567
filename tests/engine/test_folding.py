"""Users folded in: the solution of their normal equations, alone as among many."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.sparse import csr_matrix

from engine.als import Penalty
from engine.arrays import Singles
from engine.errors import EngineError
from engine.folding import fold_in, fold_in_all, shared_part

PENALTY = Penalty(0.5, 0.25)


def history(users: int = 30, items: int = 20) -> csr_matrix:
    values = np.random.default_rng(0).random((users, items), dtype=np.float32)
    values[2] = 1.0  # nothing
    return csr_matrix(np.where(values < 0.3, values, 0))


def factors_of(items: int = 20, size: int = 8) -> Singles:
    return np.random.default_rng(1).normal(size=(items, size)).astype(np.float32)


def folded(matrix: csr_matrix, items: Singles, penalty: Penalty) -> npt.NDArray[np.float32]:
    return fold_in_all(items, penalty, matrix.indptr.astype(np.int64), matrix.indices, matrix.data * 3.0)


def test_factors_solve_the_normal_equations() -> None:
    matrix, items = history(), factors_of()
    ours = folded(matrix, items, PENALTY)
    exact = items.astype(float)
    for user, confidence in enumerate(matrix.toarray().astype(float) * 3.0):
        penalty = 0.5 + 0.25 * np.count_nonzero(confidence)
        weights = np.where(confidence > 0, confidence, 1.0)
        left = exact.T @ (weights[:, None] * exact) + penalty * np.eye(8)
        np.testing.assert_allclose(ours[user], np.linalg.solve(left, confidence @ exact), rtol=1e-5, atol=1e-7)


def test_they_are_those_of_implicit() -> None:
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    matrix = history()
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(factors=8, regularization=0.5, alpha=3.0, iterations=2, random_state=0)
        model.fit(matrix, show_progress=False)
        theirs = model.recalculate_user(np.arange(30), matrix)
    np.testing.assert_allclose(folded(matrix, model.item_factors, Penalty(0.5)), theirs, atol=1e-4)


def test_a_user_alone_gets_the_bits_of_a_user_among_many() -> None:
    matrix, items = history(), factors_of()
    together = folded(matrix, items, PENALTY)
    shared = shared_part(items)
    for user in range(30):
        own = matrix[user]
        alone = fold_in(items, shared, PENALTY, own.indices, own.data * 3.0)
        assert alone.tobytes() == together[user].tobytes()


def test_no_history_no_factors() -> None:
    assert not folded(history(), factors_of(), PENALTY)[2].any()
    assert fold_in_all(factors_of(), PENALTY, np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0)).shape == (0, 8)


def test_equations_without_a_solution_are_refused() -> None:
    items, own = factors_of(), np.arange(3, dtype=np.int32)
    with pytest.raises(EngineError) as caught:
        fold_in(items, shared_part(items), Penalty(-1e6), own, np.ones(3))
    assert str(caught.value) == (
        "the history of 3 items cannot be folded in: the equations are not positive definite; use a "
        "regularization > 0 and confidences > 0"
    )
