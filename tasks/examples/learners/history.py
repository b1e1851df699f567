"""The items of a user's own past."""

from __future__ import annotations

from tasks.examples.learners.protocol import Arrays, AsOf, RetrievalModel
from tasks.spec.retrieval import HistoryRetrieval

_TIE = 1e-3
"""Part of one action by which the users of an item order sums with a half-life, of which hardly any two are equal."""


def _arrays(part: HistoryRetrieval, now: AsOf, fitted: None) -> Arrays:
    """Score a user's items by actions, ties by the item's distinct users (a fraction of what sums differ by)."""
    import numpy as np

    actions = now.past.matrix(part.half_life, now.item_ids)
    users = now.items["item_users_365d"].to_numpy().astype(np.float64)
    # Below what two sums differ by, so that it only decides between equal ones.
    unit = 1.0 if now.unit is None else now.unit
    fraction = users / (users.max(initial=0.0) + 1.0) * (unit if part.half_life is None else unit * _TIE)
    return {
        "user_ids": actions.users,
        "item_ids": actions.items,
        "offsets": actions.counts.indptr.astype("i8"),
        "items": actions.counts.indices.astype("i4"),
        "scores": (actions.counts.data + fraction[actions.counts.indices]).astype("f4"),
    }


HISTORY = RetrievalModel(HistoryRetrieval, "History", _arrays)
