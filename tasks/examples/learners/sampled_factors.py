"""Factors by gradient steps on samples: BPR and logistic matrix factorization, both of the library `implicit`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.examples.learners.item_matrix import known_actions
from tasks.examples.learners.protocol import Arrays, AsOf, RetrievalModel
from tasks.examples.retrieval_models import Actions, Past
from tasks.spec.retrieval import BprRetrieval, LogisticRetrieval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class FactorPair:
    """What such a model has learned: ids in ascending order, and a row of factors for each."""

    users: npt.NDArray[np.str_]
    items: npt.NDArray[np.str_]
    user_factors: npt.NDArray[np.float32]
    item_factors: npt.NDArray[np.float32]


def fit_bpr(past: Past, part: BprRetrieval) -> FactorPair:
    """Factors that put a user's items before others, pair by pair.

    Raises:
        TrainingError: there is no action to learn from.
    """
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=part.factors,
        learning_rate=part.learning_rate,
        regularization=part.regularization,
        iterations=part.iterations,
        num_threads=1,  # threads would write to the same factors in any order
        random_state=part.seed,
    )
    return _fitted(model, known_actions(past, part, half_life=None))


def fit_logistic(past: Past, part: LogisticRetrieval) -> FactorPair:
    """Factors whose dot products are the log-odds of an action.

    Raises:
        TrainingError: there is no action to learn from.
    """
    from implicit.cpu.lmf import LogisticMatrixFactorization

    model = LogisticMatrixFactorization(
        factors=part.factors,
        learning_rate=part.learning_rate,
        regularization=part.regularization,
        iterations=part.iterations,
        neg_prop=part.negatives,
        num_threads=1,
        random_state=part.seed,
    )
    return _fitted(model, known_actions(past, part, half_life=part.half_life))


def _fitted(model: Any, known: Actions) -> FactorPair:
    import numpy as np
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        model.fit(known.counts, show_progress=False)
    users, items = (np.ascontiguousarray(rows, dtype=np.float32) for rows in (model.user_factors, model.item_factors))
    return FactorPair(known.users, known.items, users, items)


def _arrays(part: BprRetrieval | LogisticRetrieval, now: AsOf, fitted: FactorPair) -> Arrays:
    return {
        "user_ids": fitted.users,
        "item_ids": fitted.items,
        "user_factors": fitted.user_factors,
        "item_factors": fitted.item_factors,
    }


BPR = RetrievalModel(BprRetrieval, "Factors", _arrays, fit_bpr, processor_dependent=lambda _: True)
LOGISTIC = RetrievalModel(LogisticRetrieval, "Factors", _arrays, fit_logistic, processor_dependent=lambda _: True)
