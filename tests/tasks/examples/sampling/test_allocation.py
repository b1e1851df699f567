"""How a sample is shared out over strata: by hand, then its laws."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.examples.sampling import allocation
from tasks.examples.sampling.allocation import Stratum, bounds, shares
from tasks.spec.sample import Allocation, Sample

A, B, C = ("a",), ("b",), ("c",)


def allocate(counts: dict[Stratum, int], total: int, rule: Allocation, floor: int, **more: Any) -> dict[Stratum, int]:
    """Share out a sample over strata; `spread` is what Neyman's pilot measured, 1 for strata that it does not name."""
    width = max((len(name) for name in counts), default=0)
    spread = dict.fromkeys(counts, 1.0) | more.pop("spread", {})
    spec = Sample(strata=tuple("stuvwx"[:width]), groups=total, allocation=rule, floor=floor, **more)
    return allocation.allocate(bounds(spec, counts, shares(counts, rule, spread)), total)


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
def test_by_hand(rule: Allocation, total: int, floor: int, expected: dict[tuple[str, ...], int]) -> None:
    assert allocate({A: 900, B: 90, C: 10}, total, rule, floor) == expected


def test_nothing_to_share() -> None:
    assert allocate({}, 10, "sqrt", 5) == {}
    assert allocate({A: 0}, 10, "equal", 5) == {A: 0}


def test_without_strata_all_is_one_stratum() -> None:
    assert allocate({(): 7}, 5, "sqrt", 0) == {(): 5}


COUNTS = st.dictionaries(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyz")), st.integers(0, 5000))
RULES: st.SearchStrategy[Allocation] = st.sampled_from(["proportional", "sqrt", "equal", "neyman"])


@given(COUNTS, st.integers(1, 20_000), RULES, st.integers(0, 300))
def test_laws(counts: dict[tuple[str, ...], int], total: int, rule: Allocation, floor: int) -> None:
    sizes = allocate(counts, total, rule, floor)

    floors = {name: min(count, floor) for name, count in counts.items()}
    assert sizes.keys() == counts.keys()
    assert all(floors[name] <= sizes[name] <= counts[name] for name in counts)
    assert sum(sizes.values()) == max(min(total, sum(counts.values())), sum(floors.values()))


@given(COUNTS, st.integers(1, 20_000), RULES, st.integers(0, 300), st.randoms(use_true_random=False))
def test_the_order_of_the_strata_does_not_matter(
    counts: dict[tuple[str, ...], int], total: int, rule: Allocation, floor: int, shuffler: random.Random
) -> None:
    names = list(counts)
    shuffler.shuffle(names)
    assert allocate({name: counts[name] for name in names}, total, rule, floor) == allocate(counts, total, rule, floor)


@given(COUNTS, st.integers(1, 20_000), RULES)
def test_a_larger_stratum_never_gets_less(counts: dict[tuple[str, ...], int], total: int, rule: Allocation) -> None:
    sizes = allocate(counts, total, rule, 0)
    ordered = sorted(counts, key=lambda name: counts[name])
    for smaller, larger in pairwise(ordered):
        assert sizes[smaller] <= sizes[larger] + 1


@given(st.lists(st.integers(100, 5000), min_size=2, max_size=6), st.integers(1, 100))
def test_proportional_shares_are_proportional_but_for_rounding(counts: list[int], total: int) -> None:
    named: dict[tuple[str, ...], int] = {(str(n),): count for n, count in enumerate(counts)}
    for name, size in allocate(named, total, "proportional", 0).items():
        assert abs(size - total * named[name] / sum(counts)) < 1


def test_neyman_draws_where_there_are_many_and_they_differ() -> None:
    spread = {A: 0.1, B: 0.4, C: 0.0}
    assert allocate({A: 400, B: 100, C: 500}, 80, "neyman", 0, spread=spread) == {A: 40, B: 40, C: 0}
    assert allocate({A: 400, B: 100, C: 500}, 100, "neyman", 10, spread=spread) == {A: 45, B: 45, C: 10}
    # where nothing differs, a proportional sample is as good as any
    assert allocate({A: 400, B: 100}, 50, "neyman", 0, spread={A: 0.0, B: 0.0}) == {A: 40, B: 10}


def test_no_stratum_gets_more_than_the_cap_and_the_others_get_what_it_leaves() -> None:
    assert allocate({A: 900, B: 90, C: 10}, 50, "proportional", 0, cap=30) == {A: 30, B: 18, C: 2}
    assert allocate({A: 900, B: 90, C: 10}, 500, "equal", 0, cap=50) == {A: 50, B: 50, C: 10}


def test_an_override_has_its_size_whatever_floor_and_cap_and_the_first_counts() -> None:
    counts = {("BR", "new"): 90, ("BR", "old"): 300, ("SE", "new"): 40}
    overrides = [
        {"stratum": {"s": "BR", "t": "new"}, "rate": 0.1},
        {"stratum": {"s": "BR"}, "groups": 0},
        {"stratum": {"t": "new"}, "groups": 50},
    ]
    sizes = allocate(counts, 20, "equal", 5, cap=8, overrides=overrides)
    assert sizes == {("BR", "new"): 9, ("BR", "old"): 0, ("SE", "new"): 40}


def test_a_rate_is_rounded_up_from_what_was_written() -> None:
    overrides = [{"stratum": {"s": "a"}, "rate": 0.1}]
    assert allocate({A: 30, B: 30}, 8, "equal", 0, overrides=overrides) == {
        A: 3,
        B: 5,
    }  # 0.1 * 30 is 3.0000000000000004


@given(COUNTS, st.integers(1, 20_000), RULES, st.integers(0, 50), st.integers(50, 90))
def test_exact_sizes_within_floors_and_caps(
    counts: dict[Stratum, int], total: int, rule: Allocation, floor: int, cap: int
) -> None:
    sizes = allocate(counts, total, rule, floor, cap=cap)
    least = {name: min(count, floor) for name, count in counts.items()}
    most = {name: min(count, cap) for name, count in counts.items()}
    assert all(least[name] <= sizes[name] <= most[name] for name in counts)
    assert sum(sizes.values()) == max(min(total, sum(most.values())), sum(least.values()))
