"""Topics of items and of users."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tasks.spec.retrievals.base import RetrievalPart
from tasks.spec.values import NonNegativeInt, PositiveFloat, PositiveInt, SomeDays, Whole


class TopicsRetrieval(RetrievalPart):
    """Latent Dirichlet allocation (Blei, Ng, Jordan 2003): how likely the user's topics make each item.

    Users' shares of topics are those of what they did by the cut; an item's score is its share in the user's mixture.
    """

    type: Literal["topics"]
    topics: Annotated[Whole, Field(ge=2, le=1024)] = Field(default=20, description="Number of topics.")
    alpha: PositiveFloat = Field(
        default=0.1, description="Prior of users' topics: the smaller, the fewer topics a user has."
    )
    eta: PositiveFloat = Field(default=0.1, description="Prior of topics' items: the smaller, the fewer items it has.")
    iterations: PositiveInt = Field(default=20, description="Sweeps over all users.")
    refit: SomeDays = Field(default=7, description="Topics are fitted anew on this calendar.")
    half_life: SomeDays | None = Field(
        default=None, description="An action this long ago counts half; every action counts fully if absent."
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of the starting point.")
    k: PositiveInt = Field(description="Items retrieved for each user.")
