"""Items that the same users act on: cosine, TF-IDF and BM25, as the library `implicit` weighs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.examples.learners.item_matrix import ItemMatrix, known_actions, largest_products, of_actions
from tasks.examples.learners.protocol import RetrievalModel
from tasks.examples.retrieval_models import Past
from tasks.spec.retrieval import NeighborsRetrieval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import scipy.sparse as sp


def fit_neighbors(past: Past, part: NeighborsRetrieval) -> ItemMatrix:
    """The most similar items of each item: products of what it and others are weighted with, user by user.

    Raises:
        TrainingError: there is no action to learn from.
    """
    known = known_actions(past, part, part.half_life)
    weighted = _weighted(known.counts, part)
    return ItemMatrix(known.items, largest_products(weighted.T.tocsr(), weighted, part.neighbors))


def _weighted(counts: sp.csr_matrix, part: NeighborsRetrieval) -> sp.csr_matrix:
    """The matrix (users, items) whose columns are multiplied with each other."""
    import numpy as np

    actions = counts.astype(np.float64)
    # Sums of one column after the other, so that their order is that of the users.
    sizes = np.bincount(actions.indices, weights=actions.data, minlength=actions.shape[1])
    match part.similarity:
        case "cosine":
            values = actions.data
        case "tfidf":
            values = np.sqrt(actions.data) * _rarity(actions)
        case "bm25":
            length = 1.0 - part.b + part.b * sizes / (sizes.sum() / len(sizes))
            saturated = actions.data * (part.k1 + 1.0) / (part.k1 * length[actions.indices] + actions.data)
            return actions._with_data(saturated * _rarity(actions))
    norms = np.sqrt(np.bincount(actions.indices, weights=values * values, minlength=actions.shape[1]))
    return actions._with_data(values / np.where(norms > 0, norms, 1.0)[actions.indices])


def _rarity(actions: sp.csr_matrix) -> npt.NDArray[np.float64]:
    """Of each entry, how much its user tells: log(items / (1 + the user's items)), less the more of them there are."""
    import numpy as np

    from engine.exact import logs

    entries = np.diff(actions.indptr)
    return np.repeat(logs(actions.shape[1] / (1.0 + entries)), entries)


NEIGHBORS = RetrievalModel(NeighborsRetrieval, "ItemItem", of_actions(lambda counts: counts), fit_neighbors)
