"""The node types of descriptors that say what is done to lists once they are scored."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.closed import ArtifactName, Closed


class ExcludeSeenNode(Closed):
    """Leaves out the items a user has seen, given candidates too; retrievers give k others. File: `History.LAYOUT`."""

    type: Literal["ExcludeSeen"] = "ExcludeSeen"
    artifact: ArtifactName


class OnlySeenNode(Closed):
    """Leaves out what a user has not seen, given candidates too; retrievers give k others. File: `History.LAYOUT`."""

    type: Literal["OnlySeen"] = "OnlySeen"
    artifact: ArtifactName


class DiversifyNode(Closed):
    """Takes one item after the other: the best by score − strength × spread × items of its kind so far.

    Items of one kind have the same text in the column `by` of the table `artifact`, or, where that is absent, the same
    category in the catalog; those without a text are of one kind. Of a list of texts an item is of each, and the mean
    over them counts. The spread is the standard deviation of the list's scores; the scores themselves stay as they
    are. Several of these nodes act together: what they subtract is added up.
    """

    type: Literal["Diversify"] = "Diversify"
    by: str = "category"
    artifact: ArtifactName | None = None
    strength: Annotated[float, Field(ge=0.0, le=100.0)]

    @model_validator(mode="after")
    def _column(self) -> DiversifyNode:
        if self.artifact is None and self.by != "category":
            raise ValueError(f"by: found {self.by!r} without an artifact; expected a table of items that has it")
        return self


class DiscountNode(Closed):
    """Makes scores less: by strength × spread × ln(1 + feature), the spread being the deviation of the list's scores.

    `feature` is one of the scorer's; a missing value counts 0. It comes before all other nodes but those of seen items.
    """

    type: Literal["Discount"] = "Discount"
    feature: str
    strength: Annotated[float, Field(ge=0.0, le=100.0)]


class SoftmaxNode(Closed):
    """Draws the list, place by place: an item's weight is exp(score / (temperature × spread)) (`engine.exploration`).

    The spread is the standard deviation of the list's scores. The answer has the propensity of each item at its place,
    given those above it.
    """

    type: Literal["Softmax"] = "Softmax"
    temperature: Annotated[float, Field(gt=0.0, le=100.0)]
    seed: int = Field(ge=0)


class DitheringNode(Closed):
    """Draws the list, place by place: an item's weight is a power of its rank, as of `Softmax`.

    It is what Gumbel noise with the standard deviation ln(epsilon) on the logarithm of the rank makes of a list.
    """

    type: Literal["Dithering"] = "Dithering"
    epsilon: Annotated[float, Field(gt=1.0, le=100.0)]
    seed: int = Field(ge=0)


RerankNode = Annotated[
    ExcludeSeenNode | OnlySeenNode | DiscountNode | DiversifyNode | SoftmaxNode | DitheringNode,
    Field(discriminator="type", title="Rerank"),
]
