"""Trailing statistics: what a day of a table is usually like, from the profiles of the days before it.

A band around the median of the trailing days is wide enough for how the days differ among themselves (the greater of
the scaled median absolute deviation and of the span of the middle 80 %, so that one or two bad days change nothing) or
for what chance explains at the row count of the day that is judged (Bernstein's bound for shares, Poisson for counts),
whichever is more, and for a declared floor besides. Hence a big table does not alarm by a hair's breadth, and a small
one neither hides a break nor alarms by chance. `low` and `high` bound the usual; `lowest` and `highest` are half as far
again. Counts, and numbers that are always positive, are compared by their logarithms: half as much is as far as twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import Any

from tasks.checks.profile_sql import OTHERS, names
from tasks.checks.suite_parts import Trailing
from tasks.checks.suites import Suite

Z = 3.5
"""Standard deviations to the usual bounds: by chance alone once in two thousand checks, were days normal."""
FAR = 1.5
"""How much farther `lowest` and `highest` are."""
FLOORS = {"share": 0.02, "count": 0.25, "number": 0.25, "hours": 3.0}
MIX_FLOOR = 0.05
SURE_UNITS = 12.0
"""Units expected of a value that has none: chance leaves such a value without any once in 160,000."""
CATEGORIES = 100
SEEN_DAYS = 7
SAME_WEEKDAYS = 3

Profile = Mapping[str, Any]


@dataclass(frozen=True)
class Point:
    """A measure of an earlier day, and the units (rows, if they come one by one) it was measured on."""

    day: date
    value: float
    units: float


@dataclass(frozen=True)
class Band:
    """What a measure usually is."""

    lowest: float
    low: float
    high: float
    highest: float

    def bound(self, parameter: str) -> float:
        """Return the bound that a parameter `…__trailing_<bound>` names."""
        value: float = getattr(self, parameter.rpartition("__trailing_")[2])
        return value


@dataclass(frozen=True)
class History:
    """What the trailing days say about one profile column of a day with so many units."""

    column: str
    points: tuple[Point, ...]
    day: date
    units: float
    trailing: Trailing
    deviation: float = 0.0
    """Standard deviation of single values, where a mean is judged."""

    def band(self, floor: float | None) -> Band | None:
        """Return the bounds the trailing days give, None for too few days."""
        chance = self.deviation / math.sqrt(max(self.units, 1))
        return band(self.points, self.day, self.units, scale(self.column), self.trailing, floor, chance=chance)

    @property
    def trend(self) -> tuple[tuple[str, float], ...]:
        """The day and the value of each trailing day."""
        return tuple((point.day.isoformat(), point.value) for point in self.points)

    @property
    def problem(self) -> str:
        """Why there are no bounds."""
        return f"not judged yet: {len(self.points)} of at least {self.trailing.least} earlier days"


def scale(column: str) -> str:
    """Return how a profile column is compared: as a share, a count, hours or a number."""
    measure = column.rpartition("__")[2]
    if measure.endswith(("rate", "share")):
        return "share"
    if measure in ("rows", "distinct", "approx_distinct", "rejected", "positives"):
        return "count"
    return "hours" if measure == "hours_to_end" else "number"


def history(column: str, profiles: Sequence[Profile], day: date, units: float, trailing: Trailing) -> History:
    """Return the trailing values of a profile column.

    Args:
        column: the profile column.
        profiles: of earlier days, each with `day` (ISO), `rows` and the column.
        day: the day that is judged.
        units: its rows, or the groups they come in: the fewer, the wider its bounds.
        trailing: how days are compared.
    """
    points, deviations = [], []
    for profile in profiles:
        value, of = profile.get(column), _units(profile)
        if of and isinstance(value, int | float) and math.isfinite(value):
            points.append(Point(_day(profile), value, of))
            deviations.append(float(profile.get(f"{column}__deviation") or 0))
    return History(column, tuple(points), day, units, trailing, median(deviations) if deviations else 0.0)


def band(
    points: Sequence[Point],
    day: date,
    units: float,
    kind: str,
    trailing: Trailing,
    floor: float | None = None,
    z: float = Z,
    chance: float = 0.0,
) -> Band | None:
    """Return the band that trailing points give for a day with so many units, None for too few points."""
    if kind == "count":
        points = [point for point in points if point.value > 0]
    if len(points) < trailing.least:
        return None
    logs = kind == "count" or (kind == "number" and all(point.value > 0 for point in points))
    values = [math.log(point.value) if logs else point.value for point in points]
    centre, deviations, near = _centre(points, values, day, trailing.weekdays)
    spread = _spread(deviations)
    if kind == "number" and centre == spread == 0.0:
        return None  # nothing but zeros: neither a size nor a spread to go by
    if kind != "count":
        spread *= math.sqrt(max(1.0, median(point.units for point in points) / max(units, 1)))
    own, reach = _chance(kind, centre, points, units)
    chance = own or (chance / math.exp(centre) if logs else chance)
    width = z * max(spread * math.sqrt(1 + math.pi / 2 / near), chance) + z**2 * reach
    least = FLOORS[kind] if floor is None else floor
    width += least * max(abs(centre), spread) if kind == "number" and not logs else least
    bounds = [centre - FAR * width, centre - width, centre + width, centre + FAR * width]
    if logs:
        bounds = [math.exp(min(bound, 700)) for bound in bounds]
    if kind == "count":
        bounds[:2] = [bound if bound >= 1 else 0.0 for bound in bounds[:2]]
    if kind in ("share", "hours"):
        bounds = [max(bound, 0.0) for bound in bounds]
    if kind == "share":
        bounds = [min(bound, 1.0) for bound in bounds]
    return Band(*bounds)


def _centre(
    points: Sequence[Point], values: Sequence[float], day: date, weekdays: bool
) -> tuple[float, list[float], int]:
    """Return the median, the deviations from it, and how many days it is the median of."""
    days: dict[int, list[float]] = {}
    for point, value in zip(points, values, strict=True):
        days.setdefault(point.day.weekday(), []).append(value)
    same = days.get(day.weekday(), [])
    if not weekdays or len(same) < SAME_WEEKDAYS:
        centre = median(values)
        return centre, [value - centre for value in values], len(values)
    often = [found for found in days.values() if len(found) >= SAME_WEEKDAYS]
    deviations = [value - median(found) for found in often for value in found]
    lost = math.sqrt(len(deviations) / (len(deviations) - len(often)))  # a median of few lies among them
    return median(same), [deviation * lost for deviation in deviations], len(same)


def _spread(deviations: Sequence[float]) -> float:
    """Return a standard deviation that one or two days in ten cannot change."""
    ordered = sorted(deviations)
    inner = (len(ordered) - 1) * 0.1
    span = _quantile(ordered, len(ordered) - 1 - inner) - _quantile(ordered, inner)
    return max(1.4826 * median(abs(deviation) for deviation in ordered), span / 2.563)


def _quantile(ordered: Sequence[float], place: float) -> float:
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _chance(kind: str, centre: float, points: Sequence[Point], units: float) -> tuple[float, float]:
    """Return the standard deviation that chance alone explains, and the reach of Bernstein's bound per z²."""
    units = max(units, 1.0)
    if kind == "share":
        least = 1 / (sum(point.units for point in points) + 2)
        share = min(max(centre, least), 1 - least)
        return math.sqrt(share * (1 - share) / units), 1 / (3 * units)
    usual = median(point.units for point in points)
    return (1 / math.sqrt(min(math.exp(centre), usual)), 0.0) if kind == "count" else (0.0, 0.0)


def compare_with_trailing(suite: Suite, today: Profile, earlier: Sequence[Profile]) -> dict[str, Any]:
    """Return what only earlier days can tell of a day: profile columns, and `trailing` with each column's history.

    Args:
        suite: what is asked for.
        today: the profile of the day, with `day` and `rows`.
        earlier: profiles of the trailing days, in order.
    """
    trailing = suite.meta.trailing
    found: dict[str, Any] = {}
    for expectation in suite.expectations:
        column = expectation.column
        subject, _, measure = column.rpartition("__")
        if measure in ("mix_unusual", "mix_broken"):
            found[column] = _mix(subject, measure, today, earlier, trailing, expectation.meta.floor)
        elif measure == "vanished":
            found[column] = _vanished(subject, today, earlier, trailing)
    sketched = [column for column in suite.asked if column.endswith("__seen_before_rate")]
    past = [{**profile, **_seen_before(sketched, earlier, n)} for n, profile in enumerate(earlier)]
    found |= _seen_before(sketched, [*earlier, today], len(earlier))
    day, units = _day(today), _units(today)
    return {**found, "trailing": {column: history(column, past, day, units, trailing) for column in suite.asked}}


def _seen_before(columns: Sequence[str], profiles: Sequence[Profile], n: int) -> dict[str, float | None]:
    found = {}
    for column in columns:
        name = f"{column.removesuffix('__seen_before_rate')}__sketch"
        if n < min(SEEN_DAYS, len(profiles) - 1):
            continue  # fewer days before it than before the others
        filled = [sketch for profile in profiles[:n] if (sketch := profile.get(name)) and sketch["hashes"]]
        found[column] = seen_before(profiles[n].get(name), filled[-SEEN_DAYS:])
    return found


def seen_before(today: Mapping[str, Any] | None, earlier: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the share of a day's keys that earlier days had too, from sketches of their smallest hashes.

    Broder (1997): of the keys whose hash lies below the limits of both sketches all are known on both sides.
    """
    if not today or not earlier:
        return None
    below = min(int(sketch["below"]) for sketch in (today, *earlier))
    own = [key for key in today["hashes"] if key <= below]
    known = {key for sketch in earlier for key in sketch["hashes"]}
    return sum(key in known for key in own) / len(own) if own else None


def _mix(
    column: str, measure: str, today: Profile, earlier: Sequence[Profile], trailing: Trailing, floor: float | None
) -> str | None:
    """Return the values whose share of the rows is not what it was, or `none`."""
    mix, past = today.get(f"{column}__mix"), _mixes(column, earlier)
    if not mix or len(past) < trailing.least:
        return None
    values = sorted({value for _, found in past for value in found} | set(mix))
    if median(len(found) for _, found in past) > CATEGORIES:
        return None
    z = math.sqrt(Z**2 + 2 * math.log(len(values)))  # as many chances to be out of bounds
    day, units = _day(today), _units(today)
    unusual = []
    for value in values:
        points = [Point(_day(profile), found.get(value, 0.0), _units(profile)) for profile, found in past]
        usual = band(points, day, units, "share", trailing, MIX_FLOOR if floor is None else floor, z)
        share = mix.get(value, 0.0)
        if usual is None:
            continue
        low, high = (usual.low, usual.high) if measure == "mix_unusual" else (usual.lowest, usual.highest)
        if not low <= share <= high:
            unusual.append(f"{value} {100 * share:.3g} % (usual: {100 * low:.3g} to {100 * high:.3g} %)")
    return names(unusual)


def _mixes(column: str, earlier: Sequence[Profile]) -> list[tuple[Profile, Mapping[str, float]]]:
    return [(profile, profile[f"{column}__mix"]) for profile in earlier if profile.get(f"{column}__mix")]


def _day(profile: Profile) -> date:
    return date.fromisoformat(str(profile["day"]))


def _units(profile: Profile) -> float:
    return float(profile.get("units") or profile.get("rows") or 0)


def _vanished(column: str, today: Profile, earlier: Sequence[Profile], trailing: Trailing) -> str | None:
    """Return the values (of a time: the hours) that have no row, of those that chance does not leave out, or `none`."""
    mix, past = today.get(f"{column}__mix"), _mixes(column, earlier)
    if not mix or len(past) < trailing.least:
        return None
    same = [pair for pair in past if _day(pair[0]).weekday() == _day(today).weekday()]
    if trailing.weekdays and len(same) >= SAME_WEEKDAYS:
        past = same
    absent = []
    for value in sorted({value for _, found in past for value in found} - set(mix) - {OTHERS}):
        shares = sorted(found.get(value, 0.0) for _, found in past)
        if _quantile(shares, (len(shares) - 1) * 0.1) * _units(today) >= SURE_UNITS:
            absent.append(value)
    return names(absent)
