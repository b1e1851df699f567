"""Bands: how far the values of a measure usually lie from their median, on the scale on which they are compared.

A scale says which values count, where distances are equal, what chance explains at the size of the day that is
evaluated (Bernstein's bound for shares, Poisson for counts), and which bounds make sense.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

from tasks.checks.profile_columns import Bound, ProfileColumn, ScaleName
from tasks.checks.suite_parts import Trailing

Z = 3.5
"""Standard deviations to the usual bounds: by chance alone once in two thousand checks, were days normal."""
FAR = 1.5
"""How much farther `lowest` and `highest` are."""
LARGEST_LOG = 700.0
"""exp() of more overflows a double."""
SAME_WEEKDAYS = 3


@dataclass(frozen=True)
class Point:
    """A measure of an earlier day, and the units (rows, if they come one by one) it was measured on."""

    day: date
    value: float
    units: float


@dataclass(frozen=True)
class Band:
    """What a measure usually is: within `low` and `high`; `lowest` and `highest` are half as far again."""

    lowest: float
    low: float
    high: float
    highest: float

    def bound(self, name: Bound) -> float:
        """One of the four."""
        bounds: dict[Bound, float] = {
            "lowest": self.lowest,
            "low": self.low,
            "high": self.high,
            "highest": self.highest,
        }
        return bounds[name]


@dataclass(frozen=True)
class Chance:
    """What chance alone explains: a standard deviation, and the reach of Bernstein's bound per z²."""

    deviation: float
    reach: float = 0.0


class Scale:
    """Hours, and what all scales share: values are compared by their differences."""

    floor = 3.0
    """Half the width that a band has at least."""
    least, most = 0.0, math.inf

    def usable(self, points: Sequence[Point]) -> Sequence[Point]:
        """The days that say something about others."""
        return points

    def inward(self, value: float) -> float:
        """To where distances are equal."""
        return value

    def outward(self, bound: float) -> float:
        """Back to the values themselves."""
        return min(max(bound, self.least), self.most)

    def band(self, bounds: Sequence[float]) -> Band:
        """The bounds as values."""
        return Band(*(self.outward(bound) for bound in bounds))

    def is_empty(self, center: float, spread: float) -> bool:
        """Whether the days give neither a size nor a spread to go by."""
        return False

    def spread(self, spread: float, points: Sequence[Point], units: float) -> float:
        """The spread of days of so many units: smaller days differ more."""
        # Never narrower: a bigger day is allowed the spread that the earlier ones showed.
        return spread * math.sqrt(max(1.0, median(point.units for point in points) / max(units, 1)))

    def chance(self, center: float, points: Sequence[Point], units: float, mean_deviation: float) -> Chance:
        """What chance explains on a day of so many units; `mean_deviation` is that of a mean of so many values."""
        return Chance(mean_deviation)

    def margin(self, floor: float, center: float, spread: float) -> float:
        """A declared floor as a distance."""
        return floor


class ShareScale(Scale):
    """Shares of rows: chance is binomial, and bounds stay in [0, 1]."""

    floor = 0.02
    most = 1.0

    def chance(self, center: float, points: Sequence[Point], units: float, mean_deviation: float) -> Chance:
        """A usual share of exactly 0 or 1 is taken for the least that so many units could have shown."""
        units = max(units, 1.0)
        # Laplace's rule of succession for something never seen in that many units.
        seen = 1 / (sum(point.units for point in points) + 2)
        share = min(max(center, seen), 1 - seen)
        return Chance(math.sqrt(share * (1 - share) / units), 1 / (3 * units))


class NumberScale(Scale):
    """Numbers of either sign: a floor is relative to their size, or to their spread where that is larger."""

    floor = 0.25
    least = -math.inf

    def is_empty(self, center: float, spread: float) -> bool:
        """Nothing but zeros."""
        return center == spread == 0.0

    def margin(self, floor: float, center: float, spread: float) -> float:
        """Relative."""
        return floor * max(abs(center), spread)


class PositiveScale(NumberScale):
    """Numbers that are always positive are compared by ratio: half as much is as far as twice."""

    def inward(self, value: float) -> float:
        """Their logarithm."""
        return math.log(value)

    def outward(self, bound: float) -> float:
        """The number of a logarithm."""
        return math.exp(min(bound, LARGEST_LOG))

    def chance(self, center: float, points: Sequence[Point], units: float, mean_deviation: float) -> Chance:
        """A deviation relative to the mean is one of logarithms, to the first order."""
        return Chance(mean_deviation / math.exp(center))

    def margin(self, floor: float, center: float, spread: float) -> float:
        """Logarithms are relative already."""
        return floor


class CountScale(PositiveScale):
    """Counts: by ratio, with a Poisson's chance. Days without any say nothing of the days that have some."""

    def usable(self, points: Sequence[Point]) -> Sequence[Point]:
        """Days that have some."""
        return [point for point in points if point.value > 0]

    def is_empty(self, center: float, spread: float) -> bool:
        """Never: a count has a size."""
        return False

    def spread(self, spread: float, points: Sequence[Point], units: float) -> float:
        """As it is: the units are what is counted."""
        return spread

    def chance(self, center: float, points: Sequence[Point], units: float, mean_deviation: float) -> Chance:
        """Relative deviation of a Poisson count; of units that come together, of their number."""
        return Chance(1 / math.sqrt(min(math.exp(center), median(point.units for point in points))))

    def band(self, bounds: Sequence[float]) -> Band:
        """A lower bound below 1 is none: then no rows at all are as usual as one."""
        lowest, low, high, highest = (self.outward(bound) for bound in bounds)
        return Band(lowest if lowest >= 1 else 0.0, low if low >= 1 else 0.0, high, highest)


def scale_of(name: ScaleName, points: Sequence[Point]) -> Scale:
    """The scale of a profile column; numbers are compared by ratio where all days had positive ones."""
    if name == "number":
        return PositiveScale() if all(point.value > 0 for point in points) else NumberScale()
    return {"share": ShareScale, "count": CountScale, "hours": Scale}[name]()


@dataclass(frozen=True)
class Center:
    """The median of the days that are like the evaluated one, the deviations from it, and how many days those are."""

    value: float
    deviations: tuple[float, ...]
    days: int


def center_of(points: Sequence[Point], values: Sequence[float], day: date, *, weekdays: bool) -> Center:
    """The center for a day: of the same weekdays where the source has weekdays and there are three of them."""
    by_weekday: dict[int, list[float]] = {}
    for point, value in zip(points, values, strict=True):
        by_weekday.setdefault(point.day.weekday(), []).append(value)
    same = by_weekday.get(day.weekday(), [])
    if not weekdays or len(same) < SAME_WEEKDAYS:
        center = median(values)
        return Center(center, tuple(value - center for value in values), len(values))
    often = [of_weekday for of_weekday in by_weekday.values() if len(of_weekday) >= SAME_WEEKDAYS]
    deviations = [value - median(of_weekday) for of_weekday in often for value in of_weekday]
    # Each weekday's median costs a degree of freedom: a median of few values lies among them.
    lost = math.sqrt(len(deviations) / (len(deviations) - len(often)))
    return Center(median(same), tuple(deviation * lost for deviation in deviations), len(same))


def robust_spread(deviations: Sequence[float]) -> float:
    """A standard deviation that one or two days in ten cannot change.

    The greater of the scaled median absolute deviation and the span of the middle 80 %: the first alone is 0 where
    more than half of the days are equal. 1.4826 and 2.563 make both that of a normal distribution.
    """
    ordered = sorted(deviations)
    inner = (len(ordered) - 1) * 0.1
    span = quantile(ordered, len(ordered) - 1 - inner) - quantile(ordered, inner)
    return max(1.4826 * median(abs(deviation) for deviation in ordered), span / 2.563)


def quantile(ordered: Sequence[float], place: float) -> float:
    """The value at a place between two of them, from 0, by linear interpolation."""
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


@dataclass(frozen=True)
class History:
    """What the trailing days say about one profile column of a day with so many units."""

    column: ProfileColumn
    points: tuple[Point, ...]
    day: date
    units: float
    trailing: Trailing
    deviation: float = 0.0
    """Standard deviation of single values, where a mean is evaluated."""

    def band(self, floor: float | None = None, z: float = Z) -> Band | None:
        """The bounds that the trailing days give, None for too few days.

        Args:
            floor: half the width that it has at least; the scale's, if absent.
            z: standard deviations to the usual bounds.
        """
        scale = scale_of(self.column.scale, self.points)
        points = scale.usable(self.points)
        if len(points) < self.trailing.least:
            return None
        values = [scale.inward(point.value) for point in points]
        center = center_of(points, values, self.day, weekdays=self.trailing.weekdays)
        spread = robust_spread(center.deviations)
        if scale.is_empty(center.value, spread):
            return None
        spread = scale.spread(spread, points, self.units)
        chance = scale.chance(center.value, points, self.units, self.deviation / math.sqrt(max(self.units, 1)))
        # The median itself is uncertain, by √(π/2) of a mean's standard error (of normal days).
        width = z * max(spread * math.sqrt(1 + math.pi / 2 / center.days), chance.deviation) + z**2 * chance.reach
        width += scale.margin(scale.floor if floor is None else floor, center.value, spread)
        return scale.band([center.value + step * width for step in (-FAR, -1, 1, FAR)])

    @property
    def trend(self) -> tuple[tuple[str, float], ...]:
        """The day and the value of each trailing day."""
        return tuple((point.day.isoformat(), point.value) for point in self.points)

    @property
    def problem(self) -> str:
        """Why there are no bounds."""
        return f"not checked yet: {len(self.points)} of at least {self.trailing.least} earlier days"
