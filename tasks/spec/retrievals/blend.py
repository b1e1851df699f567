"""Several retrievals as one, with weights that are given or fitted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from tasks.spec.parts import Part
from tasks.spec.retrievals.base import RetrievalPart
from tasks.spec.values import PositiveFloat, PositiveInt, RetrieverName, SomeDays, Whole

MOST_FITTED = 5  # parts of a blend with fitted weights: more can be weighted in too many ways to tell apart


class Blended(Part):
    """A part of a blend."""

    retrieval: RetrieverName = Field(description="Name of another retrieval of the pipeline; its type if it has none.")
    weight: PositiveFloat = Field(default=1.0, description="What its points are multiplied with.")


class FittedWeights(Part):
    """Weights with which the most of what users did next is found: not negative, together 1.

    On a refit day, what is blended is fitted to all but the last days; its lists are compared with those days.
    """

    held_out: SomeDays = Field(default=7, description="Days before a refit day that are held out.")
    refit: SomeDays = Field(default=28, description="The weights are fitted anew on this calendar.")


class BlendRetrieval(RetrievalPart):
    """Several retrievals as one: the weighted sum of their points.

    A list is cut off at `depth`; an item that is not in it gets no points.
    """

    type: Literal["blend"]
    of: tuple[Blended, ...] = Field(min_length=2, description="What is blended.")
    by: Literal["scores", "ranks"] = Field(
        default="scores",
        description="`scores`: moved to 0 … 1 in each list; `ranks`: reciprocal rank fusion (Cormack et al. 2009).",
    )
    depth: Annotated[Whole, Field(ge=1, le=100_000)] = Field(default=500, description="Length of the lists.")
    fit: FittedWeights | None = Field(
        default=None,
        exclude_if=lambda fit: fit is None,
        description="How the weights of up to five retrievals are fitted; `{}` for the defaults. Absent, they are "
        "those of `of`.",
    )
    k: PositiveInt = Field(description="Items retrieved for each user.")

    @property
    def files(self) -> tuple[str, ...]:
        """What was fitted, if anything was: models are those of what is blended."""
        return () if self.fit is None else (f"{self.identity}.json",)


def unknown_parts(parts: Sequence[RetrievalPart]) -> Iterator[tuple[tuple[str | int, ...], str, list[str]]]:
    """Yield (where, unknown name, known names) of what blends are of, unless it is another retrieval and no blend."""
    models = [part.identity for part in parts if not isinstance(part, BlendRetrieval)]
    for index, part in enumerate(parts):
        for place, blended in enumerate(part.of if isinstance(part, BlendRetrieval) else ()):
            if blended.retrieval not in models:
                yield (index, "of", place, "retrieval"), blended.retrieval, models


def fit_problems(parts: Sequence[RetrievalPart]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield (where, what is wrong) of blends whose weights cannot be fitted."""
    by_attribute = {part.identity for part in parts if part.attribute is not None}
    for index, part in enumerate(parts):
        if not isinstance(part, BlendRetrieval) or part.fit is None:
            continue
        if len(part.of) > MOST_FITTED:
            yield (index, "of"), f"found {len(part.of)} retrievals, expected {MOST_FITTED} at most to fit weights of"
        for place, blended in enumerate(part.of):
            if "weight" in blended.model_fields_set:
                yield (
                    (index, "of", place, "weight"),
                    f"found {blended.weight:g} in a blend with `fit`, which chooses it; expected one of the two",
                )
            # Attributes are read as of cuts, and the days that weights are fitted on are none.
            if blended.retrieval in by_attribute:
                yield (
                    (index, "of", place, "retrieval"),
                    f"found {blended.retrieval!r}, whose lists depend on an attribute of users; expected a retrieval "
                    "without `by`, or weights in place of `fit`",
                )
