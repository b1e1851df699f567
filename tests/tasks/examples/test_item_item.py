"""EASE is its closed form, and is refused where no memory holds it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import TrainingError
from tasks.examples.item_item import fit_ease, in_rows
from tasks.examples.retrieval_models import Actions
from tasks.spec.retrieval import ItemItemRetrieval

PART = ItemItemRetrieval(type="item_item", regularization=5.0, k=1)


def actions(users: int = 40, items: int = 30) -> Actions:
    random = np.random.default_rng(0)
    counts = sp.csr_matrix((random.random((users, items)) < 0.2).astype(np.float32) * random.integers(1, 9, items))
    return Actions(np.array([f"u{n:02}" for n in range(users)]), np.array([f"i{n:02}" for n in range(items)]), counts)


def test_similarities_are_the_closed_form_of_ease() -> None:
    known = actions()
    seen = np.sqrt(known.counts.toarray().astype(float))
    inverse = np.linalg.inv(seen.T @ seen + 5.0 * np.eye(seen.shape[1]))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(fit_ease(known, PART), expected, rtol=1e-5, atol=1e-7)


def test_a_catalog_beyond_the_memory_is_refused_with_the_figure_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wide = sp.csr_matrix(([1.0], ([0], [0])), shape=(1, 50_000), dtype=np.float32)
    known = Actions(np.array(["u"]), np.arange(50_000).astype(str), wide)
    monkeypatch.setenv("MATINEE_MEMORY_LIMIT", "16GiB")
    with pytest.raises(TrainingError, match=r"50,000 items need about 37\.3 GiB.*allows 16\.0 GiB.*`type: als`"):
        fit_ease(known, PART)


def test_a_matrix_that_rounding_makes_singular_is_refused() -> None:
    alike = sp.csr_matrix(np.full((3, 2), 1e12, dtype=np.float32))
    with pytest.raises(TrainingError, match="cannot be inverted with regularization: 1e-12"):
        fit_ease(
            Actions(np.array(["a", "b", "c"]), np.array(["x", "y"]), alike),
            ItemItemRetrieval(type="item_item", regularization=1e-12, k=1),
        )


@given(st.lists(st.lists(st.sampled_from([0.0, 1.5, -2.0]), min_size=4, max_size=4), min_size=1, max_size=6))
def test_rows_are_those_of_the_dense_matrix(rows: list[list[float]]) -> None:
    dense = np.array(rows, dtype=np.float32)
    sparse = in_rows(dense)
    assert sparse.has_sorted_indices
    np.testing.assert_array_equal(sparse.toarray(), dense)
    assert sparse.nnz == np.count_nonzero(dense)
