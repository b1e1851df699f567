"""Fit retrieval models on a matrix of actions: users × items, one cut's past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.errors import TrainingError
from tasks.spec_parts import AlsRetrieval, ItemItemRetrieval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    import scipy.sparse as sp


@dataclass(frozen=True, eq=False)
class Actions:
    """How often each user acted on each item: ids in ascending order, counts as a (users, items) CSR matrix."""

    users: npt.NDArray[np.str_]
    items: npt.NDArray[np.str_]
    counts: sp.csr_matrix

    @classmethod
    def of(cls, rows: pa.Table, items: npt.NDArray[np.str_] | None = None) -> Actions:
        """Make the matrix from rows (user_id, item_id, actions) sorted by user and item.

        Args:
            rows: one row a pair.
            items: the columns, ascending; rows of other items are left out. All items of the rows if absent.
        """
        import numpy as np
        import scipy.sparse as sp

        users = np.asarray(rows["user_id"].to_pylist(), dtype=np.str_)
        found = np.asarray(rows["item_id"].to_pylist(), dtype=np.str_)
        counts = np.asarray(rows["actions"].to_numpy(), dtype=np.float32)
        if items is not None:
            known = np.isin(found, items)
            users, found, counts = users[known], found[known], counts[known]
        names, row = np.unique(users, return_inverse=True)
        columns = np.unique(found) if items is None else items
        column = np.searchsorted(columns, found)
        matrix = sp.csr_matrix((counts, (row, column)), shape=(len(names), len(columns)), dtype=np.float32)
        matrix.sort_indices()
        return cls(names, columns, matrix)


def fit_als(actions: Actions, part: AlsRetrieval) -> npt.NDArray[np.float32]:
    """Return the item factors (items, factors) of implicit-feedback matrix factorisation.

    Hu, Koren and Volinsky (2008); the confidence of a pair is 1 + alpha * log(1 + actions).

    Raises:
        TrainingError: there is no action to learn from.
    """
    import numpy as np
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    if not actions.counts.nnz:
        raise TrainingError("ALS: no action of any user on any item is known yet; start the pipeline later")
    model = AlternatingLeastSquares(
        factors=part.factors,
        regularization=part.regularization,
        alpha=1.0,
        iterations=part.iterations,
        random_state=part.seed,
        num_threads=1,
        calculate_training_loss=False,
    )
    with threadpool_limits(1, "blas"):
        model.fit(confidence(actions.counts, part.alpha), show_progress=False)
    return np.ascontiguousarray(model.item_factors, dtype=np.float32)


def confidence(counts: sp.csr_matrix, alpha: float) -> sp.csr_matrix:
    """Return 1 + alpha * log(1 + counts) for the pairs with an action."""
    import numpy as np

    weighted = counts.copy()
    weighted.data = (1.0 + alpha * np.log1p(counts.data)).astype(np.float32)
    return weighted


def fit_ease(actions: Actions, part: ItemItemRetrieval) -> npt.NDArray[np.float32]:
    """Return EASE's item-item weights (items, items): the closed form of a linear autoencoder with zero diagonal.

    Steck (2019), "Embarrassingly shallow autoencoders for sparse data": B = I - P / diag(P), P = (X'X + λI)^-1, on
    X = 1 where a user acted on an item.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    seen = actions.counts.copy()
    seen.data = np.ones_like(seen.data)
    with threadpool_limits(1, "blas"):
        gram = (seen.T @ seen).toarray().astype(np.float64)
        gram[np.diag_indices_from(gram)] += part.regularization
        inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights.astype(np.float32)
