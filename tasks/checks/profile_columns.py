"""Columns of a profile: `<subject>__<measure>`, or a measure of the whole table, parsed once.

Whether a value is a share, and what people call a column, follow from its name; nothing else takes it apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

Bound = Literal["lowest", "low", "high", "highest"]
ScaleName = Literal["share", "count", "hours", "number"]

Measures = dict[str, Any]
"""Values by name of a profile column: numbers, names or None; a `mix` and a `sketch` are objects, as JSON has them."""

COUNTS = ("rows", "distinct", "approx_distinct", "rejected", "positives")
DECIDED_BY = "of"
DEVIATION = "deviation"
_TRAILING = "trailing_"

TITLES = {
    "rows_vs_trailing": "rows over the mean of the week before",
    "rows_vs_manifest": "rows in the file less rows in the manifest",
    "unexpectedly_empty": "no rows on a day that is not declared closed",
    "key__seen_before_rate": "share of the keys that came on an earlier day too",
    "rate": "share of rejected rows",
    "rejected": "rejected rows",
    "with_features_share": "share of active users or items that have features",
    "changed_share": "share of active users whose attributes changed on the day",
    "positives": "pairs with a grade above 0",
    "positive__rate": "share of labelled pairs with a grade above 0",
    "rate_vs_trailing": "share of rejected rows over its mean on the days before",
}
MEASURE_TITLES = {
    "mix_unusual": "unusual mix",
    "mix_broken": "broken mix",
    "vanished": "usual values without a row",
    "std": "standard deviation",
    "top_share": "share of the commonest value",
    "hours_to_end": "hours without a row at the end",
    "p05": "5 % quantile",
    "p95": "95 % quantile",
}


@dataclass(frozen=True)
class ProfileColumn:
    """A column of a profile: what is measured (`measure`), and of what (`subject`; empty for the whole table)."""

    subject: str
    measure: str

    @classmethod
    def parse(cls, name: str) -> Self:
        """Split at the last `__`: a subject may have two underscores in its own name, a measure has none."""
        subject, _, measure = name.rpartition("__")
        return cls(subject, measure)

    @cached_property
    def name(self) -> str:
        """The column as suites and profiles spell it."""
        return f"{self.subject}__{self.measure}" if self.subject else self.measure

    def sibling(self, measure: str) -> ProfileColumn:
        """Another measure of the same subject."""
        return ProfileColumn(self.subject, measure)

    @property
    def decided_by(self) -> str:
        """Where a profile keeps which column of a family gave the value."""
        return f"{self.name}__{DECIDED_BY}"

    @property
    def deviation(self) -> str:
        """Where a profile keeps the standard deviation of the single values behind a mean."""
        return f"{self.name}__{DEVIATION}"

    @property
    def is_rate(self) -> bool:
        """Whether it is a share of rows, in [0, 1]."""
        return self.measure.endswith(("rate", "share"))

    @property
    def scale(self) -> ScaleName:
        """On which scale days are compared."""
        if self.is_rate:
            return "share"
        if self.measure in COUNTS:
            return "count"
        return "hours" if self.measure == "hours_to_end" else "number"

    @property
    def title(self) -> str:
        """What people call it: `user_id__null_rate` is the null rate of user_id."""
        if self.name in TITLES:
            return TITLES[self.name]
        measure = MEASURE_TITLES.get(self.measure, self.measure.replace("_", " "))
        return f"{measure} of {self.subject}" if self.subject else measure

    def shown(self, value: Any) -> str:
        """Format one of its values: shares in percent."""
        return shown(value, rate=self.is_rate)


@dataclass(frozen=True)
class TrailingBound:
    """The parameter `<profile column>__trailing_<bound>`: a bound that the trailing days give."""

    column: str
    bound: Bound

    @classmethod
    def parse(cls, parameter: str) -> TrailingBound | None:
        """Take a parameter's name apart; None for one that names a value of the run."""
        column, _, last = parameter.rpartition("__")
        for bound in BOUNDS:
            if last == f"{_TRAILING}{bound}":
                return cls(column, bound)
        return None

    @property
    def name(self) -> str:
        """The parameter as suites spell it."""
        return f"{self.column}__{_TRAILING}{self.bound}"


BOUNDS: tuple[Bound, ...] = ("lowest", "low", "high", "highest")


def shown(value: Any, *, rate: bool = False) -> str:
    """Format a measure for people: four significant digits, shares in percent, None as `not measured`."""
    if value is None:
        return "not measured"
    if isinstance(value, bool | str) or not math.isfinite(value):
        return str(value)
    if rate:
        return f"{100 * value:.4g} %"
    return f"{int(value):,}" if float(value).is_integer() else f"{value:.4g}"
