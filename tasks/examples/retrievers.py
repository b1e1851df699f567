"""The retrieval models: a registry of how each is fitted, what its file holds, and which node of a version serves it.

Item models are fitted on a fixed calendar (`refit`, counted from the pipeline's start) on what was known by then; what
depends on users is made as of the cut. Both are functions of days alone, so they are kept and reused.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.examples.arrays import texts
from tasks.examples.item_item import fit_ease, in_rows, strength
from tasks.examples.learners.graph import GRAPH
from tasks.examples.learners.item_matrix import ItemMatrix, of_actions
from tasks.examples.learners.markov import MARKOV
from tasks.examples.learners.neighbors import NEIGHBORS
from tasks.examples.learners.protocol import Arrays, AsOf, RetrievalModel
from tasks.examples.retrieval_models import Past, confidence, fit_als
from tasks.spec.retrieval import (
    AlsRetrieval,
    HistoryRetrieval,
    ItemItemRetrieval,
    PopularityRetrieval,
    Retrieval,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from engine.als import Penalty
    from engine.items import Items
    from engine.retrieval import Retriever
    from tasks.spec.spec import Spec


def refit_day(cut: date, start: date, every: int) -> date:
    """The last day up to a cut on which item models are fitted anew.

    Args:
        cut: the cut.
        start: of the pipeline, from which the calendar counts.
        every: days between two fits.
    """
    return cut - timedelta(days=(cut - start).days % every)


def _als(part: AlsRetrieval, now: AsOf, fitted: Any) -> Arrays:
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


def _fit_als(past: Past, part: AlsRetrieval) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float32], Penalty]:
    known = past.matrix(part.half_life)
    return known.items, *fit_als(known, part)


def _fit_item_item(past: Past, part: ItemItemRetrieval) -> ItemMatrix:
    known = past.matrix(part.half_life)
    return ItemMatrix(known.items, in_rows(fit_ease(known, part)))


def _popularity(part: PopularityRetrieval, now: AsOf, fitted: None) -> Arrays:
    if now.unit is None:
        return {"item_ids": now.item_ids, "scores": now.items[f"item_actions_{part.window}d"].to_numpy()}
    # The mart counts actions, for features; what they weigh is only known of the past that retrieval learns from.
    return {"item_ids": now.item_ids, "scores": now.past.totals(part.window, now.item_ids)}


def _history(part: HistoryRetrieval, now: AsOf, fitted: None) -> Arrays:
    """Score a user's items by actions, ties by the item's distinct users (a fraction of what sums differ by)."""
    import numpy as np

    actions = now.past.matrix(None, now.item_ids)
    users = now.items["item_users_365d"].to_numpy().astype(np.float64)
    # Below what two sums differ by, so that it only decides between equal ones.
    fraction = users / (users.max(initial=0.0) + 1.0) * (1.0 if now.unit is None else now.unit)
    return {
        "user_ids": actions.users,
        "item_ids": actions.items,
        "offsets": actions.counts.indptr.astype("i8"),
        "items": actions.counts.indices.astype("i4"),
        "scores": (actions.counts.data + fraction[actions.counts.indices]).astype("f4"),
    }


RETRIEVAL_MODELS: dict[str, RetrievalModel] = {
    model.type: model
    for model in (
        RetrievalModel(AlsRetrieval, "ALS", _als, _fit_als, lambda part: part.solver == "implicit"),
        RetrievalModel(PopularityRetrieval, "Popularity", _popularity),
        RetrievalModel(HistoryRetrieval, "History", _history),
        RetrievalModel(ItemItemRetrieval, "ItemItem", of_actions(strength), _fit_item_item),
        NEIGHBORS,
        GRAPH,
        MARKOV,
        # Add a new one here, with a module of its own in tasks/examples/learners/. It needs its settings in
        # tasks/spec/retrieval.py (a member of `Retrieval`), a case in the contract test, and a node: one that there is,
        # or a new one in engine/node_schema.py with a class in engine/retrieval.py. Import heavy libraries inside its
        # functions: pages and DAG files read this table, too.
    )
}
"""The retrieval models by their names in the pipeline file."""


def model_of(part: Retrieval) -> RetrievalModel:
    """The model that a part of the pipeline file declares."""
    return RETRIEVAL_MODELS[part.type]


def node_name(part: Retrieval) -> str | None:
    """What the node of a retrieval is called in a version; None where its node's type says it.

    The first type of a node goes by the node's name; others of the same node go by their own, to be told apart.
    """
    first = next(model for model in RETRIEVAL_MODELS.values() if model.node == model_of(part).node)
    return part.name or (None if first.type == part.type else part.type)


def load_retrievers(spec: Spec, folder: Path) -> tuple[Items, list[tuple[Retriever, int]]]:
    """Load a cut's catalogue and models as the engine serves them."""
    import pyarrow.parquet as pq

    from engine.ids import Ids
    from engine.items import Items
    from engine.loader import RETRIEVERS

    catalogue = pq.read_table(folder / "catalogue.parquet")
    items = Items(Ids.of(texts(catalogue["item_id"]), "catalogue"), catalogue["available"].to_numpy())
    return items, [(RETRIEVERS[model_of(part).node].load(folder / part.file, items), part.k) for part in spec.retrieval]


def blas_kernels(parts: Iterable[Retrieval]) -> list[str]:
    """The names of this processor's BLAS kernels, which tell processors apart, if one of the models depends on it."""
    import scipy.linalg  # noqa: F401  BLAS libraries are found once they are loaded
    from threadpoolctl import threadpool_info

    if not any(model_of(part).processor_dependent(part) for part in parts):
        return []
    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return sorted({library.get("architecture", library["internal_api"]) for library in blas})
