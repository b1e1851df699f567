"""The parts of a pipeline file that say where candidates come from, one for each type of retrieval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from tasks.spec.retrievals.base import RetrievalPart
from tasks.spec.retrievals.blend import BlendRetrieval
from tasks.spec.retrievals.clusters import ClustersRetrieval
from tasks.spec.retrievals.onnx import OnnxRetrieval
from tasks.spec.retrievals.topics import TopicsRetrieval
from tasks.spec.values import (
    Column,
    NonNegativeFloat,
    NonNegativeInt,
    Number,
    PositiveFloat,
    PositiveInt,
    SomeDays,
    Whole,
)


class AlsRetrieval(RetrievalPart):
    """Implicit-feedback matrix factorization (Hu, Koren, Volinsky 2008)."""

    type: Literal["als"]
    factors: Annotated[Whole, Field(ge=1, le=1024)] = Field(default=64, description="Length of the vectors.")
    regularization: PositiveFloat = Field(default=20.0, description="L2 penalty.")
    regularize: Literal["plain", "by_count"] = Field(
        default="plain",
        description="`plain`: everybody alike; `by_count`: users and items in proportion to their actions, with the "
        "same mean (Rendle et al. 2022).",
    )
    alpha: PositiveFloat = Field(default=4.0, description="Confidence of a pair is alpha * actions.")
    iterations: PositiveInt = Field(default=15, description="Alternating sweeps.")
    refit: SomeDays = Field(default=7, description="Item factors are fitted anew on this calendar.")
    half_life: SomeDays | None = Field(
        default=None, description="An action this long ago counts half; every action counts fully if absent."
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of the starting point.")
    solver: Literal["exact", "implicit"] = Field(
        default="exact",
        description="`exact`: the same bytes on every processor; `implicit`: that library, whose bytes depend on the "
        "processor's BLAS kernel.",
    )
    k: PositiveInt = Field(description="Items retrieved for each user.")

    @model_validator(mode="after")
    def _penalty_of_the_library(self) -> AlsRetrieval:
        if self.solver == "implicit" and self.regularize != "plain":
            raise ValueError(
                f"found regularize: {self.regularize} with solver: implicit, which knows plain only; "
                "expected solver: exact"
            )
        return self


class PopularityRetrieval(RetrievalPart):
    """The items with most actions in a trailing window, of everybody or of users who are alike."""

    type: Literal["popularity"]
    window: SomeDays = Field(default=28, description="Trailing window; one the item features have.")
    by: Column | None = Field(
        default=None,
        exclude_if=lambda by: by is None,
        description="An attribute of users, of which each value has a list of its own, as of the cut; equal items, and "
        "users without a value, as for everybody.",
    )
    k: PositiveInt = Field(description="Items retrieved.")

    @property
    def attribute(self) -> str | None:
        """The attribute of users that is read as of cuts."""
        return self.by


class HistoryRetrieval(RetrievalPart):
    """The user's own items of the last year, most used first, ties by distinct users."""

    type: Literal["history"]
    half_life: SomeDays | None = Field(
        default=None,
        exclude_if=lambda half_life: half_life is None,
        description="An action this long ago counts half; every action counts fully if absent.",
    )
    k: PositiveInt = Field(description="Items retrieved for each user.")


class ItemItemRetrieval(RetrievalPart):
    """EASE, a closed-form item-item model (Steck 2019), applied to the square roots of the user's actions.

    Its matrix holds every pair of items: 10,000 items need about 1.5 GiB, 20,000 about 6; beyond
    `MATINEE_MEMORY_LIMIT` it is refused.
    """

    type: Literal["item_item"]
    regularization: PositiveFloat = Field(default=50.0, description="L2 penalty.")
    refit: SomeDays = Field(default=7, description="The item-item matrix is fitted anew on this calendar.")
    half_life: SomeDays | None = Field(
        default=None, description="An action this long ago counts half; every action counts fully if absent."
    )
    k: PositiveInt = Field(description="Items retrieved for each user.")


class NeighborsRetrieval(RetrievalPart):
    """Nearest neighbors of the user's items: what the same users act on, weighted as by the library `implicit`.

    An item is no neighbor of itself; the similarities to a user's items are summed, times the user's actions on each.
    """

    type: Literal["neighbors"]
    similarity: Literal["cosine", "tfidf", "bm25"] = Field(
        default="cosine",
        description="`cosine` of the actions; `tfidf`: of their square roots, where a user of many items counts less; "
        "`bm25`: products of weights that saturate with the actions, less for items with many of them.",
    )
    k1: PositiveFloat = Field(default=1.2, description="How late weights of `bm25` saturate.")
    b: Annotated[Number, Field(ge=0, le=1)] = Field(
        default=0.75, description="How much the actions of an item count in `bm25`."
    )
    neighbors: PositiveInt = Field(default=100, description="Similar items kept of each item.")
    refit: SomeDays = Field(default=7, description="The similarities are computed anew on this calendar.")
    half_life: SomeDays | None = Field(
        default=None, description="An action this long ago counts half; every action counts fully if absent."
    )
    k: PositiveInt = Field(description="Items retrieved for each user.")


class GraphRetrieval(RetrievalPart):
    """RP3β, a walk of three steps over the graph of users and items (Paudel et al. 2017).

    Steps are as likely as the square roots of the actions are large.
    """

    type: Literal["rp3beta"]
    alpha: PositiveFloat = Field(default=1.0, description="Power of the probability of a step.")
    beta: NonNegativeFloat = Field(default=0.6, description="Power of the users of an item, by which it is divided.")
    neighbors: PositiveInt = Field(default=100, description="Ends of the walk that are kept for each item.")
    refit: SomeDays = Field(default=7, description="The walk is computed anew on this calendar.")
    half_life: SomeDays | None = Field(
        default=None, description="An action this long ago counts half; every action counts fully if absent."
    )
    k: PositiveInt = Field(description="Items retrieved for each user.")


class MarkovRetrieval(RetrievalPart):
    """What followed what the user did last: a first-order Markov chain of active days."""

    type: Literal["markov"]
    window: SomeDays = Field(default=90, description="Days between two active days of a user that follow each other.")
    smoothing: NonNegativeFloat = Field(
        default=10.0, description="Days without a successor that are added to those of each item."
    )
    last: Annotated[Whole, Field(ge=1, le=50)] = Field(
        default=3, description="Active days of the user that are looked at; each counts half of the one after it."
    )
    neighbors: PositiveInt = Field(default=100, description="Successors kept of each item.")
    refit: SomeDays = Field(default=7, description="The transitions are counted anew on this calendar.")
    k: PositiveInt = Field(description="Items retrieved for each user.")


class BprRetrieval(RetrievalPart):
    """Bayesian personalized ranking (Rendle et al. 2009), by the library `implicit`: factors from pairs of items.

    Users have the factors of the refit day: who came later has none until the next. Actions count once per item. Its
    bytes depend on the processor.
    """

    type: Literal["bpr"]
    factors: Annotated[Whole, Field(ge=1, le=1024)] = Field(default=64, description="Length of the vectors.")
    learning_rate: PositiveFloat = Field(default=0.05, description="Step of a gradient.")
    regularization: NonNegativeFloat = Field(default=0.01, description="L2 penalty.")
    iterations: PositiveInt = Field(default=100, description="Samples drawn, in pairs with an action.")
    refit: SomeDays = Field(default=7, description="All factors are fitted anew on this calendar.")
    seed: NonNegativeInt = Field(default=0, description="Seed of the starting point and of the samples.")
    k: PositiveInt = Field(description="Items retrieved for each user.")


class LogisticRetrieval(RetrievalPart):
    """Logistic matrix factorization (Johnson 2014), by the library `implicit`.

    Users have the factors of the refit day: who came later has none until the next. Its bytes depend on the processor.
    """

    type: Literal["logistic_mf"]
    factors: Annotated[Whole, Field(ge=1, le=1024)] = Field(default=30, description="Length of the vectors.")
    learning_rate: PositiveFloat = Field(default=1.0, description="Step of a gradient.")
    regularization: NonNegativeFloat = Field(default=0.6, description="L2 penalty.")
    iterations: PositiveInt = Field(default=30, description="Alternating sweeps.")
    negatives: PositiveInt = Field(default=30, description="Items without an action drawn for each with one.")
    refit: SomeDays = Field(default=7, description="All factors are fitted anew on this calendar.")
    half_life: SomeDays | None = Field(
        default=None, description="An action this long ago counts half; every action counts fully if absent."
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of the starting point and of the samples.")
    k: PositiveInt = Field(description="Items retrieved for each user.")


Retrieval = Annotated[
    AlsRetrieval
    | PopularityRetrieval
    | HistoryRetrieval
    | ItemItemRetrieval
    | NeighborsRetrieval
    | GraphRetrieval
    | MarkovRetrieval
    | BprRetrieval
    | LogisticRetrieval
    | TopicsRetrieval
    | ClustersRetrieval
    | OnnxRetrieval
    | BlendRetrieval,
    Field(discriminator="type"),
]
TYPES = frozenset(str(get_args(part.model_fields["type"].annotation)[0]) for part in get_args(get_args(Retrieval)[0]))
TAKEN_NAMES = frozenset(
    {
        # Baselines that are no retrievals, and what figures are of beside baselines.
        "logged_order", "policy", "best_baseline", "best_feature", "model", "model_without_rerank", "refit", "champion",
        "union", "seen",  # a file of the same folder
    }
)  # fmt: skip


def name_problems(parts: Sequence[Retrieval], columns: Set[str]) -> Iterator[tuple[int, str, str]]:
    """Yield (place in the list, key, what is wrong) of names that would stand for two things.

    Args:
        parts: the retrievals of a pipeline.
        columns: what else examples have as columns: features of the marts, attributes and their features.
    """
    named: set[str] = set()
    for index, part in enumerate(parts):
        key = "type" if part.name is None else "name"
        if part.identity in named:
            yield index, key, f"the retrieval {part.identity!r} is listed twice; give one of them another `name`"
        elif part.name in TAKEN_NAMES:
            yield index, key, f"found {part.name!r}, which is called so already; expected another name"
        elif part.name in TYPES - {part.type}:
            yield index, key, f"found {part.name!r}, which is another type of retrieval; expected another name"
        named.add(part.identity)
        for column in sorted(columns & {f"{part.identity}_score", f"{part.identity}_rank"}):
            yield (
                index,
                key,
                f"its feature would be {column!r}, as a column of a mart or an attribute is called already; expected "
                f"another `name` than {part.identity!r}",
            )
