from __future__ import annotations

from tasks.monitoring.distributions import Bin
from tasks.reports.svg_comparisons import place_marks, plot_intervals, plot_pairs, plot_powers
from tests.tasks.finished_runs import power, record


def test_paired_bins_have_one_axis() -> None:
    plot = plot_pairs(
        [Bin(low=None, high=1, reference=0.5, current=0.2), Bin(low=1, high=None, reference=0.5, current=0.8)]
    )

    assert plot is not None
    assert [pair.current.height for pair in plot.pairs] == [20.0, 80.0]
    assert all(pair.reference.x + pair.reference.width == pair.current.x for pair in plot.pairs)
    assert plot_pairs([]) is None


def test_intervals_stay_in_the_box_and_keep_their_order() -> None:
    plot = plot_intervals([record("ndcg", "model", 0.3), record("ndcg", "history", 0.2), record("ndcg", "none", None)])

    assert plot is not None
    assert [row.record.of for row in plot.rows] == ["model", "history"]
    assert all(plot.left <= row.low <= row.x <= row.high <= plot.width for row in plot.rows)


def test_powers_are_bars_on_the_axis_of_a_perfect_ranking() -> None:
    assert [row.width for row in plot_powers([power("a", 0.4), power("b", 0.1)], 0.8)] == [50.0, 12.5]
    assert place_marks({"baseline": 0.2, "model": None}, 0.8) == {"baseline": 25.0}
