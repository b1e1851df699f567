from __future__ import annotations

from tasks.reports.svg_plots import Box, Reading, plot_bars, plot_course, plot_spans, plot_spark, plot_stack


def test_bars_fill_the_height_and_mark_the_last() -> None:
    plot = plot_bars([("2026-01-01", 5), ("2026-01-02", 10)])

    assert [(bar.box.height, bar.is_last) for bar in plot.bars] == [(45.0, False), (90.0, True)]


def test_a_day_without_a_value_is_a_gap() -> None:
    plot = plot_bars([("2026-01-01", 5), ("2026-01-02", None), ("2026-01-03", 0)])

    assert [(bar.box.height, bar.is_missing) for bar in plot.bars] == [(90.0, False), (0.0, True), (0.0, False)]


def test_plots_of_nothing_but_zeros() -> None:
    assert plot_bars([("2026-01-01", 0)]).bars[0].box.height == 0
    assert plot_spark([("2026-01-01", 0.0)]) is None
    assert plot_spark([("2026-01-01", 0.0), ("2026-01-02", 0.0)]) is not None
    assert plot_course([Reading("2026-01-01", None)], ["2026-01-01"]) is None
    assert plot_course([Reading("2026-01-01", 0.0)], ["2026-01-01"]) is not None


def test_a_spark_rises_with_its_values_and_shows_the_band_as_far_as_it_reaches() -> None:
    plot = plot_spark([("2026-01-01", 1.0), ("2026-01-02", 3.0)], low=2.0, high=100.0)

    assert plot is not None
    assert plot.path == "3.0,23.0 117.0,3.0"
    assert plot.band == Box(0.0, 3.0, plot.width, 10.0)


def test_stacked_parts_stand_upon_each_other() -> None:
    plot = plot_stack([("a", [0.1, 0.2])], top=0.3)

    assert [(part.box.y, part.box.height) for part in plot.parts] == [(60.0, 30.0), (0.0, 60.0)]


def test_a_course_breaks_where_a_day_is_missing() -> None:
    readings = [Reading(f"2026-01-0{n}", n / 10, n / 10 - 0.1, n / 10 + 0.1) for n in (1, 2, 4)]

    plot = plot_course(readings, [f"2026-01-0{n}" for n in range(1, 5)])

    assert plot is not None
    assert [len(piece.path.split()) for piece in plot.pieces] == [2, 1]
    assert [point.x for point in plot.points] == [75.0, 225.0, 525.0]
    assert all(point.top < point.y < point.bottom for point in plot.points)


def test_spans_share_the_line() -> None:
    plot = plot_spans([("a", 0, 3), ("b", 3, 4)], 4, first="2026-01-01", last="2026-01-04")

    assert [(span.box.x, span.box.width) for span in plot.spans] == [(0.0, 450.0), (450.0, 150.0)]
