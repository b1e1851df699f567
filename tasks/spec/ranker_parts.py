"""What the parts of a pipeline file that are rankers have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Self

from pydantic import Field

from tasks.spec.parts import Part
from tasks.spec.values import NonNegativeInt, Whole

Problem = tuple[tuple[str | int, ...], str]
"""The place of a key below `ranker`, and what is wrong with its value beside those of other keys."""


class RankerPart(Part):
    """What every type of ranker has.

    Attributes:
        TUNABLE: the settings that `tune.space` may list.
    """

    TUNABLE: ClassVar[tuple[str, ...]] = ()

    type: str  # narrowed by each type

    @property
    def summary(self) -> str:
        """What it is in two words or three, for people."""
        return self.type

    @property
    def effort(self) -> str:
        """How much training it asks for, for people."""
        return self.summary

    @property
    def copies(self) -> tuple[Self, ...]:
        """The ranker with each of its seeds, alone."""
        return (self,)

    def problems(self) -> Iterator[Problem]:
        """Yield the settings that do not go together with others of the same ranker."""
        return iter(())


class SeededRanker(RankerPart):
    """A ranker that draws numbers."""

    seed: NonNegativeInt = Field(default=0, description="Seed of the learner.")
    seeds: Annotated[Whole, Field(ge=1, le=50)] = Field(
        default=1,
        exclude_if=lambda seeds: seeds == 1,
        description="Models to train, with `seed` and those after it; the score is the mean of theirs.",
    )

    @property
    def _per_seed(self) -> str:
        return "" if self.seeds == 1 else f" for each of {self.seeds} seeds"

    @property
    def copies(self) -> tuple[Self, ...]:
        """The ranker with each of its seeds, alone."""
        seeds = range(self.seed, self.seed + self.seeds)
        return tuple(self.model_copy(update={"seed": seed, "seeds": 1}) for seed in seeds)
