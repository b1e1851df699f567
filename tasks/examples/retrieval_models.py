"""Fit retrieval models on a matrix of actions: users × items, one cut's past."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING

from tasks.errors import TrainingError
from tasks.spec.retrieval import AlsRetrieval
from tasks.store.settings import threads

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    import scipy.sparse as sp

    from engine.als import Penalty


@dataclass(frozen=True, eq=False)
class Actions:
    """How much each user acted on each item: ids in ascending order, a (users, items) CSR matrix."""

    users: npt.NDArray[np.str_]
    items: npt.NDArray[np.str_]
    counts: sp.csr_matrix


@dataclass(frozen=True, eq=False)
class Past:
    """Actions, or what they weigh, by user, item and age in days, in this order of columns and rows.

    Ids are numbers of sorted names.
    """

    users: npt.NDArray[np.str_]
    items: npt.NDArray[np.str_]
    user: npt.NDArray[np.int64]
    item: npt.NDArray[np.int64]
    age: npt.NDArray[np.int64]
    actions: npt.NDArray[np.float64]

    @classmethod
    def of(cls, rows: pa.Table) -> Past:
        """Take rows (user_id, item_id, age, actions), sorted by user and item."""
        import numpy as np

        users, user = encode(rows["user_id"])
        items, item = encode(rows["item_id"])
        age = rows["age"].to_numpy().astype(np.int64)
        return cls(users, items, user, item, age, rows["actions"].to_numpy().astype(np.float64))

    @property
    def pairs(self) -> int:
        """Users × items with an action."""
        import numpy as np

        return len(np.unique(self.user * len(self.items) + self.item))

    def before(self, days: int) -> Past:
        """The past without its last `days`, as of the day before them."""
        import numpy as np

        keep = self.age >= days
        users, user = np.unique(self.user[keep], return_inverse=True)
        items, item = np.unique(self.item[keep], return_inverse=True)
        return Past(self.users[users], self.items[items], user, item, self.age[keep] - days, self.actions[keep])

    def matrix(self, half_life: int | None, items: npt.NDArray[np.str_] | None = None) -> Actions:
        """The sums of actions of each pair, an action that is `half_life` days old counting one half.

        Args:
            half_life: in days; None: every action counts fully.
            items: the columns, ascending; other items are left out. All items of the past if absent.
        """
        import numpy as np
        import scipy.sparse as sp

        weight = self.actions
        if half_life is not None:
            weight = weight * _decay(half_life, int(self.age.max(initial=0)))[self.age]
        columns = self.items if items is None else items
        at, known = self.places(columns)
        keep = known[self.item]
        user, item = self.user[keep], at[self.item[keep]]
        starts = np.flatnonzero(np.diff(user * (len(columns) + 1) + item, prepend=-1))  # -1 is no pair
        sums = np.add.reduceat(weight[keep], starts) if len(starts) else np.empty(0)
        names, row = np.unique(user[starts], return_inverse=True)  # users left without an item have no row
        matrix = sp.csr_matrix((sums.astype(np.float32), (row, item[starts])), shape=(len(names), len(columns)))
        matrix.sort_indices()
        return Actions(self.users[names], columns, matrix)

    def totals(
        self, window: int, items: npt.NDArray[np.str_], of: npt.NDArray[np.bool_] | None = None
    ) -> npt.NDArray[np.float32]:
        """The sum of each item's actions of the last `window` days.

        Args:
            window: in days.
            items: ascending; other items are left out.
            of: which users count; all if absent.
        """
        import numpy as np

        at, known = self.places(items)
        keep = known[self.item] & (self.age < window)
        if of is not None:
            keep &= of[self.user]
        sums = np.bincount(at[self.item[keep]], weights=self.actions[keep], minlength=len(items))
        return sums.astype(np.float32)

    def places(self, columns: npt.NDArray[np.str_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Where the past's items are among columns, ascending, and whether they are."""
        import numpy as np

        at = np.searchsorted(columns, self.items) if len(columns) else np.zeros(len(self.items), dtype=np.int64)
        known = at < len(columns)  # `searchsorted` gives the length for what would come after the last
        known[known] = columns[at[known]] == self.items[known]
        return at, known


def _decay(half_life: int, oldest: int) -> npt.NDArray[np.float64]:
    """Return 2^(-age / half_life) for the ages from 0 to `oldest`, in days."""
    import numpy as np

    # Powers of numpy and of the C library differ in the last bit between processors; decimal ones don't.
    context = Context(prec=40)
    ages = (context.divide(Decimal(-age), Decimal(half_life)) for age in range(oldest + 1))
    return np.array([float(context.power(Decimal(2), age)) for age in ages])


def encode(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.int64]]:
    """The sorted distinct texts of a column, and the number of each row's."""
    import numpy as np

    encoded = column.combine_chunks().dictionary_encode()
    names = np.asarray(encoded.dictionary.to_pylist(), dtype=np.str_)
    order = np.argsort(names)
    rank = np.empty(len(names), dtype=np.int64)
    rank[order] = np.arange(len(names))
    return names[order], rank[encoded.indices.to_numpy()]


def fit_als(actions: Actions, part: AlsRetrieval) -> tuple[npt.NDArray[np.float32], Penalty]:
    """The item factors (items, factors) of implicit-feedback matrix factorization, and the penalty of their users.

    Hu, Koren and Volinsky (2008); the confidence of a pair is alpha * actions, 1 where there is none.

    Raises:
        TrainingError: there is no action to learn from.
    """
    from engine.als import Penalty, Settings, fit, scaled_by_count

    if not actions.counts.nnz:
        raise TrainingError("ALS: no action of any user on any item is known yet; start the pipeline later")
    weights = confidence(actions.counts, part.alpha)
    penalties = (Penalty(part.regularization), Penalty(part.regularization))
    if part.regularize == "by_count":
        penalties = scaled_by_count(part.regularization, part.alpha, weights.shape, weights.nnz)
    if part.solver == "implicit":
        return _fit_by_implicit(weights, part), penalties[0]
    _, items = fit(weights, penalties, Settings(part.factors, part.iterations, part.seed, threads()))
    return items, penalties[0]


def _fit_by_implicit(weights: sp.csr_matrix, part: AlsRetrieval) -> npt.NDArray[np.float32]:
    import numpy as np
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    # `implicit` warns where BLAS has threads of its own: they compete with the library's.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=part.factors,
            regularization=part.regularization,
            alpha=1.0,  # the weights are confidences already
            iterations=part.iterations,
            random_state=part.seed,
            num_threads=1,
            calculate_training_loss=False,
        )
        model.fit(weights, show_progress=False)
    return np.ascontiguousarray(model.item_factors, dtype=np.float32)


def confidence(counts: sp.csr_matrix, alpha: float) -> sp.csr_matrix:
    """Alpha * actions for the pairs with an action; pairs without one have the confidence 1."""
    weighted = counts.copy()
    weighted.data = weighted.data * weighted.data.dtype.type(alpha)
    return weighted
