"""What the correction for positions found, as the step `train` records it."""

from __future__ import annotations

from pydantic import Field

from tasks.store.records import Record


class Slot(Record):
    """A place of a layout.

    Attributes:
        layout: values of the attributes that tell layouts apart; none where there is one layout.
        position: from 1.
        examination: probability of being looked at, as a multiple of that of the slot that is looked at most.
        shown: examples in it that the estimate is of.
        relevant: those of them that are relevant.
    """

    layout: tuple[str, ...]
    position: int
    examination: float
    shown: int
    relevant: int


class PropensityWeights(Record):
    """How examples were weighted.

    Attributes:
        propensities: where they come from.
        weighted: examples that have such a weight: all of them, or the relevant ones.
        effective: as many examples of equal weight would be as good for a mean (Kish 1965), weights of the sample
            included.
        clipped: examples whose weight was cut off.
        largest: the largest weight after that, in multiples of the mean.
        slots: what was estimated; nothing of logged propensities.
    """

    propensities: str
    weighted: int
    effective: float
    clipped: int
    largest: float
    slots: tuple[Slot, ...] = ()

    @property
    def text(self) -> str:
        """The weights in a sentence."""
        share = self.effective / max(self.weighted, 1)
        return (
            f"{self.weighted:,} examples weighted by {self.propensities} propensities count as {self.effective:,.0f} "
            f"({100 * share:.0f} %); {self.clipped:,} weights were clipped, the largest is {self.largest:.1f} times "
            "the mean"
        )


class PositionBiasResult(Record):
    """How the evaluated model was corrected for where items were shown.

    Attributes:
        factors: what the position-aware ranker adds to the score of an item at each position; of several models the
            mean.
        weights: how examples were weighted by inverse propensities.
    """

    factors: dict[int, float] = Field(default_factory=dict)
    weights: PropensityWeights | None = None

    @property
    def text(self) -> str:
        """What was found, in a sentence."""
        if self.weights is not None:
            return self.weights.text
        low, high = min(self.factors.values(), default=0.0), max(self.factors.values(), default=0.0)
        return (
            f"positions add {low:+.3f} to {high:+.3f} to the scores that are learned from, and nothing to those served"
        )
