"""The nodes of retrievers in descriptors, and of their union."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.closed import ArtifactName, Closed, Count, FiniteFloat
from engine.errors import nearest


class _RetrieverNode(Closed):
    type: str  # narrowed by each type; declared here to come first in the schema
    # Left out where it is absent, so that a version without names has the bytes that it had before there were any.
    name: Annotated[str, Field(min_length=1, max_length=63)] | None = Field(
        default=None, exclude_if=lambda name: name is None, description="What features call it, if not its type."
    )
    k: Count

    @property
    def identity(self) -> str:
        """What features call it: its name, or its type where it has none."""
        return self.name or self.type


class _ModelNode(_RetrieverNode):
    artifact: ArtifactName


class AlsNode(_ModelNode):
    """Retrieves the k items with the largest dot product of factors. File: `engine.retrieval.Als.LAYOUT`."""

    type: Literal["ALS"] = "ALS"


class FactorsNode(_ModelNode):
    """Retrieves the k items with the largest dot product of factors. File: `engine.retrieval.Factors.LAYOUT`."""

    type: Literal["Factors"] = "Factors"


class PopularityNode(_ModelNode):
    """Retrieves the k most popular items. File: `engine.retrieval.Popularity.LAYOUT`."""

    type: Literal["Popularity"] = "Popularity"


class SegmentPopularityNode(_ModelNode):
    """Retrieves the k most popular items of the user's segment. File: `engine.segments.SegmentPopularity.LAYOUT`."""

    type: Literal["SegmentPopularity"] = "SegmentPopularity"


class HistoryNode(_ModelNode):
    """Retrieves the k best items of the user's own past. File: `engine.retrieval.History.LAYOUT`."""

    type: Literal["History"] = "History"


class ItemItemNode(_ModelNode):
    """Retrieves the k items most similar to the user's past. File: `engine.retrieval.ItemItem.LAYOUT`."""

    type: Literal["ItemItem"] = "ItemItem"


class TwoTowersNode(_ModelNode):
    """Retrieves the k items with the largest dot product with a vector of the user's last items, by a model of ONNX.

    File: `engine.towers.TwoTowers.LAYOUT`. As of `Onnx`, its last bits depend on the processor.
    """

    type: Literal["TwoTowers"] = "TwoTowers"


class BlendedNode(Closed):
    """A part of a blend: what the retriever is called in its union, and its weight."""

    of: str
    weight: Annotated[FiniteFloat, Field(gt=0)]


class RetrieverBlendNode(_RetrieverNode):
    """Retrieves the k items with most points: weighted sums over retrievers of the same union.

    `by` scores, moved to 0 .. 1 in the first `depth` items of each retriever, or by reciprocal ranks in them
    (`engine.blend`).
    """

    type: Literal["RetrieverBlend"] = "RetrieverBlend"
    of: tuple[BlendedNode, ...] = Field(min_length=1)
    by: Literal["scores", "ranks"]
    depth: Count


ModelNode = AlsNode | FactorsNode | PopularityNode | SegmentPopularityNode | HistoryNode | ItemItemNode | TwoTowersNode
RetrieverNode = Annotated[
    ModelNode | RetrieverBlendNode,
    Field(discriminator="type", title="Retriever"),
]


class UnionNode(Closed):
    """All retrievers' items, first retriever first, each item once."""

    type: Literal["Union"] = "Union"
    of: tuple[RetrieverNode, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _blended(self) -> UnionNode:
        models = [part.identity for part in self.of if not isinstance(part, RetrieverBlendNode)]
        for blend in self.of:
            for part in blend.of if isinstance(blend, RetrieverBlendNode) else ():
                if part.of not in models:
                    raise ValueError(f"{blend.identity} is of {part.of}, which is no model{nearest(part.of, models)}")
        return self
