"""Lists that take turns between kinds of items, against the definition written out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.arrays import Floats, offsets_of
from engine.diversity import Diversity

Rules = list[tuple[list[tuple[str, ...]], float]]
TURNS = [("drama",), ("drama",), ("news",), ("news",), ("drama",), ("drama",)]


def order(
    scores: list[float], lengths: list[int], rules: list[tuple[list[tuple[str, ...]], float]], k: int
) -> list[int]:
    """The new order where item n is in row n."""
    items = np.arange(len(scores), dtype=np.int32)
    return Diversity.of(rules).order(np.array(scores), offsets_of(np.array(lengths)), items, k).tolist()


def spread_of(scores: list[float]) -> float:
    """The standard deviation, added one by one; numpy adds in pairs, which may differ in the last bit."""
    total = squares = 0.0
    for score in scores:
        total += score
    for score in scores:
        squares += (score - total / len(scores)) ** 2
    return math.sqrt(squares / len(scores))


def by_definition(scores: Floats, rules: Rules) -> list[int]:
    """One list: the best by score - spread * sum of strength * mean count of its kinds, one item after the other."""
    left, placed, spread = list(range(len(scores))), list[int](), spread_of(scores.tolist())
    while left:

        def worth(row: int) -> float:
            lost = 0.0
            for kinds, strength in rules:
                for kind in sorted(set(kinds[row])):
                    lost += strength / len(set(kinds[row])) * sum(kind in kinds[other] for other in placed)
            return float(scores[row] - spread * lost)

        placed.append(max(left, key=lambda row: (worth(row), -row)))
        left.remove(placed[-1])
    return placed


def test_a_list_takes_turns_between_categories() -> None:
    scores = [5.0, 4.9, 4.8, 1.0, 3.0, 2.0]
    assert order(scores, [4, 2], [(TURNS, 0.0)], 9) == [0, 1, 2, 3, 4, 5]
    assert order(scores, [4, 2], [(TURNS, 0.5)], 9) == [0, 2, 1, 3, 4, 5]
    assert order(scores, [4, 2], [(TURNS, 0.5)], 1) == [0, 1, 2, 3, 4, 5]
    assert order([], [0], [(TURNS, 1.0)], 3) == []


def test_of_a_list_of_kinds_the_mean_counts() -> None:
    kinds = [("war", "noir"), ("war",), ("noir", "comedy"), ("comedy",)]
    # The first leaves 1 to war and noir: the second loses 1.0, the third 0.5, the last nothing.
    assert order([4.0, 3.9, 3.8, 1.0], [4], [(kinds, 0.5)], 2) == [0, 2, 1, 3]


def test_rules_act_together() -> None:
    scores = [4.0, 3.9, 3.8, 3.7, 1.0]
    color = [("red",), ("red",), ("green",), ("green",), ("green",)]
    size = [("big",), ("small",), ("big",), ("small",), ("small",)]
    # Each alone would put another second; together the one that is neither red nor big.
    assert order(scores, [5], [(color, 0.3)], 2)[1] == 2
    assert order(scores, [5], [(size, 0.3)], 2)[1] == 1
    assert order(scores, [5], [(color, 0.3), (size, 0.3)], 2)[1] == 3


@pytest.mark.parametrize("scores", [[1.0, 1.0, 1.0], [2.0, 1.0, -np.inf], [np.inf, 1.0, 0.0]])
def test_where_nothing_can_be_weighed_up_the_order_stays(scores: list[float]) -> None:
    with np.errstate(invalid="ignore"):
        assert order(scores, [3], [([("a",), ("a",), ("b",)], 1.0)], 3) == [0, 1, 2]


KINDS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(tuple)
STRENGTHS = st.sampled_from([0.0, 0.125, 0.5, 1.0])


@given(st.data(), st.lists(st.integers(1, 7), min_size=1, max_size=3), st.integers(1, 2))
@settings(max_examples=150, deadline=None)
def test_it_is_the_greedy_choice_of_its_definition(data: st.DataObject, lengths: list[int], number: int) -> None:
    rows = sum(lengths)
    values = [data.draw(st.lists(st.integers(-4, 4).map(float), min_size=n, max_size=n)) for n in lengths]
    scores = np.array([score for part in values for score in sorted(part, reverse=True)])
    rules = [(data.draw(st.lists(KINDS, min_size=rows, max_size=rows)), data.draw(STRENGTHS)) for _ in range(number)]
    offsets = offsets_of(np.array(lengths))
    found = Diversity.of(rules).order(scores, offsets, np.arange(rows, dtype=np.int32), rows)
    for low, high in itertools.pairwise(offsets):
        own = [(kinds[low:high], strength) for kinds, strength in rules]
        expected = by_definition(scores[low:high], own) if np.std(scores[low:high]) > 0 else list(range(high - low))
        assert (found[low:high] - low).tolist() == expected
    # The first places of a list are the same, however many are filled.
    for k in range(1, max(lengths) + 1):
        short = Diversity.of(rules).order(scores, offsets, np.arange(rows, dtype=np.int32), k)
        for low, high in itertools.pairwise(offsets):
            assert short[low : min(low + k, high)].tolist() == found[low : min(low + k, high)].tolist()
            assert sorted(short[low:high].tolist()) == list(range(low, high))
