"""The rules of a pipeline file by which lists are re-ranked, those that draw among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from tasks.spec.parts import Diversify, Part
from tasks.spec.values import Column, NonNegativeInt, Number


class Softmax(Part):
    """Lists are drawn: each place goes to an item with a probability that rises with its score."""

    type: Literal["softmax"]
    temperature: Annotated[Number, Field(gt=0, le=10)] = Field(
        description="In standard deviations of the list's scores; the smaller, the closer to the order of the scores."
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of the draws.")


class Dithering(Part):
    """Lists are drawn: the logarithm of each item's rank gets noise, so that the first places are mixed least."""

    type: Literal["dithering"]
    epsilon: Annotated[Number, Field(gt=1, le=10)] = Field(
        description="The standard deviation of the noise is its logarithm: 1.5 mixes neighbors, 3 whole pages."
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of the draws.")


class Discount(Part):
    """An item's score falls with one of its features, such as how often it was shown to the user in vain."""

    type: Literal["discount"]
    by: Column = Field(description="A number among `features`, like user_item_unclicked_28d; missing ones count 0.")
    strength: Annotated[Number, Field(ge=0, le=10)] = Field(
        description="What ln(1 + the feature) costs, in standard deviations of the list's scores."
    )


Explore = Softmax | Dithering
Rerank = Annotated[Diversify | Discount | Softmax | Dithering, Field(discriminator="type", title="Rerank")]
Rule = Diversify | Discount | Softmax | Dithering


def diversify_rules(rules: Sequence[Rule]) -> tuple[Diversify, ...]:
    """Those that make lists diverse; they act together."""
    return tuple(rule for rule in rules if isinstance(rule, Diversify))


def discount_rules(rules: Sequence[Rule]) -> tuple[Discount, ...]:
    """Those that make scores less, in their order."""
    return tuple(rule for rule in rules if isinstance(rule, Discount))


def explore_rule(rules: Sequence[Rule]) -> Explore | None:
    """The one that draws lists; None where they are not drawn."""
    return next((rule for rule in rules if isinstance(rule, Softmax | Dithering)), None)


def exploration_problems(rules: Sequence[Rule]) -> Iterator[tuple[int, str]]:
    """Yield the rules that do not go together with others, by their places."""
    drawing = [index for index, rule in enumerate(rules) if isinstance(rule, Softmax | Dithering)]
    for index in drawing[1:]:
        yield index, "a list is drawn twice; expected one of softmax and dithering"
    for index in drawing[:1]:
        # Its propensities are of the scores, by which a diverse list is not in order.
        if isinstance(rules[index], Softmax) and diversify_rules(rules):
            yield index, "found softmax beside diversify, which leaves the order of the scores; expected dithering"
