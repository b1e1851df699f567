"""The part of a pipeline file that says how training corrects for where items were shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from tasks.spec.parts import Part
from tasks.spec.ranker_parts import Problem
from tasks.spec.rankers import BlendRanker, LightGBM, Ranker
from tasks.spec.values import Column, NonNegativeFloat, Number


class PositionAware(Part):
    """LightGBM's own correction: lambdarank learns a summand for each position beside the trees.

    Scores are those of the trees alone, so that ranking needs no positions.
    """

    type: Literal["position_aware"]
    regularization: NonNegativeFloat = Field(
        default=0.0, description="lambdarank_position_bias_regularization: L2 penalty on what positions add."
    )


class InversePropensity(Part):
    """Examples are weighted by one over the probability of being shown, or of being looked at (docs/presentation-bias).

    The weights multiply those of the sample. Whatever is estimated is estimated on the examples that a model learns
    from.
    """

    type: Literal["ips"]
    propensities: Literal["logged", "randomized", "regression_em"] = Field(
        description="`logged`: the probability with which an item was shown, as landed; `randomized`: how often each "
        "position is looked at, by the pages of a `policy` that orders items at random; `regression_em`: the same, "
        "told apart from relevance by all pages (Wang et al. 2018)."
    )
    policy: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="Whose pages are in random order: its name in the column `policy` of impressions."
    )
    layout: tuple[Column, ...] = Field(
        default=(),
        description="Attributes of requests that tell layouts of pages apart: each has its own positions.",
    )
    clip: Annotated[Number, Field(ge=1)] = Field(
        default=10.0, description="Largest weight, in multiples of the mean weight; larger ones are cut off there."
    )


PositionBias = Annotated[PositionAware | InversePropensity, Field(discriminator="type", title="PositionBias")]


def reads_policy(declared: PositionAware | InversePropensity | None) -> bool:
    """Tell whether examples are to say by which policy they were shown."""
    return isinstance(declared, InversePropensity) and declared.policy is not None


def layout_of(declared: PositionAware | InversePropensity | None) -> tuple[str, ...]:
    """Name the attributes of requests that tell layouts apart."""
    return declared.layout if isinstance(declared, InversePropensity) else ()


def position_bias_problems(declared: PositionAware | InversePropensity, ranker: Ranker) -> Iterator[Problem]:
    """Yield the keys below `position_bias` that do not go together with each other or with the ranker."""
    if isinstance(declared, PositionAware):
        yield from _without_lambdarank(ranker)
        return
    random, named = declared.propensities == "randomized", declared.policy is not None
    if random and not named:
        yield ("policy",), "the key is missing; expected the policy whose pages are in random order"
    if named and not random:
        yield ("policy",), f"found {declared.policy!r}, which only `propensities: randomized` reads; leave it out"
    if declared.layout and declared.propensities == "logged":
        yield ("layout",), "found a layout, which `propensities: logged` does not read; leave it out"


def _without_lambdarank(ranker: Ranker) -> Iterator[Problem]:
    # LightGBM takes positions with the other objectives, too, and then trains the same trees as without them.
    for part in ranker.of if isinstance(ranker, BlendRanker) else (ranker,):
        if not isinstance(part, LightGBM) or part.objective != "lambdarank":
            yield (
                ("type",),
                f"found 'position_aware', but {part.summary} does not learn from positions; expected 'ips', or a "
                "ranker {type: lightgbm, objective: lambdarank}",
            )
