"""Sparse products are those of scipy, to the last bit, and the best of a row is what sorting finds."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from engine.sparse_products import gram, product_row
from engine.topk import best_positions


def random_matrix(seed: int, rows: int, columns: int) -> sp.csr_matrix:
    """Half of it is empty, as may be whole rows; some of what is there is below 0."""
    numbers = np.random.default_rng(seed)
    return sp.csr_matrix(np.where(numbers.random((rows, columns)) < 0.5, numbers.normal(size=(rows, columns)), 0.0))


seeds, sizes = st.integers(0, 2**32 - 1), st.integers(1, 12)


@given(seeds, sizes, sizes, sizes)
def test_a_row_of_a_product_is_that_of_scipy(seed: int, rows: int, inner: int, columns: int) -> None:
    left, right = random_matrix(seed, rows, inner), random_matrix(seed + 1, inner, columns)
    totals = np.full(columns, np.nan)  # whatever was there before

    found = []
    for row in range(rows):
        own = slice(left.indptr[row], left.indptr[row + 1])
        product_row(
            left.indices[own], left.data[own], right.indptr, right.indices.astype(np.uint32), right.data, totals
        )
        found.append(totals.copy())

    assert (np.array(found) == (left @ right).toarray()).all()
    np.testing.assert_allclose(found, left.toarray() @ right.toarray(), atol=1e-12)


@given(seeds, sizes, sizes)
def test_a_gram_matrix_is_that_of_scipy(seed: int, rows: int, columns: int) -> None:
    matrix = random_matrix(seed, rows, columns)
    turned = matrix.T.tocsr()
    found = gram(matrix.indptr, matrix.indices.astype(np.uint32), matrix.data, (turned.indptr, turned.indices))
    assert (found == (turned @ matrix).toarray()).all()
    assert (found == found.T).all()


@given(st.lists(st.integers(-3, 5), max_size=30), st.integers(1, 8))
def test_the_best_positions_are_positive_and_of_equal_ones_the_first(scores: list[int], k: int) -> None:
    best = sorted((n for n, score in enumerate(scores) if score > 0), key=lambda n: (-scores[n], n))[:k]
    assert best_positions(np.array(scores, dtype=np.float64), k).tolist() == sorted(best)
