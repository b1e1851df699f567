"""Popularity within clusters of users: k-means on the directions of their factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.examples.arrays import texts
from tasks.examples.learners.item_matrix import known_actions
from tasks.examples.learners.popularity import then_by
from tasks.examples.learners.protocol import Arrays, AsOf, RetrievalModel
from tasks.examples.retrieval_models import Actions, Past, confidence, fit_als
from tasks.spec.retrieval import AlsRetrieval
from tasks.spec.retrievals.clusters import ClustersRetrieval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from engine.als import Penalty
    from engine.arrays import Codes, Floats, Singles

_ITERATIONS = 50
"""Of k-means, at most: assignments hardly change after a dozen."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """What is kept between refit days.

    Attributes:
        items: ids, ascending.
        factors: (items, factors).
        penalty: of the users, with which the items were fitted.
        centers: (clusters, factors).
    """

    items: npt.NDArray[np.str_]
    factors: Singles
    penalty: Penalty
    centers: Floats


def fit_clusters(past: Past, part: ClustersRetrieval) -> Clusters:
    """Find the clusters of users.

    Raises:
        TrainingError: there is no action to learn from.
    """
    from engine.kmeans import fit

    known = known_actions(past, part, half_life=None)
    settings = {"factors": part.factors, "regularization": part.regularization, "alpha": part.alpha, "seed": part.seed}
    factors, penalty = fit_als(known, AlsRetrieval.model_validate({"type": "als", "k": part.k, **settings}))
    directions = _directions(known, factors, penalty, part.alpha)
    return Clusters(known.items, factors, penalty, fit(directions, part.clusters, _ITERATIONS, part.seed))


def _directions(actions: Actions, factors: Singles, penalty: Penalty, alpha: float) -> Floats:
    """The factors (users, factors) of users, of length 1: how much somebody does says nothing of the taste."""
    import numpy as np

    from engine.folding import fold_in_all

    trust = confidence(actions.counts, alpha)
    folded = fold_in_all(factors, penalty, trust.indptr.astype("i8"), trust.indices, trust.data).astype(np.float64)
    # Added factor by factor: numpy's own sums take several at once, as many as the processor has room for.
    squares = np.zeros(len(folded))
    for column in folded.T:
        squares += column * column
    return np.ascontiguousarray(folded / np.sqrt(np.where(squares > 0.0, squares, 1.0))[:, None])


def _arrays(part: ClustersRetrieval, now: AsOf, fitted: Clusters) -> Arrays:
    import numpy as np

    from engine.kmeans import nearest

    actions = now.past.matrix(None, fitted.items)
    directions = _directions(actions, fitted.factors, fitted.penalty, part.alpha)
    clusters = nearest(directions, fitted.centers)
    rows = np.full(len(now.past.users), -1, dtype=np.int32)
    rows[np.searchsorted(now.past.users, actions.users)] = clusters
    everybody = now.past.totals(part.window, now.item_ids)
    totals = [now.past.totals(part.window, now.item_ids, rows == number) for number in range(len(fitted.centers))]
    users, segment = actions.users, clusters
    if part.by is not None:
        users, segment = _with_newcomers(users, clusters, now, part.by)
    return {
        "user_ids": users,
        "item_ids": now.item_ids,
        "segment": (segment + 1).astype(np.int32),
        "scores": np.stack([everybody, *(then_by(own, everybody, now.unit) for own in totals)]),
    }


def _with_newcomers(
    users: npt.NDArray[np.str_], clusters: Codes, now: AsOf, attribute: str
) -> tuple[npt.NDArray[np.str_], Codes]:
    """Add the users without a cluster who share a value of an attribute with some who have one.

    Their cluster is the one of most of those, of equal ones the first.
    """
    import numpy as np

    known = now.segments[attribute]
    people = texts(known["user_id"])
    values, value = np.unique(texts(known["segment"]), return_inverse=True)
    _, clustered, among = np.intersect1d(users, people, assume_unique=True, return_indices=True)
    counts = np.zeros((len(values), int(clusters.max(initial=0)) + 1), dtype=np.int64)
    np.add.at(counts, (value[among], clusters[clustered]), 1)
    new = ~np.isin(people, users) & (counts.sum(axis=1) > 0)[value]
    everyone = np.concatenate([users, people[new]])
    order = np.argsort(everyone)
    segment = np.concatenate([clusters, counts.argmax(axis=1)[value[new]].astype(np.int32)])
    return everyone[order], segment[order]


CLUSTERS = RetrievalModel(ClustersRetrieval, "SegmentPopularity", _arrays, fit_clusters)
