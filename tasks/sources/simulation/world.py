"""The simulated streaming service as it really is: who its members are, what its titles are, who likes what.

Nothing here is random once the seed is chosen, and nothing here ever reaches the landing except what a real
service would know (regions, plans, titles, visible categories, dates). A day's log is made from it by
`tasks.sources.simulation.service`.

True appeal of title i for member u on a day (log-odds of playing it once looked at, before `PLAY_BASE`):

    category taste (region mean + personal)      what per-category counts can learn
  + latent taste (4 dimensions)                  what collaborative filtering can learn
  + quality of the title                         what popularity can learn
  + made in the member's region                  why regions deserve their own models
  + freshness x the region's love of new titles  decays with age, e-fold 14 days
  + comfort titles (5 per member)                why a member's own history matters
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tasks.errors import SourceError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

OPENS = date(2026, 1, 1)
"""First day of the simulated logs; whoever joined earlier is in this day's partition."""

REGIONS = ("US", "BR", "IN", "DE", "JP")
REGION_SHARES = (0.40, 0.22, 0.18, 0.12, 0.08)
REGION_PEAK_HOURS = (17.0, 16.0, 13.0, 15.0, 11.0)
REGION_NOVELTY = (1.0, 1.6, 1.2, 0.5, 0.3)
CATEGORIES = ("drama", "comedy", "action", "documentary", "kids", "romance", "thriller", "animation")
PLANS = ("basic", "standard", "premium")

NEVER = 10**6
PLAY_BASE = -3.4
FINISH_BASE = -0.4
COMFORT_TITLES = 5
COMFORT_BONUS = 3.0
LOCAL_BONUS = 0.8
FRESH_DAYS = 14.0
_LATENT = 4
_SECONDARY = 0.4
_ANNOUNCED = 14


def day_number(day: date) -> int:
    """Count the days since `OPENS`; negative before."""
    return (day - OPENS).days


def stream(seed: int, *path: int) -> np.random.Generator:
    """Make the random generator of one purpose (and day): the same numbers whatever was drawn elsewhere."""
    # Shifted, because a SeedSequence takes no negative numbers, and days before `OPENS` are.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *(part + 2**31 for part in path)])))


def sigmoid(value: Floats) -> Floats:
    """1 / (1 + exp(-value)), element by element."""
    result: Floats = 1.0 / (1.0 + np.exp(-value))
    return result


@dataclass(frozen=True, eq=False)
class Members:
    """Arrays of length n (days count from `OPENS`); `taste` is (n, 8), `latent` (n, 4), `comfort` (n, 5)."""

    joined: Ints
    joined_second: Ints
    region: Ints
    moved: Ints
    moved_to: Ints
    plan: Ints
    switched: Ints
    switched_to: Ints
    activity: Floats
    taste: Floats
    latent: Floats
    comfort: Ints


@dataclass(frozen=True, eq=False)
class Titles:
    """Arrays of length m (days count from `OPENS`); `mix` (m, 8) weighs categories, `latent` is (m, 4)."""

    announced: Ints
    released: Ints
    category: Ints
    filed_as: Ints
    refiled: Ints
    origin: Ints
    quality: Floats
    mix: Floats
    latent: Floats


@dataclass(frozen=True, eq=False)
class World:
    """Members, titles and what regions like (`region_taste` is (5, 8))."""

    seed: int
    members: Members
    titles: Titles
    region_taste: Floats

    def regions(self, users: Ints, day: int) -> Ints:
        """Region index of each member at the end of a day."""
        who = self.members
        return np.where(who.moved[users] <= day, who.moved_to[users], who.region[users])

    def appeal(self, users: Ints, day: int) -> Floats:
        """True appeal in log-odds, shape (len(users), all titles)."""
        region = self.regions(users, day)
        titles = self.titles
        result = _products(self.region_taste[region] + self.members.taste[users], titles.mix)
        result += _products(self.members.latent[users], titles.latent)
        result += titles.quality
        result += LOCAL_BONUS * (region[:, None] == titles.origin)
        result += np.array(REGION_NOVELTY)[region, None] * self.freshness(day)
        rows = np.arange(len(users))[:, None]
        # Fancy indexing adds once, even where a member's comfort titles repeat.
        result[rows, self.members.comfort[users]] += COMFORT_BONUS
        return result

    def freshness(self, day: int) -> Floats:
        """exp(-age / 14 days) per title; 0 before its release."""
        age = day - self.titles.released
        result: Floats = np.where(age >= 0, np.exp(-np.maximum(age, 0) / FRESH_DAYS), 0.0)
        return result


def _products(left: Floats, right: Floats) -> Floats:
    """left @ right.T, summed in a fixed order."""
    # Not by BLAS, whose sums depend on the processor and the number of threads: days would differ in their last bits.
    result: Floats = np.zeros((len(left), len(right)))
    for column in range(left.shape[1]):
        result += left[:, column, None] * right[:, column]
    return result


@lru_cache(maxsize=4)
def build_world(users: int, items: int, seed: int) -> World:
    """Draw the world of a seed.

    Raises:
        SourceError: sizes that no service has.
    """
    if users < 1 or items < COMFORT_TITLES:
        raise SourceError(
            f"simulated source: found users={users}, items={items}; expected at least 1 user and {COMFORT_TITLES} items"
        )
    rng = stream(seed, 0)
    # One generator draws all of it: in another order, the same seed would be another world.
    titles = _titles(items, rng)
    members = _members(users, titles, rng)
    region_taste = rng.normal(0.0, 0.8, (len(REGIONS), len(CATEGORIES)))
    return World(seed, members, titles, region_taste)


def _titles(count: int, rng: np.random.Generator) -> Titles:
    released = np.where(rng.random(count) < 0.88, rng.integers(-1800, 0, count), rng.integers(0, 365, count)).astype(
        np.int64
    )
    # Some titles are old whatever the seed, or the first members would have no comfort titles to choose from.
    released[:COMFORT_TITLES] = np.minimum(released[:COMFORT_TITLES], -1)
    category = rng.integers(0, len(CATEGORIES), count)
    second = (category + rng.integers(1, len(CATEGORIES), count)) % len(CATEGORIES)
    mix = np.zeros((count, len(CATEGORIES)))
    mix[np.arange(count), category] = 1.0
    mix[np.arange(count), second] = _SECONDARY
    wrong = rng.random(count) < 0.04
    return Titles(
        announced=released - _ANNOUNCED,
        released=released,
        category=category,
        filed_as=np.where(wrong, second, category),
        refiled=np.where(wrong, np.maximum(released, 0) + rng.integers(5, 120, count), NEVER),
        origin=rng.choice(len(REGIONS), count, p=REGION_SHARES),
        quality=rng.normal(0.0, 0.8, count),
        mix=mix,
        latent=rng.normal(0.0, 0.4, (count, _LATENT)),
    )


def _members(count: int, titles: Titles, rng: np.random.Generator) -> Members:
    joined = np.where(rng.random(count) < 0.85, rng.integers(-730, 0, count), rng.integers(0, 365, count)).astype(
        np.int64
    )
    region = rng.choice(len(REGIONS), count, p=REGION_SHARES)
    plan = rng.choice(len(PLANS), count, p=(0.5, 0.35, 0.15))
    old = np.flatnonzero(titles.released < 0)
    comfort = old[rng.integers(0, len(old), (count, COMFORT_TITLES))]
    after = np.maximum(joined, 0) + 1
    return Members(
        joined=joined,
        joined_second=rng.integers(0, 86_400, count),
        region=region,
        moved=np.where(rng.random(count) < 0.05, after + rng.integers(0, 365, count), NEVER),
        moved_to=(region + rng.integers(1, len(REGIONS), count)) % len(REGIONS),
        plan=plan,
        switched=np.where(rng.random(count) < 0.3, after + rng.integers(0, 365, count), NEVER),
        switched_to=(plan + rng.integers(1, len(PLANS), count)) % len(PLANS),
        activity=rng.beta(4.0, 6.0, count),
        taste=rng.normal(0.0, 0.8, (count, len(CATEGORIES))),
        latent=rng.normal(0.0, 1.0, (count, _LATENT)),
        comfort=comfort,
    )


def instant(day: int | Ints, second: int | Ints) -> npt.NDArray[np.datetime64]:
    """Naive UTC instants `second` seconds into a day number, in microseconds."""
    seconds = np.asarray(day, dtype=np.int64) * 86_400 + np.asarray(second, dtype=np.int64)
    return np.datetime64(OPENS, "us") + (seconds * 1_000_000).astype("timedelta64[us]")
