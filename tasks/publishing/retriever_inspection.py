"""What the retrievers of a published version hold: sizes, lengths of factors, and which items are alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import WrongArgument, quoted
from tasks.store.records import Record

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from engine.ranking import Engine
    from engine.retrieval import Retriever
    from engine.retriever_schema import ModelNode

NEAREST = 10


class NormSummary(Record):
    """Lengths of the factors of items: the least, the quartiles and the largest. Long ones are of frequent items."""

    least: float
    lower: float
    median: float
    upper: float
    largest: float


class RetrieverSummary(Record):
    """A retriever's file; `users` and `norms` are null where it holds none."""

    retriever: str
    type: str
    k: int
    bytes: int
    items: int
    users: int | None
    norms: NormSummary | None


class SimilarItem(Record):
    """An item and how alike it is, in the retriever's own measure."""

    item: str
    title: str
    similarity: float


class SimilarItems(Record):
    """The items that a retriever holds most alike to one."""

    retriever: str
    measure: str
    items: tuple[SimilarItem, ...]


def retrievers_of(engine: Engine) -> Iterator[tuple[ModelNode, Retriever]]:
    """The retrievers of all populations, each file once, with their nodes; blends hold no files of their own."""
    from engine.node_schema import PopulationRankerNode
    from engine.retriever_schema import RetrieverBlendNode

    node = engine.descriptor.ranker
    rankers = engine.descriptor.rankers.values() if isinstance(node, PopulationRankerNode) else [node]
    parts = [part for ranker in rankers for part in ranker.retrieve.of if not isinstance(part, RetrieverBlendNode)]
    for part in {part.artifact: part for part in parts}.values():
        yield part, engine.wiring.retriever(part.type, part.artifact)


def summarize(engine: Engine, folder: Path) -> tuple[RetrieverSummary, ...]:
    """Summarize the retrievers of a version whose files lie in a folder."""
    from engine.retrieval import Factors, ItemItem, OfUsers, Popularity

    summaries = []
    for node, retriever in retrievers_of(engine):
        held = retriever.past if isinstance(retriever, ItemItem) else retriever
        users = len(held.users) if isinstance(held, OfUsers) else None
        items = len(held.local.to_catalogue) if isinstance(held, OfUsers | Popularity) else 0
        norms = _norms(retriever.item_factors) if isinstance(retriever, Factors) and items else None
        summaries.append(
            RetrieverSummary(
                retriever=node.identity, type=node.type, k=node.k, bytes=(folder / node.artifact).stat().st_size,
                items=items, users=users, norms=norms,
            )
        )  # fmt: skip
    return tuple(summaries)


def _norms(factors: npt.NDArray[np.float32]) -> NormSummary:
    import numpy as np

    lengths = np.sqrt((factors.astype(np.float64) ** 2).sum(axis=1))
    least, lower, median, upper, largest = (float(one) for one in np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1]))
    return NormSummary(least=least, lower=lower, median=median, upper=upper, largest=largest)


def item_number(engine: Engine, item: str) -> int:
    """The number of an item in the version's catalog.

    Raises:
        WrongArgument: it has no such item.
    """
    ids = engine.wiring.catalogue.items.ids
    number = int(ids.numbers([item])[0])
    if number < 0:
        raise WrongArgument(
            f"--item: found {quoted(item)}, expected one of the {len(ids):,} ids in the version's catalog"
        )
    return number


def similar_items(engine: Engine, item: str) -> tuple[SimilarItems, ...]:
    """What each retriever that compares items holds most alike to an item, of all that it knows.

    Raises:
        WrongArgument: the catalog has no such item.
    """
    catalog, number = engine.wiring.catalogue, item_number(engine, item)
    answers = []
    for node, retriever in retrievers_of(engine):
        alike = _alike(retriever, number)
        if alike is not None:
            measure, pairs = alike
            items = tuple(
                SimilarItem(
                    item=str(catalog.items.ids.values[other]), title=catalog.titles[other], similarity=similarity
                )
                for other, similarity in pairs
            )
            answers.append(SimilarItems(retriever=node.identity, measure=measure, items=items))
    return tuple(answers)


def _alike(retriever: Retriever, number: int) -> tuple[str, list[tuple[int, float]]] | None:
    """How items are compared, and the most alike to one by their numbers in the catalog; None: they are not."""
    import numpy as np

    from engine.retrieval import Factors, ItemItem

    if isinstance(retriever, Factors):
        own, local = int(retriever.local.from_catalogue[number]), retriever.local
        factors = retriever.item_factors.astype(np.float64)
        lengths = np.sqrt((factors**2).sum(axis=1))
        # einsum adds in one order; a product of matrices leaves it to the processor's BLAS.
        products = np.einsum("ij,j->i", factors, factors[own], optimize=False) if own >= 0 else np.empty(0)
        scores = products / np.maximum(lengths * lengths[own], 1e-30) if own >= 0 else products
        measure, others = "cosine of factors", np.arange(len(scores))
    elif isinstance(retriever, ItemItem):
        own, local = int(retriever.past.local.from_catalogue[number]), retriever.past.local
        row = slice(retriever.starts[own], retriever.starts[own + 1]) if own >= 0 else slice(0, 0)
        scores, others = retriever.similarity[row].astype(np.float64), retriever.neighbours[row].astype(np.int64)
        measure = "weight"
    else:
        return None
    # Items that have left the catalog have no title to show.
    keep = (others != own) & (local.to_catalogue[others] >= 0)
    scores, places = scores[keep], local.to_catalogue[others[keep]]
    best = np.lexsort((places, -scores))[:NEAREST]
    return measure, [(int(places[n]), float(scores[n])) for n in best]
