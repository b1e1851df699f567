"""How a sample is shared out over strata: by hand, then its laws."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.examples.allocation import Rule, allocate

A, B, C = ("a",), ("b",), ("c",)


@pytest.mark.parametrize(
    ("rule", "total", "floor", "expected"),
    [
        ("proportional", 50, 0, {A: 45, B: 5, C: 0}),  # 45, 4.5, 0.5: one is left, the fractions tie, b is first
        ("sqrt", 50, 0, {A: 35, B: 11, C: 4}),  # 35.2, 11.1, 3.7
        ("equal", 50, 0, {A: 20, B: 20, C: 10}),  # c has no more than 10
        ("equal", 30, 10, {A: 10, B: 10, C: 10}),
        ("proportional", 3, 10, {A: 10, B: 10, C: 10}),  # floors may exceed the total
        ("proportional", 10_000, 0, {A: 900, B: 90, C: 10}),
        ("proportional", 1, 0, {A: 1, B: 0, C: 0}),
    ],
)
def test_by_hand(rule: Rule, total: int, floor: int, expected: dict[tuple[str, ...], int]) -> None:
    assert allocate({A: 900, B: 90, C: 10}, total, rule, floor) == expected


def test_nothing_to_share() -> None:
    assert allocate({}, 10, "sqrt", 5) == {}
    assert allocate({A: 0}, 10, "equal", 5) == {A: 0}


def test_without_strata_all_is_one_stratum() -> None:
    assert allocate({(): 7}, 5, "sqrt", 0) == {(): 5}


COUNTS = st.dictionaries(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyz")), st.integers(0, 5000))
RULES = st.sampled_from(["proportional", "sqrt", "equal"])


@given(COUNTS, st.integers(1, 20_000), RULES, st.integers(0, 300))
def test_laws(counts: dict[tuple[str, ...], int], total: int, rule: Rule, floor: int) -> None:
    sizes = allocate(counts, total, rule, floor)

    floors = {name: min(count, floor) for name, count in counts.items()}
    assert sizes.keys() == counts.keys()
    assert all(floors[name] <= sizes[name] <= counts[name] for name in counts)
    assert sum(sizes.values()) == max(min(total, sum(counts.values())), sum(floors.values()))


@given(COUNTS, st.integers(1, 20_000), RULES, st.integers(0, 300), st.randoms(use_true_random=False))
def test_the_order_of_the_strata_does_not_matter(
    counts: dict[tuple[str, ...], int], total: int, rule: Rule, floor: int, shuffler: random.Random
) -> None:
    names = list(counts)
    shuffler.shuffle(names)
    assert allocate({name: counts[name] for name in names}, total, rule, floor) == allocate(counts, total, rule, floor)


@given(COUNTS, st.integers(1, 20_000), RULES)
def test_a_larger_stratum_never_gets_less(counts: dict[tuple[str, ...], int], total: int, rule: Rule) -> None:
    sizes = allocate(counts, total, rule, 0)
    ordered = sorted(counts, key=lambda name: counts[name])
    for smaller, larger in pairwise(ordered):
        assert sizes[smaller] <= sizes[larger] + 1


@given(st.lists(st.integers(100, 5000), min_size=2, max_size=6), st.integers(1, 100))
def test_proportional_shares_are_proportional_but_for_rounding(counts: list[int], total: int) -> None:
    named: dict[tuple[str, ...], int] = {(str(n),): count for n, count in enumerate(counts)}
    for name, size in allocate(named, total, "proportional", 0).items():
        assert abs(size - total * named[name] / sum(counts)) < 1
