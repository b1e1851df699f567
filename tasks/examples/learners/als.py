"""Factors of users and items: alternating least squares, with users folded in as of the cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.examples.learners.protocol import Arrays, AsOf, RetrievalModel
from tasks.examples.retrieval_models import Past, confidence, fit_als
from tasks.spec.retrieval import AlsRetrieval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from engine.als import Penalty


def _fit(past: Past, part: AlsRetrieval) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float32], Penalty]:
    known = past.matrix(part.half_life)
    return known.items, *fit_als(known, part)


def _arrays(part: AlsRetrieval, now: AsOf, fitted: Any) -> Arrays:
    from engine.folding import fold_in_all

    item_ids, factors, penalty = fitted
    actions = now.past.matrix(part.half_life, item_ids)
    # Of the items that were fitted: a newer one has no factors until the next refit day.
    trust = confidence(actions.counts, part.alpha)
    return {
        "user_ids": actions.users,
        "item_ids": item_ids,
        "user_factors": fold_in_all(factors, penalty, trust.indptr.astype("i8"), trust.indices, trust.data),
        "item_factors": factors,
        "regularization": penalty.base,
        "regularization_per_item": penalty.per_entry,
        "alpha": part.alpha,
    }


ALS = RetrievalModel(AlsRetrieval, "ALS", _arrays, _fit, lambda part: part.solver == "implicit")
