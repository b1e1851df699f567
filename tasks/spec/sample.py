"""The part of a pipeline file that says which groups are trained on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from tasks.errors import quoted
from tasks.spec.parts import Part
from tasks.spec.values import Column, NonNegativeInt, Number, PositiveInt
from tasks.spec.yaml_lines import nearest

Allocation = Literal["proportional", "equal", "sqrt", "neyman"]
NegativeRule = Literal["uniform", "popularity", "hard"]


class Override(Part):
    """A size of their own for some strata; of several overrides that match a stratum, the first counts."""

    stratum: Annotated[dict[Column, str], Field(min_length=1)] = Field(
        description="Values of `strata`, all of them or some: each stratum that has these values."
    )
    rate: Annotated[Number, Field(gt=0, le=1)] | None = Field(
        default=None, description="Share of its groups to draw, rounded up."
    )
    groups: NonNegativeInt | None = Field(default=None, description="Groups to draw of each such stratum.")


class Negatives(Part):
    """Which examples without a grade are trained on; every list is measured whole."""

    per_positive: PositiveInt = Field(description="Negatives of a list that are kept for each of its positives.")
    by: NegativeRule = Field(
        default="uniform",
        description="Each alike; by `popularity`, in proportion to the item's actions in 28 days; or the `hard` ones, "
        "which a retriever has nearest to the top of the list.",
    )


class Sample(Part):
    """A stratified sample of groups; each keeps the weight that undoes the sampling."""

    strata: tuple[Column, ...] = Field(
        default=(), description="Attributes that span the strata; an item's is that of a group's highest-graded item."
    )
    groups: PositiveInt = Field(description="Groups to draw.")
    allocation: Allocation = Field(
        default="proportional",
        description="How the groups are shared out over the strata: by their groups, `equal`ly, by the square root of "
        "their groups, or by their groups times the standard deviation that a pilot has of the first gate's metric "
        "(Neyman 1934).",
    )
    floor: NonNegativeInt = Field(default=0, description="Groups each stratum gets at least, if it has them.")
    # Left out where it is absent, as all that follows: such a pipeline stays, byte for byte, what it was before.
    cap: PositiveInt | None = Field(
        default=None, exclude_if=lambda cap: cap is None, description="Groups each stratum gets at most."
    )
    pilot: Annotated[PositiveInt, Field(ge=2)] | None = Field(
        default=None,
        exclude_if=lambda pilot: pilot is None,
        description="Groups of each stratum that `neyman` measures the standard deviation on.",
    )
    overrides: tuple[Override, ...] = Field(
        default=(),
        exclude_if=lambda overrides: not overrides,
        description="Strata with a size of their own, whatever the allocation, floor and cap.",
    )
    negatives: Negatives | None = Field(
        default=None,
        exclude_if=lambda negatives: negatives is None,
        description="Negatives of a list to train on; all of them if absent.",
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of the draw.")


def sample_problems(sample: Sample) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Find what does not fit together in a sample: its place below `sample`, and what is wrong."""
    if sample.allocation == "neyman" and sample.pilot is None:
        yield (
            ("allocation",),
            "found 'neyman' without `pilot`; expected the groups of each stratum to measure, like `pilot: 200`",
        )
    if sample.allocation != "neyman" and sample.pilot is not None:
        yield ("pilot",), f"found a pilot with {sample.allocation!r}, which measures nothing; expected none"
    if sample.cap is not None and sample.cap < sample.floor:
        yield ("cap",), f"found {sample.cap}, expected at least the floor, {sample.floor}"
    for index, override in enumerate(sample.overrides):
        if (override.rate is None) == (override.groups is None):
            named = "neither" if override.rate is None else "both"
            yield ("overrides", index), f"found {named} of `rate` and `groups`, expected one of them"
        for name in override.stratum:
            if name not in sample.strata:
                listed = ", ".join(sample.strata) or "none: `sample.strata` is empty"
                yield (
                    ("overrides", index, "stratum", name),
                    f"{quoted(name)} is no stratum of this sample; expected one of {listed}"
                    f"{nearest(name, sample.strata)}",
                )
