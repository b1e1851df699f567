"""Kinds of interactions: those that every pipeline knows, and those that a pipeline file declares, with their weights.

A kind counts as one measure, whatever the pipeline (docs/adr/0003). Weights are what retrieval, and with it the
baselines popularity and history, learn from (docs/adr/0031).
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from tasks.spec.explain import misplaced
from tasks.spec.parts import Part
from tasks.spec.values import Name, NonNegativeFloat, Number

Measure = Literal["action", "save", "undo"]
KNOWN: dict[str, Measure] = {
    "play": "action",
    "purchase": "action",
    "rating": "action",
    "list_add": "save",
    "click": "action",
    "cancellation": "undo",
}
"""What the kinds that need no declaration count as; `transforms/macros/measures.sql` says the same to SQL."""
KINDS = tuple(KNOWN)
LEAST_WEIGHT, MOST_WEIGHT = 0.001, 1000
PARTS_OF_1 = 1000
"""Weights are whole numbers of these parts, so that their sums are exact in whatever order."""


def _whole_parts(weight: float) -> float:
    # Rounded, not multiplied: 1.001 * 1000 is 1000.9999999999999 in binary.
    if round(weight, 3) != weight:
        raise ValueError(f"found {weight}, expected at most three decimals")
    return weight


def _double(value: float) -> str:
    # Without an exponent, SQL reads a DECIMAL, and compares in the precision that that has.
    return repr(value) if "e" in repr(value) else f"{value!r}e0"


def _some_weight(weight: float) -> float:
    # Not a bound of the field: whoever writes 0 means that one is to count nothing, and there is a way to say so.
    if not LEAST_WEIGHT <= weight <= MOST_WEIGHT:
        hint = (
            "; to let it count nothing for retrieval, write a `least` above all of its values, or, for a kind of your "
            "own, `counts_as: save` without a weight"
            if weight == 0
            else ""
        )
        raise ValueError(f"found {weight:g}, expected a weight from {LEAST_WEIGHT} to {MOST_WEIGHT}{hint}")
    return weight


Weight = Annotated[
    Number,
    AfterValidator(_some_weight),
    AfterValidator(_whole_parts),
    WithJsonSchema({"type": "number", "minimum": LEAST_WEIGHT, "maximum": MOST_WEIGHT}),
]


class Kind(Part):
    """A kind of interaction: how much one counts for retrieval and the baselines, and what it counts as in features."""

    weight: Weight | None = Field(
        default=None,
        description="How much one counts for retrieval, and so for the baselines of its types: 0.001 to 1000. "
        "If absent, 1 for an action and nothing for a save; an undo has none.",
    )
    least: NonNegativeFloat | None = Field(
        default=None, description="One with a smaller value is no positive for retrieval, and counts nothing there."
    )
    counts_as: Measure | None = Field(
        default=None,
        description="The measure of features that it counts in; for an own kind, `action` if absent. The known ones "
        "have theirs.",
    )


class WeightedKind(NamedTuple):
    """A kind that retrieval learns from: its weight in parts of 1, and the least value that counts, as SQL's DOUBLE."""

    name: str
    parts: int
    least: str


class Interactions(Part):
    """Kinds of interactions, and what retrieval learns from each."""

    kinds: Annotated[dict[Name, Kind], Field(max_length=64)] = Field(
        default={}, description="By name: own kinds, and known ones that are to have a weight or a least value."
    )

    @model_validator(mode="after")
    def _kinds_make_sense(self) -> Interactions:
        for name, kind in self.kinds.items():
            place = ["interactions", "kinds", name]
            measure = KNOWN.get(name, kind.counts_as)
            if kind.counts_as not in (None, measure):
                raise misplaced(
                    [*place, "counts_as"],
                    f"found {kind.counts_as!r}, but {name!r} counts as {measure!r} everywhere; leave it out, or "
                    "declare a kind of another name",
                )
            if measure == "undo" and (kind.weight, kind.least) != (None, None):
                key = "least" if kind.weight is None else "weight"
                raise misplaced(
                    [*place, key], f"found a {key} of an undo, which retrieval never learns from; leave it out"
                )
            if measure == "save" and kind.weight is None and kind.least is not None:
                raise misplaced(
                    [*place, "least"],
                    "found a least value of a save without a weight, which counts nothing for retrieval; expected a "
                    "`weight` with it",
                )
        return self

    @property
    def own(self) -> dict[str, Measure]:
        """What the kinds that only this pipeline has count as, by name."""
        return {name: self.kinds[name].counts_as or "action" for name in sorted(self.kinds.keys() - KNOWN.keys())}

    @property
    def names(self) -> tuple[str, ...]:
        """Every kind that the pipeline knows."""
        return (*KINDS, *self.own)

    @property
    def weighted(self) -> tuple[WeightedKind, ...]:
        """The kinds that retrieval learns from, known ones first."""
        found = []
        for name, measure in {**KNOWN, **self.own}.items():
            kind = self.kinds.get(name, Kind())
            weight = kind.weight or (1.0 if measure == "action" else 0.0)
            if weight:
                found.append(WeightedKind(name, round(weight * PARTS_OF_1), _double(kind.least or 0.0)))
        return tuple(found)

    def least_of(self, name: str) -> float | None:
        """The least value of a kind that counts for retrieval; None: all count, or none."""
        return self.kinds[name].least if name in self.kinds else None

    @property
    def unit(self) -> float:
        """What two different sums of weights differ by at least."""
        return math.gcd(*(kind.parts for kind in self.weighted)) / PARTS_OF_1
