"""Models that are a matrix of items by items, applied to what a user did: what they have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.errors import TrainingError
from tasks.examples.learners.protocol import Arrays, AsOf
from tasks.examples.retrieval_models import Actions, Past

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import scipy.sparse as sp


@dataclass(frozen=True, eq=False)
class ItemMatrix:
    """What such a model has learned.

    Attributes:
        items: ids, ascending.
        similarity: (items, items), 32 bits wide: row `i` says what an action on `i` is worth to each item.
    """

    items: npt.NDArray[np.str_]
    similarity: sp.csr_matrix


def known_actions(past: Past, part: Any, half_life: int | None) -> Actions:
    """The matrix that a model is fitted to.

    Raises:
        TrainingError: there is no action to learn from.
    """
    actions = past.matrix(half_life)
    if not actions.counts.nnz:
        raise TrainingError(f"{part.type}: no action of any user on any item is known yet; start the pipeline later")
    return actions


def of_actions(weigh: Callable[[sp.csr_matrix], sp.csr_matrix]) -> Callable[[Any, AsOf, ItemMatrix], Arrays]:
    """Make what writes a file: the matrix, and every user's actions up to the cut, weighted.

    Args:
        weigh: from sums of actions (users, items) to what the rows of the matrix are multiplied with.
    """

    def arrays(part: Any, now: AsOf, fitted: ItemMatrix) -> Arrays:
        actions = now.past.matrix(part.half_life, fitted.items)
        return file_of(fitted, actions.users, weigh(actions.counts))

    return arrays


def file_of(fitted: ItemMatrix, users: npt.NDArray[np.str_], weights: sp.csr_matrix) -> Arrays:
    """What the file of the node `ItemItem` holds.

    Args:
        fitted: the model.
        users: ids, ascending.
        weights: (users, items), on which the sums of each user run.
    """
    similarity = fitted.similarity
    return {
        "user_ids": users,
        "item_ids": fitted.items,
        "offsets": weights.indptr.astype("i8"),
        "items": weights.indices.astype("i4"),
        "scores": weights.data.astype("f4"),
        "starts": similarity.indptr.astype("i8"),
        "neighbours": similarity.indices.astype("i4"),
        "similarity": similarity.data.astype("f4"),
    }


def largest_products(
    left: sp.csr_matrix, right: sp.csr_matrix, neighbors: int, divisors: npt.NDArray[np.float64] | None = None
) -> sp.csr_matrix:
    """The largest positive entries of each row of a product of matrices, without those on its diagonal.

    An item is no neighbor of itself: it would only push what a user has already to the top, where `history` has it.

    Args:
        left: (items, anything).
        right: (anything, items).
        neighbors: entries kept of a row, of equal ones those further left.
        divisors: (items,), of the columns.
    """
    import numpy as np
    import scipy.sparse as sp

    from engine.sparse_products import product_row
    from engine.topk import best_positions

    width, matrix = right.shape[1], (right.indptr, right.indices.astype(np.uint32), right.data)
    products, columns, values, offsets = np.empty(width), [], [], [0]
    for row in range(left.shape[0]):
        own = slice(left.indptr[row], left.indptr[row + 1])
        product_row(left.indices[own], left.data[own], *matrix, products)
        products[row] = 0.0
        if divisors is not None:
            products /= divisors
        best = best_positions(products, neighbors)
        columns.append(best.astype(np.int32))
        values.append(products[best].astype(np.float32))
        offsets.append(offsets[-1] + len(best))
    shape = left.shape[0], width
    return sp.csr_matrix((np.concatenate(values), np.concatenate(columns), offsets), shape=shape)
