"""Users by their tastes, and what is popular among each kind."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tasks.spec.retrievals.base import RetrievalPart
from tasks.spec.values import Column, NonNegativeInt, PositiveFloat, PositiveInt, SomeDays, Whole


class ClustersRetrieval(RetrievalPart):
    """Popularity among users of a like taste: k-means on the directions of their factors, of an ALS of its own.

    Made for newcomers: one action is enough to be in a cluster as of the cut. Who has none gets what is popular among
    all, or, with `by`, in the cluster of most users who are alike in an attribute.
    """

    type: Literal["clusters"]
    clusters: Annotated[Whole, Field(ge=2, le=10_000)] = Field(default=20, description="Number of clusters.")
    window: SomeDays = Field(default=28, description="Trailing window of the actions that make an item popular.")
    by: Column | None = Field(
        default=None,
        exclude_if=lambda by: by is None,
        description="An attribute of users, by which those without a past find a cluster.",
    )
    factors: Annotated[Whole, Field(ge=1, le=1024)] = Field(default=16, description="Length of the users' factors.")
    regularization: PositiveFloat = Field(default=20.0, description="L2 penalty of the factors.")
    alpha: PositiveFloat = Field(default=4.0, description="Confidence of a pair is alpha * actions.")
    refit: SomeDays = Field(default=7, description="Factors and clusters are fitted anew on this calendar.")
    seed: NonNegativeInt = Field(default=0, description="Seed of the starting points.")
    k: PositiveInt = Field(description="Items retrieved for each user.")

    @property
    def attribute(self) -> str | None:
        """The attribute of users that is read as of cuts."""
        return self.by
