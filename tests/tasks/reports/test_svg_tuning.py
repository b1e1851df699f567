"""The plot of a search: what is drawn where."""

from __future__ import annotations

import pytest

from tasks.reports.svg_tuning import HEIGHT, WIDTH, plot_tuning
from tasks.tuning.choice import Leader, Trial, Tuning


def trial(leaves: int, value: float, error: float = 0.01) -> Trial:
    complexity = (7, 15, 31).index(leaves)
    return Trial(settings={"num_leaves": leaves}, complexity=complexity, value=value, behind=0.0, error=error)


TUNING = Tuning(
    metric="ndcg@10",
    lists=100,
    space={"num_leaves": (7, 15, 31)},
    trials=(trial(31, 0.52), trial(7, 0.40), trial(15, 0.49)),
    leaders=(
        Leader(trial=2, values=(0.49, 0.51), behind=0.01, error=0.02),
        Leader(trial=0, values=(0.52, 0.50), behind=0.0, error=0.0),
    ),
    peak=0,
    chosen=2,
    rule="simplest_within_one_standard_error",
)


def test_trials_stand_by_complexity_and_leaders_at_the_mean_of_their_trainings() -> None:
    plot = plot_tuning(TUNING)
    assert [(point.number, point.mark) for point in plot.points] == [(1, ""), (2, "chosen"), (0, "best")]
    assert [point.value for point in plot.points] == pytest.approx([0.40, 0.50, 0.51])
    assert [point.x for point in plot.points] == pytest.approx([WIDTH / 6, WIDTH / 2, 5 * WIDTH / 6])
    assert plot.points[2].y == plot.edge == min(point.y for point in plot.points)
    assert (plot.lowest, plot.highest) == pytest.approx((0.40, 0.51))


def test_a_bar_reaches_the_edge_where_a_trial_is_on_the_plateau() -> None:
    far, near, _ = plot_tuning(TUNING).points
    assert near.high <= plot_tuning(TUNING).edge < far.high
    assert all(0 <= point.high <= point.y <= point.low <= HEIGHT for point in plot_tuning(TUNING).points)


def test_a_setting_has_its_values_from_simple_to_complex_and_what_is_marked_on_top() -> None:
    (piece,) = plot_tuning(TUNING).slices
    assert (piece.setting, piece.values) == ("num_leaves", (7, 15, 31))
    assert [(point.mark, point.x) for point in piece.points] == [("", 50.0), ("best", 250.0), ("chosen", 150.0)]


def test_equal_values_are_drawn_too() -> None:
    flat = TUNING.model_copy(update={"trials": (trial(7, 0.0, 0.0),) * 3, "leaders": ()})
    assert {point.y for point in plot_tuning(flat).points} == {HEIGHT / 2}
