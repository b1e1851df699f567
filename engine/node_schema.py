"""The node types of descriptors: a closed list, each a small frozen model, told apart by `type`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from engine.bands import MOST_EDGES
from engine.closed import ArtifactName, Closed, FiniteFloat
from engine.errors import nearest
from engine.functions.schema import BlendNode, ColumnNode, FunctionNode, LinearNode
from engine.rerank_schema import DiscountNode, DitheringNode, ExcludeSeenNode, OnlySeenNode, RerankNode, SoftmaxNode
from engine.retriever_schema import UnionNode


def _ascending(edges: tuple[float, ...]) -> tuple[float, ...]:
    if any(low >= high for low, high in itertools.pairwise(edges)):
        raise ValueError("edges must ascend")
    return edges


Edges = Annotated[tuple[FiniteFloat, ...], Field(max_length=MOST_EDGES), AfterValidator(_ascending)]


class LookupNode(Closed):
    """A feature read from a table by the candidate's key; `default` (null = missing) where it has no row.

    Keys: `user` user_id, `item` item_id, `user_item` both, `user_category` user_id and the item's category.
    """

    type: Literal["Lookup"] = "Lookup"
    name: str
    entity: Literal["user", "item", "user_item", "user_category"]
    default: FiniteFloat | None
    artifact: ArtifactName


class ScoreNode(Closed):
    """A feature: the score of the pair by one of the ranker's retrievers, whether or not that retrieved it.

    `of` is the retriever's name, or its type where it has none.
    """

    type: Literal["Score"] = "Score"
    name: str
    of: str
    default: FiniteFloat | None


class RankNode(Closed):
    """A feature: the candidate's rank, from 0, among the request's candidates by the score of a retriever.

    `of` as of `Score`. Equal scores by item number; candidates without a score come last.
    """

    type: Literal["Rank"] = "Rank"
    name: str
    of: str


class DotNode(Closed):
    """A feature: the dot product of user and item factors of an ALS file."""

    type: Literal["Dot"] = "Dot"
    name: str
    default: FiniteFloat | None
    artifact: ArtifactName


class CategoryNode(Closed):
    """A feature: the code of a text of the user or the item, which a table has in the column `name`.

    `categories_artifact` is the dictionary (`engine.categories`), from which a code is the text's place in the list of
    `name`; missing where the table has no row or no text, or the dictionary lacks it.
    """

    type: Literal["Category"] = "Category"
    name: str
    entity: Literal["user", "item"]
    artifact: ArtifactName
    categories_artifact: ArtifactName


class OverlapNode(Closed):
    """A feature: the share of a list's values in the user's past that the item has; 0 for a user without a past.

    `artifact` has a row for each user_id and value, with `actions` on items that had it; `items_artifact` a list of
    values per item_id, in the column `name`.
    """

    type: Literal["Overlap"] = "Overlap"
    name: str
    artifact: ArtifactName
    items_artifact: ArtifactName


class RequestNumberNode(Closed):
    """A feature: a number, or a boolean as 0 or 1, of the request's context under `key`; missing without it."""

    type: Literal["RequestNumber"] = "RequestNumber"
    name: str
    key: str
    kind: Literal["number", "boolean"]


class RequestCategoryNode(Closed):
    """A feature: the code of a text of the request's context under `key`; missing without it, or for another text.

    With `edges`, the context has a number, and the text is that of its band. `categories_artifact` as of `Category`.
    """

    type: Literal["RequestCategory"] = "RequestCategory"
    name: str
    key: str
    edges: Edges = Field(default=(), exclude_if=lambda edges: not edges)
    categories_artifact: ArtifactName


class _MatchNode(Closed):
    name: str
    measure: Literal["shared", "overlap"] = Field(
        description="How many values of the list the item has, or the share of them that it has."
    )
    items_artifact: ArtifactName
    items_column: str


class MatchNode(_MatchNode):
    """A feature: what an item's list has in common with the user's; missing without either list.

    `artifact` has a list per user_id, in `column`; `items_artifact` one per item_id, in `items_column`.
    """

    type: Literal["Match"] = "Match"
    artifact: ArtifactName
    column: str


class RequestMatchNode(_MatchNode):
    """A feature: what an item's list has in common with the list of the request's context under `key`, as `Match`."""

    type: Literal["RequestMatch"] = "RequestMatch"
    key: str


FeatureNode = Annotated[
    LookupNode
    | ScoreNode
    | RankNode
    | DotNode
    | CategoryNode
    | OverlapNode
    | MatchNode
    | RequestNumberNode
    | RequestCategoryNode
    | RequestMatchNode,
    Field(discriminator="type", title="Feature"),
]


def _check_function(function: FunctionNode, names: Sequence[str]) -> None:
    if isinstance(function, LinearNode) and function.inputs_artifact is None and len(function.weights) != len(names):
        raise ValueError(f"{len(function.weights)} weights for {len(names)} features")
    if isinstance(function, ColumnNode) and function.name not in names:
        raise ValueError(f"no feature {function.name!r}{nearest(function.name, names)}")
    for part in function.of if isinstance(function, BlendNode) else ():
        _check_function(part.function, names)


class FeatureScorerNode(Closed):
    """Features of each candidate, then a function of them."""

    type: Literal["FeatureScorer"] = "FeatureScorer"
    features: tuple[FeatureNode, ...] = Field(min_length=1)
    function: FunctionNode

    @model_validator(mode="after")
    def _names(self) -> FeatureScorerNode:
        names = [feature.name for feature in self.features]
        if len(set(names)) < len(names):
            raise ValueError(f"a feature is named twice: {', '.join(sorted(n for n in names if names.count(n) > 1))}")
        _check_function(self.function, names)
        return self


class ScoringRankerNode(Closed):
    """Candidates (retrieved, or given in the request) ordered by a scorer, then re-ranked."""

    type: Literal["ScoringRanker"] = "ScoringRanker"
    retrieve: UnionNode
    scorer: FeatureScorerNode
    rerank: tuple[RerankNode, ...] = ()

    @model_validator(mode="after")
    def _sources(self) -> ScoringRankerNode:
        # The two rules together would leave nothing, and one of them twice would be about two pasts.
        if sum(isinstance(rule, ExcludeSeenNode | OnlySeenNode) for rule in self.rerank) > 1:
            raise ValueError("more than one of ExcludeSeen and OnlySeen; a ranker may have one")
        if sum(isinstance(rule, SoftmaxNode | DitheringNode) for rule in self.rerank) > 1:
            raise ValueError("more than one of Softmax and Dithering; a list is drawn once")
        known = [feature.name for feature in self.scorer.features]
        for rule in self.rerank:
            if isinstance(rule, DiscountNode) and rule.feature not in known:
                raise ValueError(f"no feature {rule.feature!r} to discount by{nearest(rule.feature, known)}")
        names = [retriever.identity for retriever in self.retrieve.of]
        if len(set(names)) < len(names):
            twice = ", ".join(sorted({name for name in names if names.count(name) > 1}))
            raise ValueError(f"two retrievers of one union are called {twice}; several of one type need names")
        for feature in self.scorer.features:
            if isinstance(feature, ScoreNode | RankNode) and feature.of not in names:
                raise ValueError(
                    f"feature {feature.name!r} is of the score of {feature.of}, which does not retrieve"
                    f"{nearest(feature.of, names)}"
                )
        return self


class Ref(Closed):
    """A pointer to one of `rankers`."""

    ref: str = Field(alias="$ref", pattern=r"^#/rankers/.+$")

    @classmethod
    def to(cls, name: str) -> Ref:
        """Return the pointer to the ranker of this name."""
        # RFC 6901: `~` is escaped first and restored last, or `~1` would be taken apart.
        return cls.model_validate({"$ref": "#/rankers/" + name.replace("~", "~0").replace("/", "~1")})

    @property
    def target(self) -> str:
        """The name of the ranker pointed at."""
        return self.ref.removeprefix("#/rankers/").replace("~1", "/").replace("~0", "~")


class BandsNode(Closed):
    """Cuts a number into bands, which texts stand for (`engine.bands`); an edge belongs to the band above it."""

    of: str
    edges: Annotated[Edges, Field(min_length=1)]


class PopulationRankerNode(Closed):
    """Chooses the ranker by an attribute of the user: from the request's context, else from `artifact`.

    `artifact` is a table with user_id and the column `by`; users and values without a ranker get `*`. With `bands`, the
    table and the context have the number `bands.of`, whose band chooses; `by` in the context names a band itself.
    """

    type: Literal["PopulationRanker"] = "PopulationRanker"
    by: str
    bands: BandsNode | None = Field(default=None, exclude_if=lambda bands: bands is None)
    artifact: ArtifactName | None = None
    of: dict[str, Ref]
