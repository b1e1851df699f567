"""Neighbors are those of the library `implicit`, but for an item itself, which is none of its own."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, ItemItemRecommender, TFIDFRecommender

from tasks.errors import TrainingError
from tasks.examples.learners.neighbors import fit_neighbors
from tasks.examples.retrieval_models import Past
from tasks.spec.retrieval import NeighborsRetrieval
from tests.tasks.examples.planted import ITEMS, planted


def part(similarity: str, neighbors: int) -> NeighborsRetrieval:
    return NeighborsRetrieval.model_validate(
        {"type": "neighbors", "similarity": similarity, "neighbors": neighbors, "half_life": "30d", "k": 1}
    )


@pytest.mark.filterwarnings("ignore:Method expects CSR input")  # the library's own matrix
@pytest.mark.parametrize(
    ("similarity", "library"),
    [("cosine", CosineRecommender), ("tfidf", TFIDFRecommender), ("bm25", BM25Recommender)],
)
def test_similarities_are_those_of_the_library(similarity: str, library: type[ItemItemRecommender]) -> None:
    past = planted().past
    theirs = library(K=len(ITEMS), num_threads=1)
    theirs.fit(past.matrix(30).counts.astype(np.float64), show_progress=False)
    expected = theirs.similarity.toarray()
    np.fill_diagonal(expected, 0.0)
    fitted = fit_neighbors(past, part(similarity, len(ITEMS)))
    assert fitted.items.tolist() == ITEMS
    np.testing.assert_allclose(fitted.similarity.toarray(), expected, rtol=1e-6)


def test_only_the_nearest_neighbors_are_kept() -> None:
    every = fit_neighbors(planted().past, part("cosine", len(ITEMS))).similarity.toarray()
    few: sp.csr_matrix = fit_neighbors(planted().past, part("cosine", 5)).similarity
    assert np.diff(few.indptr).tolist() == [5] * len(ITEMS)
    for row, kept in zip(every, few.toarray(), strict=True):
        np.testing.assert_array_equal(np.sort(row)[-5:], np.sort(kept)[-5:])


def test_without_an_action_there_is_nothing_to_learn() -> None:
    columns = {"user_id": pa.array([], pa.string()), "item_id": pa.array([], pa.string())}
    numbers = {name: pa.array([], pa.float64()) for name in ("age", "actions")}
    nobody = Past.of(pa.table({**columns, **numbers}))
    with pytest.raises(TrainingError, match="neighbors: no action of any user on any item is known yet"):
        fit_neighbors(nobody, part("cosine", 5))
