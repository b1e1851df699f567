"""The simulated service's logging policy: how a home page is drawn, and with what probability.

A page is an order of the released titles drawn without replacement (Plackett-Luce). With weights w over the
titles,

    propensity(title at position p | titles above it) = w[title] / sum of w over the titles not above it,

which is what is logged; the product over a page is the probability of the page. Two policies:

    blend    95 % of the pages  softmax of a score that sees popularity and category taste through noise
                                (redrawn every 28 days) and knows nothing of latent taste, comfort titles or
                                local titles, mixed with 15 % uniform exploration
    uniform   5 % of the pages  all titles weigh the same
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tasks.sources.simulation.world import CATEGORIES, Floats, Ints, World, stream

PAGE = 20
EXPLORATION = 0.15
UNIFORM_PAGES = 0.05
TASTE_WEIGHT, QUALITY_WEIGHT, FRESH_WEIGHT = 0.8, 1.0, 0.8
POLICIES = ("blend", "uniform")
_EPOCH = 28
_STREAM = 100


def examination(position: npt.ArrayLike) -> Floats:
    """Probability that a member looks at a position (1-based)."""
    result: Floats = 1.0 / (1.0 + 0.08 * (np.asarray(position, dtype=np.float64) - 1.0))
    return result


def draw_pages(weights: Floats, size: int, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Draw one page per row from Plackett-Luce weights.

    Args:
        weights: (rows, titles), at least `size` of each row positive; zero means not available.
        size: positions of a page.
        rng: random generator.

    Returns:
        Titles and their propensities, both (rows, size), best position first.
    """
    # Exponential clocks: the order in which they ring is a Plackett-Luce draw, without a loop over positions.
    with np.errstate(divide="ignore"):
        clock = rng.standard_exponential(weights.shape) / weights
    # A weight of 0 has a clock that never rings (infinity), so it is on no page.
    nearest = np.argpartition(clock, size - 1, axis=1)[:, :size]
    order = np.argsort(np.take_along_axis(clock, nearest, 1), axis=1, kind="stable")
    titles = np.take_along_axis(nearest, order, 1)
    chosen = np.take_along_axis(weights, titles, 1)
    above = np.cumsum(chosen, axis=1) - chosen
    return titles, chosen / (weights.sum(axis=1, keepdims=True) - above)


def policy_weights(world: World, users: Ints, policy: Ints, day: int) -> Floats:
    """Weights that the logging policy gives titles, shape (len(users), titles); rows sum to 1."""
    released = world.titles.released <= day
    # Before the first release there is nothing to divide among.
    uniform = released / max(1, int(released.sum()))
    score = _policy_score(world, users, day)
    # Softmax is the same for shifted scores, and exp() of a large one overflows.
    score -= score.max(axis=1, keepdims=True)
    weights = np.exp(score) * released
    weights /= weights.sum(axis=1, keepdims=True)
    weights *= 1.0 - EXPLORATION
    weights += EXPLORATION * uniform
    return np.where(policy[:, None] == 0, weights, uniform)


def _policy_score(world: World, users: Ints, day: int) -> Floats:
    size = len(world.members.joined), len(world.titles.released)
    taste, quality = _policy_noise(world.seed, *size, day // _EPOCH)
    region = world.regions(users, day)
    seen = world.region_taste[region] + world.members.taste[users] + taste[users]
    visible = world.titles.filed_as
    result: Floats = TASTE_WEIGHT * seen[:, visible]
    result += QUALITY_WEIGHT * (world.titles.quality + quality) + FRESH_WEIGHT * world.freshness(day)
    return result


@lru_cache(maxsize=4)
def _policy_noise(seed: int, users: int, items: int, epoch: int) -> tuple[Floats, Floats]:
    rng = stream(seed, _STREAM, epoch)
    return rng.normal(0.0, 0.8, (users, len(CATEGORIES))), rng.normal(0.0, 0.4, items)
