"""A walk of three steps over the graph of users and items: RP3β."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.examples.item_item import strength
from tasks.examples.learners.item_matrix import ItemMatrix, known_actions, largest_products, of_actions
from tasks.examples.learners.protocol import RetrievalModel
from tasks.examples.retrieval_models import Past
from tasks.spec.retrieval import GraphRetrieval

if TYPE_CHECKING:
    import scipy.sparse as sp


def fit_graph(past: Past, part: GraphRetrieval) -> ItemMatrix:
    """Where a walk from an item to one of its users and on to one of theirs ends, popular items held back.

    Paudel, Christoffel, Newell & Bernstein (2017), "Updatable, accurate, diverse, and scalable recommendations for
    interactive applications": (transition probabilities)^alpha, divided by (users of the item)^beta.

    Raises:
        TrainingError: there is no action to learn from.
    """
    import numpy as np

    from engine.exact import powers

    known = known_actions(past, part, part.half_life)
    actions = strength(known.counts).astype(np.float64)
    users = np.bincount(actions.indices, minlength=actions.shape[1]).astype(np.float64)
    divisors = powers(np.maximum(users, 1.0), part.beta)
    to_users, to_items = _transitions(actions.T.tocsr(), part.alpha), _transitions(actions, part.alpha)
    return ItemMatrix(known.items, largest_products(to_users, to_items, part.neighbors, divisors))


def _transitions(weights: sp.csr_matrix, alpha: float) -> sp.csr_matrix:
    """The probability of each step from a row, to the power of alpha."""
    import numpy as np

    from engine.exact import powers

    rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    sums = np.bincount(rows, weights=weights.data, minlength=weights.shape[0])
    return weights._with_data(powers(weights.data / sums[rows], alpha))


GRAPH = RetrievalModel(GraphRetrieval, "ItemItem", of_actions(strength), fit_graph)
