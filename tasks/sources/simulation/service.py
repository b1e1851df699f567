"""Days of a simulated streaming service: what its systems would have logged, dirt included.

Each day is a function of (users, items, seed, day) alone: a partition holds the rows that *arrived* on its
day, so it is made of the day's own activity plus what the three days before it deliver late.

A member who is active on a day asks once for the home page, drawn by `tasks.sources.simulation.logging_policy`.

The member looks at position p with probability 1 / (1 + 0.08 (p - 1)), plays what is looked at with
probability sigmoid(appeal + PLAY_BASE), and finishes what is played (watches 90 % or more) with a probability
that rises with appeal. Comfort titles and others are also played by direct search, which has no `request_id`.

`true_relevance` is for tests and benchmarks only; it is never landed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tasks.errors import SourceError
from tasks.sources.simulation.logging_policy import PAGE, UNIFORM_PAGES, draw_pages, examination, policy_weights
from tasks.sources.simulation.world import (
    COMFORT_TITLES,
    FINISH_BASE,
    OPENS,
    PLAY_BASE,
    REGION_PEAK_HOURS,
    Floats,
    Ints,
    World,
    build_world,
    day_number,
    sigmoid,
    stream,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = ("play", "rating", "list_add")
PLAY, RATING, LIST_ADD = range(3)
LATEST = 3
_LATE_DAYS = (0.7, 0.2, 0.1)
# Bounds the matrix of members by titles. It is part of the log: draws go chunk by chunk, so that with another
# size the same seed gives other days.
_CHUNK = 4096
_LAST_SECOND = 86_399
# 22:00: a rating comes at most 110 minutes after its request, and so on the day whose log it is in.
_REQUESTS_END = 79_200

# What a random stream is for; a day's streams are independent of each other, so that changing the rate of one
# kind of dirt leaves everything else as it was.
(_PAGES, _RESPONSES, _SEARCHES, _DELAYS) = range(1, 5)


@dataclass(frozen=True)
class Dirt:
    """Share of rows with each defect; `late` is a share of requests and searches."""

    duplicates: float = 0.005
    late: float = 0.02
    null_ids: float = 0.002
    impossible: float = 0.002
    future: float = 0.001

    def __post_init__(self) -> None:
        for name, rate in vars(self).items():
            if not 0.0 <= rate <= 1.0:
                raise SourceError(f"dirt.{name}: found {rate}, expected a share between 0 and 1")


CLEAN = Dirt(0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Service:
    """Parameters of a simulated service; two equal ones log the same bytes."""

    users: int
    items: int
    seed: int
    dirt: Dirt = field(default=Dirt())

    @property
    def world(self) -> World:
        """The truth behind the logs."""
        return build_world(self.users, self.items, self.seed)


Columns = dict[str, npt.NDArray[np.generic]]
"""Columns of one table, all of the same length; members and titles are indices, -1 for none."""


def play_probability(appeal: Floats) -> Floats:
    """P(played | looked at)."""
    return sigmoid(appeal + PLAY_BASE)


def finish_probability(appeal: Floats) -> Floats:
    """P(watched to 90 % or more | played)."""
    return sigmoid(0.6 * appeal + FINISH_BASE)


def true_relevance(source: Service, day: date, user_ids: Sequence[str], item_ids: Sequence[str]) -> Floats:
    """P(member plays the title to its end | looks at it on the day), for tests and benchmarks only.

    Args:
        source: the simulated service.
        day: UTC day.
        user_ids: ids as landed, one per pair.
        item_ids: ids as landed, one per pair; a title not yet released has relevance 0.

    Raises:
        SourceError: an id the service does not have.
    """
    world = source.world
    users, items = _indices(user_ids, "u", source.users), _indices(item_ids, "i", source.items)
    number = day_number(day)
    result = np.zeros(len(users))
    distinct, row = np.unique(users, return_inverse=True)
    for start in range(0, len(distinct), _CHUNK):
        here = (row >= start) & (row < start + _CHUNK)
        appeal = world.appeal(distinct[start : start + _CHUNK], number)[row[here] - start, items[here]]
        result[here] = play_probability(appeal) * finish_probability(appeal)
    result[world.titles.released[items] > number] = 0.0
    return result


def _indices(ids: Sequence[str], prefix: str, count: int) -> Ints:
    numbers = [int(name[1:]) if name[:1] == prefix and name[1:].isdecimal() else 0 for name in ids]
    result = np.asarray(numbers, dtype=np.int64) - 1
    if len(result) and (result.min() < 0 or result.max() >= count):
        bad = ids[int(np.argmax((result < 0) | (result >= count)))]
        raise SourceError(f"simulated source: no id {bad!r}; expected {prefix}000001 to {prefix}{count:06d}")
    return result


@dataclass(frozen=True)
class Activity:
    """What happened on one day; `known` columns are seconds since the day's start (late ones beyond it)."""

    impressions: Columns
    events: Columns


def active_members(world: World, rng: np.random.Generator, day: int) -> Ints:
    """Draw who opens the service on a day; a member is seen from the day after joining."""
    # A mean week has the members' own activity: 2 × 1.08 + 5 × 0.97 = 7.01.
    weekend = (OPENS.weekday() + day) % 7 >= 5
    chance = world.members.activity * (1.08 if weekend else 0.97)
    return np.flatnonzero((rng.random(len(chance)) < chance) & (world.members.joined < day))


def simulate(source: Service, day: int) -> Activity:
    """Draw a day's activity, with arrival times but no defects yet."""
    world, dirt = source.world, source.dirt
    rng = stream(source.seed, _PAGES, day)
    users = active_members(world, rng, day)
    size = min(PAGE, int((world.titles.released <= day).sum()))
    start = _request_seconds(world, users, day, rng)
    policy = (rng.random(len(users)) < UNIFORM_PAGES).astype(np.int64)
    answers = stream(source.seed, _RESPONSES, day)
    searches = stream(source.seed, _SEARCHES, day)
    shown: list[Columns] = []
    events: list[Columns] = []
    # Once even for nobody: a day without activity has empty tables, not none.
    for first in range(0, max(1, len(users)), _CHUNK):
        part = slice(first, first + _CHUNK)
        appeal = world.appeal(users[part], day)
        titles, propensity = draw_pages(policy_weights(world, users[part], policy[part], day), size, rng)
        shown.append(_page_rows(users[part], titles, propensity, policy[part], start[part]))
        events.append(_answers(shown[-1], np.take_along_axis(appeal, titles, 1).ravel(), answers))
        events.append(_searches(world, users[part], appeal, start[part], day, searches))
    impressions, happened = _stack(shown), _stack(events)
    delay = _delays(len(users), dirt.late, stream(source.seed, _DELAYS, day))
    _arrive(impressions, users, delay)
    _arrive(happened, users, delay)
    happened["number"] = np.arange(len(happened["user"]))
    return Activity(impressions, happened)


def _request_seconds(world: World, users: Ints, day: int, rng: np.random.Generator) -> Ints:
    peak = np.array(REGION_PEAK_HOURS)[world.regions(users, day)]
    hours = rng.normal(peak, 3.5)
    return np.asarray(np.abs(hours) * 3600 % _REQUESTS_END, dtype=np.int64)


def _page_rows(users: Ints, titles: Ints, propensity: Floats, policy: Ints, start: Ints) -> Columns:
    rows, size = titles.shape
    return {
        "user": np.repeat(users, size),
        "item": titles.ravel(),
        "position": np.tile(np.arange(1, size + 1), rows),
        "policy": np.repeat(policy, size),
        "propensity": propensity.ravel(),
        "second": np.repeat(start, size),
    }


def _answers(shown: Columns, appeal: Floats, rng: np.random.Generator) -> Columns:
    """Draw the plays, ratings and list adds that a page led to."""
    looked = rng.random(len(appeal)) < examination(shown["position"].astype(np.float64))
    chance = play_probability(appeal)
    played = looked & (rng.random(len(appeal)) < chance)
    added = looked & ~played & (rng.random(len(appeal)) < 0.4 * chance)
    when = shown["second"].astype(np.int64) + 8 * shown["position"].astype(np.int64)
    plays = np.flatnonzero(played)
    user, item = shown["user"].astype(np.int64), shown["item"].astype(np.int64)
    watched = _events(user[plays], item[plays], PLAY, _fraction(appeal[plays], rng), when[plays] + 30, True)
    adds = np.flatnonzero(added)
    saved = _events(user[adds], item[adds], LIST_ADD, np.ones(len(adds)), when[adds], True)
    return _stack([watched, _ratings(watched, appeal[plays], rng), saved])


def _fraction(appeal: Floats, rng: np.random.Generator) -> Floats:
    """Draw watched fractions: finished (0.9 to 1), abandoned (below 0.1) or left in between."""
    finished = rng.random(len(appeal)) < finish_probability(appeal)
    abandoned = rng.random(len(appeal)) < 0.4
    uniform = rng.random(len(appeal))
    low = np.where(finished, 0.9, np.where(abandoned, 0.01, 0.1))
    high = np.where(finished, 1.0, np.where(abandoned, 0.1, 0.9))
    return np.round(low + (high - low) * uniform, 4).clip(low, None)


def _ratings(plays: Columns, appeal: Floats, rng: np.random.Generator) -> Columns:
    value = plays["value"].astype(np.float64)
    rated = np.flatnonzero((value >= 0.5) & (rng.random(len(value)) < 0.15))
    stars = np.clip(np.round(2.6 + 0.5 * appeal + rng.normal(0.0, 0.7, len(value))), 1, 5)[rated]
    later = plays["second"].astype(np.int64)[rated] + 3600
    user, item = plays["user"].astype(np.int64), plays["item"].astype(np.int64)
    return _events(user[rated], item[rated], RATING, stars, later, bool(plays["requested"][:1].any()))


def _searches(world: World, users: Ints, appeal: Floats, start: Ints, day: int, rng: np.random.Generator) -> Columns:
    """Draw plays that came from no page: two in three of a comfort title, the others by appeal."""
    count = rng.poisson(0.35, len(users))
    row = np.repeat(np.arange(len(users)), count)
    comfort = world.members.comfort[users[row], rng.integers(0, COMFORT_TITLES, len(row))]
    known = np.flatnonzero(world.titles.released <= day)
    chances = np.cumsum(np.exp(appeal[np.ix_(row, known)]), axis=1)
    drawn = rng.random(len(row))[:, None] * chances[:, -1:]
    other = known[np.minimum((chances < drawn).sum(axis=1), len(known) - 1)]
    item = np.where(rng.random(len(row)) < 2 / 3, comfort, other)
    liked = appeal[row, item]
    when = start[row] + 600 + rng.integers(0, 2400, len(row))
    plays = _events(users[row], item, PLAY, _fraction(liked, rng), when, False)
    return _stack([plays, _ratings(plays, liked, rng)])


def _events(user: Ints, item: Ints, kind: int, value: Floats, second: Ints, requested: bool) -> Columns:
    return {
        "user": user,
        "item": item,
        "kind": np.full(len(user), kind),
        "value": value,
        "second": np.minimum(second, _LAST_SECOND),
        "requested": np.full(len(user), requested),
    }


def _stack(parts: list[Columns]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _delays(users: int, late: float, rng: np.random.Generator) -> Ints:
    """Draw by how many seconds each active member's device reports late (0: at once)."""
    is_late = rng.random(users) < late
    days = rng.choice(np.arange(1, LATEST + 1), users, p=_LATE_DAYS)
    return np.where(is_late, days * 86_400 + rng.integers(0, 3600, users), 0).astype(np.int64)


def _arrive(rows: Columns, users: Ints, delay: Ints) -> None:
    """Add the column `known`: a few seconds after the fact, or on the day the device was online again."""
    # `users` is sorted, as `active_members` gives it.
    lag = delay[np.searchsorted(users, rows["user"].astype(np.int64))]
    second = rows["second"].astype(np.int64)
    # What is reported at once is not late, so it must not arrive after midnight.
    on_day = np.minimum(second + 2, _LAST_SECOND)
    rows["known"] = np.where(lag == 0, on_day, lag // 86_400 * 86_400 + (second + lag % 86_400) % 86_400)
