"""The retrieval models: a registry of how each is fitted, what its file holds, and which node of a version serves it.

Item models are fitted on a fixed calendar (`refit`, counted from the pipeline's start) on what was known by then; what
depends on users is made as of the cut. Both are functions of days alone, so they are kept and reused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.examples.learners.als import ALS
from tasks.examples.learners.blend import BLEND, written_weights
from tasks.examples.learners.clusters import CLUSTERS
from tasks.examples.learners.ease import EASE
from tasks.examples.learners.graph import GRAPH
from tasks.examples.learners.history import HISTORY
from tasks.examples.learners.markov import MARKOV
from tasks.examples.learners.neighbors import NEIGHBORS
from tasks.examples.learners.onnx import TWO_TOWERS
from tasks.examples.learners.popularity import POPULARITY
from tasks.examples.learners.protocol import RetrievalModel
from tasks.examples.learners.sampled_factors import BPR, LOGISTIC
from tasks.examples.learners.topics import TOPICS
from tasks.spec.retrieval import Retrieval
from tasks.spec.retrievals.blend import BlendRetrieval

if TYPE_CHECKING:
    from engine.items import Items
    from engine.retrieval import Retriever
    from engine.retriever_schema import UnionNode
    from tasks.spec.spec import Spec


def refit_day(cut: date, start: date, every: int) -> date:
    """The last day up to a cut on which item models are fitted anew.

    Args:
        cut: the cut.
        start: of the pipeline, from which the calendar counts.
        every: days between two fits.
    """
    return cut - timedelta(days=(cut - start).days % every)


RETRIEVAL_MODELS: dict[str, RetrievalModel] = {
    model.type: model
    for model in (
        ALS,
        POPULARITY,
        HISTORY,
        EASE,
        NEIGHBORS,
        GRAPH,
        MARKOV,
        BPR,
        LOGISTIC,
        TOPICS,
        CLUSTERS,
        TWO_TOWERS,
        BLEND,
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


def node_of(part: Retrieval) -> str:
    """Type of the node that serves a retrieval."""
    model = model_of(part)
    return model.variant(part) or model.node


def node_name(part: Retrieval) -> str | None:
    """What the node of a retrieval is called in a version; None where its node's type says it.

    The first type of a node goes by the node's name; others of the same node go by their own, to be told apart.
    """
    node = node_of(part)
    first = next(model for model in RETRIEVAL_MODELS.values() if node in (model.node, *model.variants))
    return part.name or (None if first.type == part.type else part.type)


def node_identity(part: Retrieval) -> str:
    """What features call the node of a retrieval."""
    return node_name(part) or node_of(part)


def union_node(parts: Sequence[Retrieval], folder: str, weights: Mapping[str, Mapping[str, float]]) -> UnionNode:
    """The node of a pipeline's retrievals.

    Args:
        parts: the retrievals.
        folder: where their files are; ends with a slash, or is empty.
        weights: of every blend by its name, as `written_weights` reads them.
    """
    from engine.retriever_schema import UnionNode

    known = {part.identity: part for part in parts}
    nodes: list[dict[str, Any]] = []
    for part in parts:
        node: dict[str, Any] = {"type": node_of(part), "name": node_name(part), "k": part.k}
        if isinstance(part, BlendRetrieval):
            shares = [(known[name], weight) for name, weight in weights[part.identity].items() if weight > 0.0]
            of = [{"of": node_identity(one), "weight": weight} for one, weight in shares]
            node |= {"of": of, "by": part.by, "depth": part.depth}
        else:
            node["artifact"] = f"{folder}{part.files[0]}"
        nodes.append(node)
    return UnionNode.model_validate({"of": nodes})


def load_retrievers(spec: Spec, folder: Path) -> tuple[Items, list[tuple[Retriever, int]]]:
    """Load a cut's catalogue and models as the engine serves them."""
    from engine.loader import Wiring

    wiring = Wiring(folder, "catalogue.parquet")
    by_name = wiring.retrievers(union_node(spec.retrieval, "", written_weights(spec.retrieval, folder)))
    return wiring.catalogue.items, [(by_name[node_identity(part)], part.k) for part in spec.retrieval]


def blas_kernels(parts: Iterable[Retrieval]) -> list[str]:
    """The names of this processor's BLAS kernels, which tell processors apart, if one of the models depends on it."""
    import scipy.linalg  # noqa: F401  BLAS libraries are found once they are loaded
    from threadpoolctl import threadpool_info

    if not any(model_of(part).processor_dependent(part) for part in parts):
        return []
    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return sorted({library.get("architecture", library["internal_api"]) for library in blas})
