"""What follows what: transitions from the items of one active day of a user to those of the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.errors import TrainingError
from tasks.examples.learners.item_matrix import ItemMatrix, file_of, largest_products
from tasks.examples.learners.protocol import Arrays, AsOf, RetrievalModel
from tasks.examples.retrieval_models import Past
from tasks.spec.retrieval import MarkovRetrieval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import scipy.sparse as sp


@dataclass(frozen=True, eq=False)
class Days:
    """The active days of all users: by user, and of one user the oldest first.

    Attributes:
        user: whose each is.
        age: in days.
        items: (active days, items), 1 where there was an action.
    """

    user: npt.NDArray[np.int64]
    age: npt.NDArray[np.int64]
    items: sp.csr_matrix

    @classmethod
    def of(cls, past: Past, items: npt.NDArray[np.str_]) -> Days:
        """Take the past apart; `items` are the columns, ascending, others are left out."""
        import numpy as np
        import scipy.sparse as sp

        at, known = past.places(items)
        rows = np.flatnonzero(known[past.item])
        keys = np.stack([past.user[rows], -past.age[rows]])
        days, day = np.unique(keys, axis=1, return_inverse=True)
        ones = np.ones(len(rows))
        matrix = sp.csr_matrix((ones, (day.ravel(), at[past.item[rows]])), shape=(days.shape[1], len(items)))
        matrix.sort_indices()
        return cls(days[0], -days[1], matrix)


def fit_markov(past: Past, part: MarkovRetrieval) -> ItemMatrix:
    """The share of an item's days that were followed by a day with each other item, within the window.

    `smoothing` days without a successor are added to each item's, so that what was seen once is not taken for sure.

    Raises:
        TrainingError: no user was active on two days within the window.
    """
    import numpy as np

    days = Days.of(past, past.items)
    follows = (np.diff(days.user) == 0) & (-np.diff(days.age) <= part.window)
    if not follows.any():
        raise TrainingError(
            f"markov: no user was active on two days within {part.window}d of each other; start the pipeline later, "
            "or widen `window`"
        )
    before, after = (days.items[np.flatnonzero(follows) + step] for step in (0, 1))
    seen = np.bincount(before.indices, minlength=len(past.items))
    shares = before._with_data(1.0 / (seen[before.indices] + part.smoothing))
    return ItemMatrix(past.items, largest_products(shares.T.tocsr(), after, part.neighbors))


def _arrays(part: MarkovRetrieval, now: AsOf, fitted: ItemMatrix) -> Arrays:
    """What follows the last active days of each user, each of which counts half of the one after it."""
    import numpy as np

    days = Days.of(now.past, fitted.items)
    users, first = np.unique(days.user, return_index=True)
    last = np.append(first[1:], len(days.user)) - 1
    back = np.repeat(last, last - first + 1) - np.arange(len(days.user))
    recent = np.flatnonzero(back < part.last)
    # Powers of 2 are exact, and so are their sums.
    weights = np.ldexp(1.0, -back[recent])
    import scipy.sparse as sp

    owners = np.searchsorted(users, days.user[recent])
    by_user = sp.csr_matrix((weights, (owners, recent)), shape=(len(users), len(days.user)))
    summed = (by_user @ days.items).tocsr()
    summed.sort_indices()
    return file_of(fitted, now.past.users[users], summed)


MARKOV = RetrievalModel(MarkovRetrieval, "ItemItem", _arrays, fit_markov)
