"""The nodes of a version's rankers: what the pipeline file says, as the engine executes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.examples.feature_sql import served_column, served_items_column
from tasks.examples.learners.blend import written_weights
from tasks.examples.rerank import KINDS_FILE, rerank_nodes
from tasks.examples.retrievers import node_identity, union_node
from tasks.examples.sample import CATEGORIES_FILE
from tasks.examples.seen import SEEN_FILE, rule_nodes
from tasks.spec.feature_catalog import MartFeature
from tasks.spec.resolved_features import (
    AttributeFeature,
    CategoryFeature,
    Feature,
    MatchFeature,
    OverlapFeature,
    RetrievalRank,
)
from tasks.spec.spec import Spec

if TYPE_CHECKING:
    from pathlib import Path

    from engine.functions.schema import FunctionNode
    from engine.node_schema import BandsNode, FeatureNode, MatchNode, RequestMatchNode, ScoringRankerNode

SEEN_ARTIFACT = f"retrieval/{SEEN_FILE}"
KINDS_ARTIFACT = f"retrieval/{KINDS_FILE}"


def feature_nodes(spec: Spec) -> tuple[FeatureNode, ...]:
    """List the descriptor's features, in the order in which the ranker was trained on them."""
    return tuple(_feature_node(feature) for feature in spec.resolved_features)


def _feature_node(feature: Feature) -> FeatureNode:
    from engine.node_schema import LookupNode, RankNode, ScoreNode

    if isinstance(feature, MartFeature):
        path = f"features/{feature.entity}.parquet"
        return LookupNode(name=feature.name, entity=feature.entity, default=feature.default, artifact=path)
    if isinstance(feature, AttributeFeature):
        return _attribute_node(feature)
    named = {"name": feature.name, "of": node_identity(feature.retrieval)}
    if isinstance(feature, RetrievalRank):
        return RankNode.model_validate(named)
    return ScoreNode.model_validate({**named, "default": 0.0})


def _attribute_node(feature: AttributeFeature) -> FeatureNode:
    from engine.node_schema import CategoryNode, LookupNode, OverlapNode, RequestCategoryNode, RequestNumberNode

    name, attribute = feature.name, feature.attribute
    table = f"features/{attribute.entity}.parquet"
    if isinstance(feature, OverlapFeature):
        return OverlapNode(name=name, artifact=f"features/{name}.parquet", items_artifact=table)
    if isinstance(feature, MatchFeature):
        return _match_node(feature)
    if attribute.entity == "request":
        if isinstance(feature, CategoryFeature):
            key, edges = attribute.source.name, attribute.edges
            return RequestCategoryNode(name=name, key=key, edges=edges, categories_artifact=CATEGORIES_FILE)
        return RequestNumberNode.model_validate({"name": name, "key": attribute.name, "kind": attribute.type})
    if isinstance(feature, CategoryFeature):
        return CategoryNode(name=name, entity=attribute.entity, artifact=table, categories_artifact=CATEGORIES_FILE)
    return LookupNode(name=name, entity=attribute.entity, default=None, artifact=table)


def _match_node(feature: MatchFeature) -> MatchNode | RequestMatchNode:
    from engine.node_schema import MatchNode, RequestMatchNode

    same: dict[str, str] = {
        "name": feature.name,
        "measure": feature.measure,
        "items_artifact": "features/item.parquet",
        "items_column": served_items_column(feature.items.name),
    }
    if feature.attribute.entity == "request":
        return RequestMatchNode.model_validate({**same, "key": feature.attribute.name})
    return MatchNode.model_validate({**same, "artifact": "features/user.parquet", "column": served_column(feature)})


def bands_node(spec: Spec, name: str) -> BandsNode | None:
    """Build the node of an attribute that is bands; None of any other."""
    from engine.node_schema import BandsNode

    (attribute,) = (part for part in spec.attributes if part.name == name)
    return BandsNode(of=attribute.source.name, edges=attribute.edges) if attribute.number else None


def ranker_node(spec: Spec, function: FunctionNode, retrieval: Path) -> ScoringRankerNode:
    """Build a ranker: retrieve what may be listed, compute features, score by a function of them, re-rank.

    Args:
        spec: the pipeline.
        function: the node of what scores.
        retrieval: folder of the retrievals' files, which has the fitted weights of blends.
    """
    from engine.node_schema import FeatureScorerNode, ScoringRankerNode

    return ScoringRankerNode(
        retrieve=union_node(spec.retrieval, "retrieval/", written_weights(spec.retrieval, retrieval)),
        scorer=FeatureScorerNode(features=feature_nodes(spec), function=function),
        rerank=(*rule_nodes(spec, SEEN_ARTIFACT), *rerank_nodes(spec.rerank, KINDS_ARTIFACT)),
    )
