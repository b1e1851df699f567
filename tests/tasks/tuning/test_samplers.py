"""Which points are tried: all of a small space, each once, and where earlier results were good."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.tuning.samplers import STARTING, Known, grid, suggested
from tasks.tuning.space import Place, Space, order_of_complexity

SPACE = Space.of({"depth": list(range(12)), "rounds": list(range(12)), "rate": list(range(6))})
LEARNING = ["tpe", "gp"]


def value_of(place: Place) -> float:
    """A hill whose top is at (9, 3, 2)."""
    return -float(sum((at - top) ** 2 for at, top in zip(place, (9, 2, 3), strict=False)))


def asked(sampler: str, trials: int, seed: int = 0, space: Space = SPACE, at_once: int = 1) -> list[Place]:
    """Try point after point, each chosen by all results but the last ones."""
    places: list[Place] = []
    for number in range(trials):
        values = tuple(value_of(place) for place in places[: max(0, number - at_once + 1)])
        places.append(suggested(sampler, trials, Known(space, seed, tuple(places), values)))
    return places


def test_every_point_of_a_small_space_is_tried_simplest_first() -> None:
    space = Space.of({"num_leaves": [15, 31], "learning_rate": [0.1, 0.05]})
    assert asked("grid", 4, space=space) == [(0, 0), (0, 1), (1, 0), (1, 1)]


@given(st.integers(1, 40), st.integers(0, 5))
def test_of_a_large_space_so_many_are_tried_each_once(trials: int, seed: int) -> None:
    space = Space.of({"num_leaves": [7, 15, 31], "rounds": [50, 100, 200], "lambda_l2": [0.1, 1, 10]})
    found = grid(space, seed, trials)
    assert len(found) == len(set(found)) == min(trials, 27)
    assert found == sorted(found, key=order_of_complexity)


@pytest.mark.parametrize("sampler", LEARNING)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**9), at_once=st.integers(1, 6))
def test_no_point_is_tried_twice_until_all_are(sampler: str, seed: int, at_once: int) -> None:
    space = Space.of({"depth": [1, 2, 3, 4], "rounds": [1, 2, 3, 4]})
    places = asked(sampler, 16, seed, space, at_once)
    assert len(set(places)) == 16


@pytest.mark.parametrize("sampler", LEARNING)
def test_samplers_that_learn_come_nearer_to_the_top_than_chance(sampler: str) -> None:
    last = [value_of(place) for seed in range(3) for place in asked(sampler, 40, seed, at_once=4)[20:]]
    chance = [value_of(SPACE.place(number)) for number in range(SPACE.size)]
    assert sum(last) / len(last) > 0.6 * sum(chance) / len(chance)


@pytest.mark.parametrize("sampler", LEARNING)
def test_the_same_results_give_the_same_point_and_other_seeds_others(sampler: str) -> None:
    assert asked(sampler, 20, seed=1) == asked(sampler, 20, seed=1)
    assert asked(sampler, 20, seed=1) != asked(sampler, 20, seed=2)


@pytest.mark.parametrize("sampler", LEARNING)
def test_what_is_under_way_has_a_say(sampler: str) -> None:
    """Else workers beside each other would all go to the same place."""
    places = asked(sampler, STARTING + 5)
    values = tuple(map(value_of, places))
    one = suggested(sampler, 40, Known(SPACE, 0, tuple(places), values))
    two = suggested(sampler, 40, Known(SPACE, 0, (*places, one), values))
    assert one != two


PRINT_POINTS = """
from tests.tasks.tuning.test_samplers import asked
print([asked(sampler, 30, at_once=4) for sampler in ("tpe", "gp")])
"""


def test_points_are_the_same_on_another_processor() -> None:
    features = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX2 FMA3"
    other = {"OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": features}
    outputs = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PRINT_POINTS],
            env={**os.environ, **changed}, capture_output=True, text=True, check=True,
        ).stdout
        for changed in ({}, other)
    ]  # fmt: skip
    assert outputs[0] == outputs[1] != ""
