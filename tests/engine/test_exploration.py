"""Lists that are drawn: what is logged is the probability with which it is drawn, and a draw is the request's alone."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.exploration import Exploration, hashes_of, request_key

SCORES = np.array([3.0, 2.0, 1.5, 0.0])
ITEMS = hashes_of(["a", "b", "c", "d"])
SOFTMAX, DITHERING = Exploration.softmax(0.5, 7), Exploration.dithering(2.0, 7)


def keys(number: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array([request_key(7, "2026-02-01", "u1", f"r{n}") for n in range(number)], dtype=np.uint64)


def drawn(exploration: Exploration, requests: int) -> list[tuple[tuple[int, ...], tuple[float, ...]]]:
    """Draw the same four items for so many requests: orders and propensities."""
    order, propensities = exploration.order(
        np.tile(SCORES, requests), np.arange(0, 4 * requests + 1, 4), np.tile(ITEMS, requests), keys(requests)
    )
    rows = zip((order.reshape(-1, 4) % 4).tolist(), propensities.reshape(-1, 4).tolist(), strict=True)
    return [(tuple(one), tuple(other)) for one, other in rows]


def weights_of(exploration: Exploration) -> list[float]:
    """The weights by their formulas, from numpy and the standard library."""
    if exploration is SOFTMAX:
        return np.exp(SCORES / (0.5 * SCORES.std())).tolist()  # type: ignore[no-any-return]
    return [rank ** -(math.pi / math.sqrt(6) / math.log(2.0)) for rank in range(1, 5)]


@pytest.mark.parametrize("exploration", [SOFTMAX, DITHERING], ids=["softmax", "dithering"])
def test_lists_come_as_often_as_their_propensities_say(exploration: Exploration) -> None:
    requests = 20_000
    lists = drawn(exploration, requests)
    counts = Counter(order for order, _ in lists)
    weights = weights_of(exploration)
    for order in itertools.permutations(range(4)):
        left = [weights[item] for item in order]
        places = [left[n] / sum(left[n:]) for n in range(4)]
        probability = math.prod(places)
        # Five standard deviations: of 48 comparisons none fails by chance.
        deviation = math.sqrt(probability * (1 - probability) / requests)
        assert counts[order] / requests == pytest.approx(probability, abs=5 * deviation + 1e-9)
        for logged in {propensities for own, propensities in lists if own == order}:
            assert logged == pytest.approx(tuple(places), rel=1e-12)


def test_a_request_gets_the_same_list_alone_as_among_others() -> None:
    many = drawn(SOFTMAX, 50)
    order, propensities = SOFTMAX.order(SCORES, np.array([0, 4]), ITEMS, keys(50)[31:32])
    assert (tuple(order.tolist()), tuple(propensities.tolist())) == many[31]


def test_requests_users_days_and_seeds_differ() -> None:
    base = (7, "2026-02-01", "u1", "r1")
    others = [(8, *base[1:]), (7, "2026-02-02", "u1", "r1"), (7, "2026-02-01", "u2", "r1"), (*base[:3], "r2")]
    assert len({request_key(*one) for one in [base, *others]}) == 5
    assert request_key(7, "d", "a", "bc") != request_key(7, "d", "ab", "c")


def test_the_draw_of_an_item_does_not_depend_on_its_place_among_the_candidates() -> None:
    """Of equal scores, the order is that of the items' own numbers."""
    equal = np.zeros(4)
    first, _ = SOFTMAX.order(equal, np.array([0, 4]), ITEMS, keys(1))
    turned, _ = SOFTMAX.order(equal, np.array([0, 4]), ITEMS[::-1].copy(), keys(1))
    assert ITEMS[first].tolist() == ITEMS[::-1][turned].tolist()


@given(
    st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=12),
    st.floats(0.01, 10.0),
    st.booleans(),
)
def test_every_draw_is_an_order_with_probabilities(scores: list[float], strength: float, soft: bool) -> None:
    exploration = Exploration.softmax(strength, 1) if soft else Exploration.dithering(1.0 + strength, 1)
    own = np.array(sorted(scores, reverse=True))
    items = hashes_of([str(n) for n in range(len(own))])
    order, propensities = exploration.order(own, np.array([0, len(own)]), items, keys(1))
    assert sorted(order.tolist()) == list(range(len(own)))
    assert ((propensities >= 0.0) & (propensities <= 1.0)).all()
    assert propensities[-1] == 1.0


def test_hardly_any_temperature_leaves_the_order_of_the_scores() -> None:
    order, propensities = Exploration.softmax(1e-3, 1).order(SCORES, np.array([0, 4]), ITEMS, keys(1))
    assert order.tolist() == [0, 1, 2, 3]
    assert propensities.tolist() == pytest.approx([1.0] * 4)
