from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.evaluation.calibration import CalibrationBin
from tasks.reports.svg_curves import HEIGHT, WIDTH, plot_curve, plot_learning, plot_scores
from tasks.training.curve import TrainingCurve
from tests.tasks.finished_runs import LEARNED


def curve(*values: float, chosen: int = 2, errors: float = 0.1) -> TrainingCurve:
    return TrainingCurve(metric="mrr", chosen=chosen, values=values, standard_errors=(errors,) * len(values))


def test_a_curve_marks_the_chosen_and_the_best_round() -> None:
    plot = plot_curve(curve(0.2, 0.4, 0.6, 0.5))

    assert plot is not None
    assert plot.chosen is not None
    assert (plot.chosen.number, plot.chosen.value, plot.chosen.x) == (2, 0.4, 225.0)
    assert (plot.best.number, plot.best.value, plot.best.x) == (3, 0.6, 375.0)
    assert plot.best.y < plot.chosen.y  # higher up
    assert plot.path.split()[1] == f"{plot.chosen.x},{plot.chosen.y}"
    assert [(one.number, one.box.x, one.box.width) for one in plot.rounds] == [
        (1, 0.0, 150.0), (2, 150.0, 150.0), (3, 300.0, 150.0), (4, 450.0, 150.0),
    ]  # fmt: skip
    assert (plot.lowest, plot.highest) == (0.2, 0.6)


def test_a_curve_that_ended_early_has_no_chosen_round() -> None:
    plot = plot_curve(curve(0.2, chosen=80))

    assert plot is not None
    assert plot.chosen is None
    assert plot.path == f"{WIDTH / 2},{HEIGHT / 2}"


def test_nothing_measured_is_nothing_drawn() -> None:
    assert plot_curve(TrainingCurve(metric="mrr", chosen=8, problem="no window")) is None
    assert plot_scores([]) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 0.5))
@example([5e-324], 0.0)
def test_curves_stay_in_the_box(values: list[float], errors: float) -> None:
    plot = plot_curve(curve(*values, chosen=1, errors=errors))

    assert plot is not None
    for point in [*plot.path.split(), *plot.band.split()]:
        x, y = map(float, point.split(","))
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT


def bin_of(score: float, grade: float, half: float | None = 0.1) -> CalibrationBin:
    low, high = (None, None) if half is None else (grade - half, grade + half)
    return CalibrationBin(examples=9, score=score, grade=grade, low=low, high=high)


def test_grades_stand_over_their_scores() -> None:
    plot = plot_scores([bin_of(-1, 0.1), bin_of(0, 0.5, None), bin_of(1, 0.9)])

    assert plot is not None
    assert plot.top == 1.0
    assert [point.x for point in plot.points] == [12.0, 300.0, 588.0]
    assert [point.y for point in plot.points] == pytest.approx([99.0, 55.0, 11.0])
    assert [(point.low, point.high) for point in plot.points] == [(110.0, 88.0), (55.0, 55.0), (22.0, 0.0)]


def test_one_bin_of_zeros_is_a_dot_in_the_middle() -> None:
    plot = plot_scores([bin_of(0.5, 0.0, None)])

    assert plot is not None
    assert [(point.x, point.y) for point in plot.points] == [(300.0, HEIGHT)]


def test_a_learning_curve_ends_at_twice_the_groups_and_its_law_meets_its_points() -> None:
    plot = plot_learning(LEARNED)
    xs = [one.x for one in plot.points]
    assert xs == sorted(xs)
    assert 0 <= xs[0] < xs[-1] < WIDTH
    assert all(one.high < one.y < one.low for one in plot.points), "higher values are higher up"
    first, *_, last = (tuple(map(float, point.split(","))) for point in plot.law.split())
    assert first == pytest.approx((plot.points[0].x, plot.points[0].y), abs=0.02)
    assert last[0] > xs[-1]
    assert (plot.lowest, plot.highest) == (LEARNED.points[0].low, LEARNED.points[-1].high)
