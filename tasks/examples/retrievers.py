"""The retrieval models: a registry of how each is fitted, what its file holds, and which node of a version serves it.

Item models are fitted on a fixed calendar (`refit`, counted from the pipeline's start) on what was known by then; what
depends on users is made as of the cut. Both are functions of days alone, so they are kept and reused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from tasks.examples.arrays import texts
from tasks.examples.item_item import fit_ease, in_rows, strength
from tasks.examples.retrieval_models import Actions, Past, confidence, fit_als
from tasks.spec.parts import Part
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
    import pyarrow as pa

    from engine.als import Penalty
    from engine.items import Items
    from engine.retrieval import Retriever
    from tasks.spec.spec import Spec

Arrays = dict[str, Any]
"""What a model's file holds, by the names that its class in `engine/retrieval.py` reads."""


@dataclass(frozen=True, eq=False)
class AsOf:
    """What is known as of a cut.

    Attributes:
        past: actions of the past year, weighted where the pipeline declares kinds.
        items: the items with their features, by id.
        unit: what two different sums of weights differ by at least; None: nothing is weighted.
    """

    past: Past
    items: pa.Table
    unit: float | None = None

    @property
    def item_ids(self) -> npt.NDArray[np.str_]:
        """Ids of the items, in their order."""
        return texts(self.items["item_id"])


@dataclass(frozen=True)
class RetrievalModel:
    """A type of retrieval.

    Attributes:
        settings: its part of the pipeline file, whose `type` is its name there.
        node: type of the node that serves it, as `engine/node_schema.py` and `engine/loader.py` have it.
        arrays: makes what its file holds as of a cut, from its settings and from what `fit` returned.
        fit: fits what is kept between refit days, to the actions known by such a day; None if there is nothing.
        uses_blas: tells from its settings whether its bits depend on the BLAS kernel of a processor.
    """

    settings: type[Part]
    node: str
    arrays: Callable[[Any, AsOf, Any], Arrays]
    fit: Callable[[Actions, Any], Any] | None = None
    uses_blas: Callable[[Any], bool] = lambda _: False

    @property
    def type(self) -> str:
        """Name in the pipeline file."""
        return str(get_args(self.settings.model_fields["type"].annotation)[0])


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


def _fit_als(known: Actions, part: AlsRetrieval) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float32], Penalty]:
    return known.items, *fit_als(known, part)


def _item_item(part: ItemItemRetrieval, now: AsOf, fitted: Any) -> Arrays:
    item_ids, weights = fitted
    actions = now.past.matrix(part.half_life, item_ids)
    return {
        "user_ids": actions.users,
        "item_ids": item_ids,
        "offsets": actions.counts.indptr.astype("i8"),
        "items": actions.counts.indices.astype("i4"),
        "scores": strength(actions.counts).data,
        "starts": weights.indptr.astype("i8"),
        "neighbours": weights.indices.astype("i4"),
        "similarity": weights.data.astype("f4"),
    }


def _fit_item_item(known: Actions, part: ItemItemRetrieval) -> tuple[npt.NDArray[np.str_], Any]:
    return known.items, in_rows(fit_ease(known, part))


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
        RetrievalModel(ItemItemRetrieval, "ItemItem", _item_item, _fit_item_item),
        # Add a new one here. It needs its settings in tasks/spec/retrieval.py (a member of `Retrieval`), and its node
        # in engine/node_schema.py with a class in engine/retrieval.py. Import heavy libraries inside its functions:
        # pages and DAG files read this table, too.
    )
}
"""The retrieval models by their names in the pipeline file."""


def model_of(part: Retrieval) -> RetrievalModel:
    """The model that a part of the pipeline file declares."""
    return RETRIEVAL_MODELS[part.type]


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
    """The names of this processor's BLAS kernels if the bits of one of the models depend on them."""
    import scipy.linalg  # noqa: F401  BLAS libraries are found once they are loaded
    from threadpoolctl import threadpool_info

    if not any(model_of(part).uses_blas(part) for part in parts):
        return []
    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return sorted({library.get("architecture", library["internal_api"]) for library in blas})
