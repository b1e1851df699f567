"""Fit the item-item model, and refuse catalogs whose matrix no memory holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.errors import TrainingError
from tasks.examples.retrieval_models import Actions
from tasks.spec.retrieval import ItemItemRetrieval
from tasks.store.settings import MEMORY, memory_limit

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import scipy.sparse as sp

_DOUBLES_PER_PAIR = 2.0
"""Peak of a fit and of what is kept of it, in doubles for every pair of items, measured 1.62."""


def strength(counts: sp.csr_matrix) -> sp.csr_matrix:
    """The square root of each pair's actions: what the item-item model sees of a past."""
    import numpy as np

    return counts._with_data(np.sqrt(counts.data))


def fit_ease(actions: Actions, part: ItemItemRetrieval) -> npt.NDArray[np.float32]:
    """EASE's item-item weights (items, items): the closed form of a linear autoencoder with zero diagonal.

    Steck (2019), "Embarrassingly shallow autoencoders for sparse data": B = I - P / diag(P), P = (X'X + λI)^-1, on
    X = the square root of a pair's actions.

    Raises:
        TrainingError: there is no action to learn from, the matrix is larger than the memory a step may take, or
            rounding has made it singular.
    """
    import numpy as np

    from engine.exact import invert_positive

    if not actions.counts.nnz:
        raise TrainingError("item_item: no action of any user on any item is known yet; start the pipeline later")
    _refuse_beyond_memory(actions.counts.shape[1])
    matrix = _products(strength(actions.counts).astype(np.float64))
    matrix[np.diag_indices_from(matrix)] += part.regularization
    if not invert_positive(matrix):
        raise TrainingError(
            f"item_item: the matrix of {len(matrix)} items cannot be inverted with regularization: "
            f"{part.regularization}; expected a larger one"
        )
    matrix /= -np.diag(matrix).copy()  # by column; in place, as it is the largest thing of the run
    np.fill_diagonal(matrix, 0.0)
    return matrix.astype(np.float32)


def _products(seen: sp.csr_matrix) -> npt.NDArray[np.float64]:
    """XᵀX (items, items), dense: its sparse form would take half as much again."""
    import numpy as np

    from engine.sparse_products import gram

    turned, columns = seen.T.tocsr(), seen.indices.astype(np.uint32)
    products: npt.NDArray[np.float64] = gram(seen.indptr, columns, seen.data, (turned.indptr, turned.indices))
    return products


def _refuse_beyond_memory(items: int) -> None:
    needed, allowed = int(_DOUBLES_PER_PAIR * 8 * items**2), memory_limit()
    if needed > allowed:
        raise TrainingError(
            f"item_item: {items:,} items need about {needed / 2**30:.1f} GiB, as its matrix holds every pair of them; "
            f"{MEMORY} allows {allowed / 2**30:.1f} GiB. Use `type: als` in its place, whose memory grows with the "
            f"items alone, or raise {MEMORY} on a machine that has it"
        )


def in_rows(weights: npt.NDArray[np.float32]) -> sp.csr_matrix:
    """A dense matrix by its rows, without the coordinates of every entry that scipy's conversion holds meanwhile."""
    import numpy as np
    import scipy.sparse as sp

    counts = np.count_nonzero(weights, axis=1)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    columns = np.empty(offsets[-1], dtype=np.int32)
    values = np.empty(offsets[-1], dtype=np.float32)
    for row, start in enumerate(offsets[:-1]):
        here = np.flatnonzero(weights[row])
        columns[start : start + len(here)] = here
        values[start : start + len(here)] = weights[row, here]
    return sp.csr_matrix((values, columns, offsets), shape=weights.shape)
