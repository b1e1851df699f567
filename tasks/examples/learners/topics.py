"""Topics by latent Dirichlet allocation, with users folded in as of the cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.examples.learners.item_matrix import known_actions
from tasks.examples.learners.protocol import Arrays, AsOf, RetrievalModel
from tasks.examples.retrieval_models import Past
from tasks.spec.retrievals.topics import TopicsRetrieval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from engine.arrays import Floats


@dataclass(frozen=True, eq=False)
class Topics:
    """What is kept between refit days.

    Attributes:
        items: ids, ascending.
        weights: (items, topics), as `engine.topics` has them.
    """

    items: npt.NDArray[np.str_]
    weights: Floats


def fit_topics(past: Past, part: TopicsRetrieval) -> Topics:
    """Learn topics from what users did.

    Raises:
        TrainingError: there is no action to learn from.
    """
    from engine.topics import Documents, Priors, fit, start

    known = known_actions(past, part, part.half_life)
    begin = start(len(known.items), part.topics, part.seed)
    weights = fit(Documents.of(known.counts), begin, Priors(part.alpha, part.eta), part.iterations)
    return Topics(known.items, weights)


def _arrays(part: TopicsRetrieval, now: AsOf, fitted: Topics) -> Arrays:
    import numpy as np

    from engine.topics import Documents, fold_in, shares

    actions = now.past.matrix(part.half_life, fitted.items)
    # Of the items that were fitted: a newer one is in no topic until the next refit day.
    users = fold_in(Documents.of(actions.counts), fitted.weights, part.alpha)
    return {
        "user_ids": actions.users,
        "item_ids": fitted.items,
        "user_factors": users.astype(np.float32),
        "item_factors": shares(fitted.weights).astype(np.float32),
    }


TOPICS = RetrievalModel(TopicsRetrieval, "Factors", _arrays, fit_topics)
