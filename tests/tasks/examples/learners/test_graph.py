"""RP3β is its formula, written out in dense matrices."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.examples.learners.graph import fit_graph
from tasks.spec.retrieval import GraphRetrieval
from tests.tasks.examples.planted import ITEMS, planted


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (0.7, 0.4), (1.3, 1.0)])
def test_it_is_the_walk_of_the_paper(alpha: float, beta: float) -> None:
    past = planted().past
    seen = np.sqrt(past.matrix(None).counts.toarray().astype(float))
    to_items = (seen / seen.sum(axis=1, keepdims=True)) ** alpha
    to_users = (seen.T / seen.T.sum(axis=1, keepdims=True)) ** alpha
    expected = to_users @ to_items / (seen > 0).sum(axis=0) ** beta
    np.fill_diagonal(expected, 0.0)

    fitted = fit_graph(past, GraphRetrieval(type="rp3beta", alpha=alpha, beta=beta, neighbors=len(ITEMS), k=1))

    np.testing.assert_allclose(fitted.similarity.toarray(), expected, rtol=1e-6)
