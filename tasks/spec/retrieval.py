"""The parts of a pipeline file that say where candidates come from, one for each type of retrieval."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tasks.spec.parts import Part
from tasks.spec.values import NonNegativeInt, PositiveFloat, PositiveInt, SomeDays, Whole


class AlsRetrieval(Part):
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


class PopularityRetrieval(Part):
    """The items with most actions in a trailing window."""

    type: Literal["popularity"]
    window: SomeDays = Field(default=28, description="Trailing window; one the item features have.")
    k: PositiveInt = Field(description="Items retrieved.")


class HistoryRetrieval(Part):
    """The user's own items of the last year, most used first, ties by distinct users."""

    type: Literal["history"]
    k: PositiveInt = Field(description="Items retrieved for each user.")


class ItemItemRetrieval(Part):
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


Retrieval = Annotated[
    AlsRetrieval | PopularityRetrieval | HistoryRetrieval | ItemItemRetrieval, Field(discriminator="type")
]
