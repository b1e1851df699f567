"""Builds executable nodes from descriptor nodes; every file is loaded once, however many nodes use it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.blend import Blend
from engine.categories import Categories, categories_of, load_categories
from engine.discount import Discount
from engine.diversity import Diversity, Kinds
from engine.exploration import Exploration
from engine.functions.load import load_function
from engine.matches import ItemLists, WantedLists
from engine.node_schema import (
    CategoryNode,
    DotNode,
    FeatureNode,
    FeatureScorerNode,
    LookupNode,
    MatchNode,
    OverlapNode,
    RankNode,
    RequestCategoryNode,
    RequestMatchNode,
    RequestNumberNode,
    ScoringRankerNode,
)
from engine.nodes import (
    Feature,
    FeatureScorer,
    Lookup,
    Match,
    Rank,
    RequestCategory,
    RequestMatch,
    RequestNumber,
    Score,
    ScoringRanker,
    Shared,
)
from engine.overlap import Overlap
from engine.rerank_schema import (
    DiscountNode,
    DitheringNode,
    DiversifyNode,
    ExcludeSeenNode,
    OnlySeenNode,
    RerankNode,
    SoftmaxNode,
)
from engine.retrieval import Als, Factors, History, ItemItem, Popularity, Retriever
from engine.retriever_schema import RetrieverBlendNode, UnionNode
from engine.seen import ExcludeSeen, OnlySeen, SeenRule
from engine.segments import SegmentPopularity
from engine.tables import Catalog, FeatureTable
from engine.towers import TwoTowers

Model = Als | Factors | Popularity | SegmentPopularity | History | ItemItem | TwoTowers
RETRIEVERS: dict[str, type[Model]] = {
    "ALS": Als,
    "Factors": Factors,
    "Popularity": Popularity,
    "SegmentPopularity": SegmentPopularity,
    "History": History,
    "ItemItem": ItemItem,
    "TwoTowers": TwoTowers,
}
"""The retrievers that have a file, by the types of their nodes."""


def discounts(nodes: Sequence[RerankNode]) -> tuple[Discount, ...]:
    """Build what makes scores less, in the order of the nodes."""
    return tuple(Discount(node.feature, node.strength) for node in nodes if isinstance(node, DiscountNode))


def exploration(nodes: Sequence[RerankNode]) -> Exploration | None:
    """Build what draws lists; None without a node that does."""
    for node in nodes:
        if isinstance(node, SoftmaxNode):
            return Exploration.softmax(node.temperature, node.seed)
        if isinstance(node, DitheringNode):
            return Exploration.dithering(node.epsilon, node.seed)
    return None


class Wiring:
    """The files of a version, loaded when first asked for; its as-of day is one of the things that draws depend on."""

    def __init__(self, folder: Path, catalogue: str, day: str = "") -> None:
        self.folder = folder
        self.day = day
        self.catalogue = Catalog.load(folder / catalogue)
        self._loaded: dict[tuple[str, str], Any] = {}

    def table(self, name: str, entity: str) -> FeatureTable:
        """Load a feature table, or hand out the one that is loaded."""
        key = (entity, name)
        if key not in self._loaded:
            self._loaded[key] = FeatureTable.load(self.folder / name, entity, self.catalogue)
        table: FeatureTable = self._loaded[key]
        return table

    def retriever(self, kind: str, name: str) -> Retriever:
        """Load a retriever by its node type, or hand out the one that is loaded."""
        key = (kind, name)
        if key not in self._loaded:
            self._loaded[key] = RETRIEVERS[kind].load(self.folder / name, self.catalogue.items)
        retriever: Retriever = self._loaded[key]
        return retriever

    def retrievers(self, node: UnionNode) -> dict[str, Retriever]:
        """Load the retrievers of a union, by what features call them."""
        by_name: dict[str, Retriever] = {
            part.identity: self.retriever(part.type, part.artifact)
            for part in node.of
            if not isinstance(part, RetrieverBlendNode)
        }
        blends = {
            part.identity: Blend(
                tuple(by_name[blended.of] for blended in part.of),
                tuple(blended.weight for blended in part.of),
                part.by,
                part.depth,
            )
            for part in node.of
            if isinstance(part, RetrieverBlendNode)
        }
        return by_name | blends

    def past(self, name: str) -> History:
        """Load what users have seen, or hand out what is loaded."""
        key = ("History", name)
        if key not in self._loaded:
            self._loaded[key] = History.load(self.folder / name, self.catalogue.items)
        past: History = self._loaded[key]
        return past

    def ranker(self, node: ScoringRankerNode) -> ScoringRanker:
        """Build an executable ranker; its retrievers serve as candidates and as features."""
        by_name = self.retrievers(node.retrieve)
        seen: SeenRule | None = None
        for rule in node.rerank:
            if isinstance(rule, ExcludeSeenNode | OnlySeenNode):
                past = self.past(rule.artifact)
                seen = ExcludeSeen(past) if isinstance(rule, ExcludeSeenNode) else OnlySeen(past)
        return ScoringRanker(
            retrievers=tuple((by_name[part.identity], part.k) for part in node.retrieve.of),
            scorer=self._scorer(node.scorer, by_name),
            seen=seen,
            diversity=self.diversity([rule for rule in node.rerank if isinstance(rule, DiversifyNode)]),
            catalogue=self.catalogue,
            exploration=exploration(node.rerank),
            discounts=discounts(node.rerank),
            day=self.day,
        )

    def diversity(self, nodes: Sequence[DiversifyNode]) -> Diversity | None:
        """Build what makes lists diverse by all nodes together; None without a node."""
        return Diversity.of([(self._kinds(node), node.strength) for node in nodes]) if nodes else None

    def _kinds(self, node: DiversifyNode) -> Kinds:
        if node.artifact is None:
            names = self.catalogue.categories.values.tolist()
            return [(names[number],) for number in self.catalogue.category.tolist()]
        table = self.table(node.artifact, "item")
        kinds = table.kinds(node.by)
        return [kinds[row] for row in table.find(np.arange(len(self.catalogue.items))).tolist()]

    def _scorer(self, node: FeatureScorerNode, by_name: dict[str, Retriever]) -> FeatureScorer:
        names = tuple(feature.name for feature in node.features)
        return FeatureScorer(
            names=names,
            features=tuple(self._feature(feature, by_name) for feature in node.features),
            function=load_function(node.function, self.folder, names),
            catalogue=self.catalogue,
        )

    def categories(self, name: str, feature: str) -> Categories:
        """Load a dictionary of texts, or take the one that is loaded, and hand out a feature's part."""
        key = ("categories", name)
        if key not in self._loaded:
            self._loaded[key] = load_categories(self.folder / name)
        return categories_of(self._loaded[key], feature, self.folder / name)

    def _overlap(self, node: OverlapNode) -> Overlap:
        key = ("overlap", node.artifact)
        if key not in self._loaded:
            paths = self.folder / node.artifact, self.folder / node.items_artifact
            self._loaded[key] = Overlap.load(*paths, node.name, self.catalogue.items)
        overlap: Overlap = self._loaded[key]
        return overlap

    def _item_lists(self, node: MatchNode | RequestMatchNode) -> ItemLists:
        key = ("item lists", f"{node.items_artifact}:{node.items_column}")
        if key not in self._loaded:
            table = self.table(node.items_artifact, "item")
            ids = table.table["item_id"].to_pylist()
            self._loaded[key] = ItemLists.of(ids, table.lists(node.items_column)[:-1], self.catalogue.items)
        lists: ItemLists = self._loaded[key]
        return lists

    def _wanted(self, node: MatchNode, table: FeatureTable, items: ItemLists) -> WantedLists:
        key = ("user lists", f"{node.artifact}:{node.column}:{node.items_artifact}:{node.items_column}")
        if key not in self._loaded:
            self._loaded[key] = items.wanted(table.lists(node.column))
        wanted: WantedLists = self._loaded[key]
        return wanted

    def _feature(self, node: FeatureNode, by_name: dict[str, Retriever]) -> Feature:
        if isinstance(node, RankNode):
            return Rank(by_name[node.of])
        if isinstance(node, CategoryNode):
            table = self.table(node.artifact, node.entity)
            codes = table.codes(node.name, self.categories(node.categories_artifact, node.name))
            return Lookup(table, codes, float("nan"))
        if isinstance(node, OverlapNode):
            return Shared(self._overlap(node))
        if isinstance(node, MatchNode):
            table, items = self.table(node.artifact, "user"), self._item_lists(node)
            return Match(table, self._wanted(node, table, items), items, node.measure)
        if isinstance(node, RequestMatchNode):
            return RequestMatch(node.key, self._item_lists(node), node.measure)
        if isinstance(node, RequestNumberNode):
            return RequestNumber(node.key, node.kind)
        if isinstance(node, RequestCategoryNode):
            return RequestCategory(node.key, self.categories(node.categories_artifact, node.name), node.edges)
        default = float("nan") if node.default is None else node.default  # JSON has no NaN
        if isinstance(node, LookupNode):
            table = self.table(node.artifact, node.entity)
            return Lookup(table, table.feature(node.name), default)
        if isinstance(node, DotNode):
            return Score(self.retriever("ALS", node.artifact), default)
        return Score(by_name[node.of], default)
