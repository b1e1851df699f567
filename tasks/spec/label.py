"""The part of a pipeline file that says what a positive is.

Conditions are parsed where they are needed only: reading a DAG file must not import an SQL parser.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from tasks.spec.explain import misplaced
from tasks.spec.kinds import KINDS
from tasks.spec.parts import Part
from tasks.spec.values import Days, Minutes, SomeDays, Whole

if TYPE_CHECKING:
    from tasks.spec.conditions import Key


_DAY = 24 * 60
"""Minutes."""


class GradeRule(Part):
    """One rule of relevance: exactly one of `when` and `pair` says whom it holds for (see docs/labels.md)."""

    grade: Annotated[Whole, Field(ge=0, le=4)] = Field(description="Grade given when the rule holds.")
    when: str | None = Field(
        default=None, description="SQL condition over `kind` and `value` that one of the interactions satisfies."
    )
    pair: str | None = Field(
        default=None, description="SQL condition over facts of all interactions together, like `play_count`."
    )

    @model_validator(mode="after")
    def _one_condition(self) -> GradeRule:
        if (self.when is None) == (self.pair is None):
            found = "neither `when` nor `pair`" if self.when is None else "both `when` and `pair`"
            raise ValueError(
                f"found {found}, expected exactly one: `when` for a condition that one interaction satisfies, `pair` "
                "for one over facts of all of them"
            )
        return self

    @property
    def key(self) -> Key:
        """The key that the condition stands under."""
        return "pair" if self.when is None else "when"

    @property
    def condition(self) -> str:
        """The condition as written."""
        return str(self.pair if self.when is None else self.when)

    @property
    def looks_back(self) -> bool:
        """Whether the rule needs interactions from before the cut."""
        from tasks.spec.conditions import looks_back

        # A `when` sees a single interaction in the horizon; only facts can look further back.
        return self.pair is not None and looks_back(self.pair)

    def variables(self, kinds: Sequence[str] = KINDS) -> dict[str, Any]:
        """Write the rule as the SQL project reads it: the condition written anew, and the facts it mentions.

        Args:
            kinds: that the pipeline knows.
        """
        from tasks.spec.conditions import canonical, facts

        rule: dict[str, Any] = {"grade": self.grade, self.key: canonical(self.condition, self.key, kinds)}
        if self.pair is not None:
            rule |= {"facts": list(facts(self.pair, kinds)), "looks_back": self.looks_back}
        return rule


class PairAttribution(Part):
    """An action labels every example of its user and item."""

    to: Literal["pair"]


class ImpressionAttribution(Part):
    """An action labels the one impression that it followed: its request's, where that is logged, else the last."""

    to: Literal["impression"]
    within: Minutes = Field(description="How long after the impression an action without a request may follow it.")


Attribution = Annotated[PairAttribution | ImpressionAttribution, Field(discriminator="to")]


class Label(Part):
    """What a positive is."""

    horizon: SomeDays = Field(description="H: labels of cut C come from the days (C, C+H].")
    lateness: Days = Field(default=2, description="L: how many days an interaction may arrive late.")
    attribution: Attribution = Field(default=PairAttribution(to="pair"), description="Which examples an action labels.")
    grades: Annotated[tuple[GradeRule, ...], Field(min_length=1)] = Field(
        description="The first rule that holds for the pair of user and item wins; none: grade 0."
    )

    @model_validator(mode="after")
    def _something_is_relevant(self) -> Label:
        if not any(rule.grade for rule in self.grades):
            raise misplaced(["label", "grades"], "found only rules of grade 0, expected one with a grade above 0")
        return self

    @model_validator(mode="after")
    def _actions_find_their_impressions(self) -> Label:
        if isinstance(self.attribution, ImpressionAttribution) and self.attribution.within > self.horizon * _DAY:
            raise misplaced(
                ["label", "attribution", "within"],
                f"found more than the horizon of {self.horizon}d, behind which no action is looked at; expected at "
                f"most {self.horizon}d",
            )
        return self

    @property
    def attribution_minutes(self) -> int | None:
        """Minutes within which an action without a request belongs to an impression; None: it belongs to the pair."""
        return self.attribution.within if isinstance(self.attribution, ImpressionAttribution) else None

    @property
    def looks_back(self) -> bool:
        """Whether a rule needs interactions from before the cut."""
        return any(rule.looks_back for rule in self.grades)
