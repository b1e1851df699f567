"""Trailing statistics: what a day of a table is usually like, from the profiles of the days before it.

A band around the median of the trailing days is wide enough for how the days differ among themselves (so that one or
two bad days change nothing) or for what chance explains at the row count of the evaluated day, whichever is more, and
for a declared floor besides. Hence a big table does not alarm by a hair's breadth, and a small one neither hides a
break nor alarms by chance. How values of each kind are compared: `tasks.checks.bands`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from statistics import median

from tasks.checks.bands import SAME_WEEKDAYS, History, Point, Z, quantile
from tasks.checks.profile_columns import ProfileColumn
from tasks.checks.profile_row import Profile, Sketch
from tasks.checks.profile_sql import OTHERS, names
from tasks.checks.suite_parts import Trailing
from tasks.checks.suites import Suite

MIX_FLOOR = 0.05
SURE_UNITS = 12.0
"""Units expected of a value that has none: chance leaves such a value without any once in 160,000."""
CATEGORIES = 100
SEEN_DAYS = 7


def history(column: ProfileColumn, profiles: Sequence[Profile], day: date, units: float, trailing: Trailing) -> History:
    """Collect the trailing values of a profile column.

    Args:
        column: the profile column.
        profiles: of earlier days; those where it is no finite number, or that have no rows, say nothing.
        day: the day that is evaluated.
        units: its rows, or the groups they come in: the fewer, the wider its bounds.
        trailing: how days are compared.
    """
    points, deviations = [], []
    for profile in profiles:
        value = profile.number(column)
        if profile.units and value is not None:
            points.append(Point(profile.day, value, profile.units))
            deviations.append(profile.deviation(column))
    return History(column, tuple(points), day, units, trailing, median(deviations) if deviations else 0.0)


def with_trailing(suite: Suite, today: Profile, earlier: Sequence[Profile]) -> Profile:
    """Add to a day's profile what only earlier days can tell: further columns, and each column's history.

    Args:
        suite: what is expected.
        today: the profile of the day.
        earlier: profiles of the trailing days, in order.
    """
    comparison = Comparison(today, tuple(earlier), suite.meta.trailing)
    compared: dict[str, str | None] = {}
    for expectation in suite.expectations:
        column = expectation.column
        if column.measure in ("mix_unusual", "mix_broken"):
            compared[column.name] = comparison.mix(column, expectation.meta.floor)
        elif column.measure == "vanished":
            compared[column.name] = comparison.vanished(column.subject)
    sketched = [column for column in suite.columns if column.measure == "seen_before_rate"]
    past = [profile.with_measures(_seen_before(sketched, earlier, n)) for n, profile in enumerate(earlier)]
    histories = {
        column.name: history(column, past, today.day, today.units, suite.meta.trailing) for column in suite.columns
    }
    seen = _seen_before(sketched, [*earlier, today], len(earlier))
    return replace(today.with_measures({**compared, **seen}), histories=histories)


def _seen_before(columns: Iterable[ProfileColumn], profiles: Sequence[Profile], n: int) -> dict[str, float | None]:
    """The shares of the n-th day's keys that the days before it had."""
    if n < min(SEEN_DAYS, len(profiles) - 1):
        return {}  # fewer days before it than before the others: its share would be lower by itself
    rates = {}
    for column in columns:
        sketches = [sketch for profile in profiles[:n] if (sketch := profile.sketch(column.subject)) and sketch.hashes]
        rates[column.name] = seen_before(profiles[n].sketch(column.subject), sketches[-SEEN_DAYS:])
    return rates


def seen_before(today: Sketch | None, earlier: Sequence[Sketch]) -> float | None:
    """The share of a day's keys that earlier days had too, from sketches of their smallest hashes.

    Broder (1997): of the keys whose hash lies below the limits of all sketches, all are known on all sides.
    """
    if not today or not earlier:
        return None
    below = min(sketch.below for sketch in (today, *earlier))
    keys = [key for key in today.hashes if key <= below]
    known = {key for sketch in earlier for key in sketch.hashes}
    return sum(key in known for key in keys) / len(keys) if keys else None


@dataclass(frozen=True)
class Comparison:
    """A day beside those before it, value by value."""

    today: Profile
    earlier: tuple[Profile, ...]
    trailing: Trailing

    def mix(self, column: ProfileColumn, floor: float | None) -> str | None:
        """Name the values whose share of the rows is not what it was, or `none`; None for too few days."""
        mix, past = self.today.mix(column.subject), self._past(column.subject)
        if not mix or len(past) < self.trailing.least:
            return None
        values = sorted({value for _, earlier in past for value in earlier} | set(mix))
        # With that many values it holds ids or titles, whose shares mean nothing from day to day.
        if median(len(earlier) for _, earlier in past) > CATEGORIES:
            return None
        z = math.sqrt(Z**2 + 2 * math.log(len(values)))  # as many chances to be out of bounds
        unusual = []
        for value in values:
            points = tuple(Point(profile.day, earlier.get(value, 0.0), profile.units) for profile, earlier in past)
            shares = History(column.sibling("share"), points, self.today.day, self.today.units, self.trailing)
            usual = shares.band(MIX_FLOOR if floor is None else floor, z)
            if usual is None:
                continue
            share = mix.get(value, 0.0)
            broken = column.measure == "mix_broken"
            low, high = (usual.lowest, usual.highest) if broken else (usual.low, usual.high)
            if not low <= share <= high:
                unusual.append(f"{value} {100 * share:.3g} % (usual: {100 * low:.3g} to {100 * high:.3g} %)")
        return names(unusual)

    def vanished(self, subject: str) -> str | None:
        """Name the values (of a time: the hours) that have no row though chance would not leave them out, or `none`."""
        mix, past = self.today.mix(subject), self._past(subject)
        if not mix or len(past) < self.trailing.least:
            return None
        same = [pair for pair in past if pair[0].day.weekday() == self.today.day.weekday()]
        if self.trailing.weekdays and len(same) >= SAME_WEEKDAYS:
            past = same
        absent = []
        for value in sorted({value for _, earlier in past for value in earlier} - set(mix) - {OTHERS}):
            shares = sorted(earlier.get(value, 0.0) for _, earlier in past)
            # The 10 % quantile, not the median: a value that some days lack by themselves must not count as usual.
            if quantile(shares, (len(shares) - 1) * 0.1) * self.today.units >= SURE_UNITS:
                absent.append(value)
        return names(absent)

    def _past(self, subject: str) -> list[tuple[Profile, Mapping[str, float]]]:
        return [(profile, mix) for profile in self.earlier if (mix := profile.mix(subject))]
