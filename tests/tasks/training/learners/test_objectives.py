"""Derivatives of losses beside differences of the losses themselves, written out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.arrays import Floats, Offsets
from tasks.spec.rankers import OWN_OBJECTIVES, LightGBM
from tasks.training.learners.objectives import OBJECTIVES

STEP = 1e-4


def pairs(scores: Floats, gains: Floats) -> float:
    return math.fsum(
        (gains[row] - gains[other]) * math.log1p(math.exp(scores[other] - scores[row]))
        for row in range(len(scores))
        for other in range(len(scores))
        if gains[row] > gains[other]
    )


def cross_entropy(scores: Floats, gains: Floats) -> float:
    if not gains.any():
        return 0.0
    total = math.log(math.fsum(math.exp(score) for score in scores))
    return -math.fsum(gain / gains.sum() * (score - total) for score, gain in zip(scores, gains, strict=True))


LOSSES: dict[str, Callable[[Floats, Floats], float]] = {"pairwise_logistic": pairs, "softmax": cross_entropy}
Lists = list[list[tuple[float, int]]]
LISTS = st.lists(
    st.lists(st.tuples(st.floats(-3, 3), st.integers(0, 3)), min_size=1, max_size=5), min_size=1, max_size=3
)


def arrays(lists: Lists) -> tuple[Floats, Floats, Offsets]:
    scores, gains = (np.array([row[n] for rows in lists for row in rows], dtype=np.float64) for n in (0, 1))
    return scores, gains, np.cumsum([0, *map(len, lists)], dtype=np.int64)


def derivatives(name: str, scores: Floats, gains: Floats, offsets: Offsets) -> tuple[Floats, Floats]:
    slope, curvature = np.zeros(len(scores)), np.zeros(len(scores))
    OBJECTIVES[name](scores, gains, offsets, slope, curvature)
    return slope, curvature


def test_every_loss_is_written_out_and_has_its_name_in_the_pipeline_file() -> None:
    assert LOSSES.keys() == OBJECTIVES.keys() == OWN_OBJECTIVES
    assert set(get_args(LightGBM.model_fields["objective"].annotation)) >= OWN_OBJECTIVES


@pytest.mark.parametrize("name", LOSSES)
@given(LISTS)
def test_derivatives_are_those_of_the_loss(name: str, lists: Lists) -> None:
    scores, gains, offsets = arrays(lists)

    def loss(at: Floats) -> float:
        parts = (slice(*bounds) for bounds in itertools.pairwise(offsets))
        return math.fsum(LOSSES[name](at[part], gains[part]) for part in parts)

    slope, curvature = derivatives(name, scores, gains, offsets)
    for row in range(len(scores)):
        step = STEP * np.eye(len(scores))[row]
        below, here, above = loss(scores - step), loss(scores), loss(scores + step)
        assert slope[row] == pytest.approx((above - below) / (2 * STEP), abs=1e-5)
        assert curvature[row] == pytest.approx((above - 2 * here + below) / STEP**2, abs=1e-4)


@pytest.mark.parametrize("name", LOSSES)
@given(LISTS, st.floats(-50, 50))
def test_only_differences_within_a_list_count(name: str, lists: Lists, shift: float) -> None:
    scores, gains, offsets = arrays(lists)
    slope, curvature = derivatives(name, scores, gains, offsets)
    assert slope.sum() == pytest.approx(0.0, abs=1e-9)
    assert (curvature >= 0.0).all()
    for moved, same in zip(derivatives(name, scores + shift, gains, offsets), (slope, curvature), strict=True):
        np.testing.assert_allclose(moved, same, atol=1e-9)


def test_a_hopeless_score_overflows_nothing() -> None:
    scores, gains, offsets = np.array([-2e3, 2e3]), np.array([1.0, 0.0]), np.array([0, 2])
    for name in OBJECTIVES:
        slope, curvature = derivatives(name, scores, gains, offsets)
        assert slope.tolist() == [-1.0, 1.0]
        assert curvature.tolist() == [0.0, 0.0]
