from __future__ import annotations

from tasks.reports.svg_plots import bars, course, intervals, paired, powers, spans, spark, stacked
from tests.tasks.finished_runs import power, record


def test_bars_fill_the_height_and_mark_the_last() -> None:
    plot = bars([("2026-01-01", 5), ("2026-01-02", 10)])

    assert [(s["height"], s["last"]) for s in plot["shapes"]] == [(45.0, False), (90.0, True)]


def test_a_day_without_a_value_is_a_gap() -> None:
    plot = bars([("2026-01-01", 5), ("2026-01-02", None), ("2026-01-03", 0)])

    assert [(s["height"], s["missing"]) for s in plot["shapes"]] == [(90.0, False), (0.0, True), (0.0, False)]


def test_plots_of_nothing_but_zeros() -> None:
    assert bars([("2026-01-01", 0)])["shapes"][0]["height"] == 0
    assert spark([("2026-01-01", 0.0)]) is None
    assert spark([("2026-01-01", 0.0), ("2026-01-02", 0.0)]) is not None
    assert course([{"day": "2026-01-01", "value": None}], ["2026-01-01"]) is None
    assert course([{"day": "2026-01-01", "value": 0.0}], ["2026-01-01"]) is not None
    assert paired([]) is None


def test_a_spark_rises_with_its_values_and_shows_the_band_as_far_as_it_reaches() -> None:
    plot = spark([("2026-01-01", 1.0), ("2026-01-02", 3.0)], low=2.0, high=100.0)

    assert plot is not None
    assert plot["path"] == "3.0,23.0 117.0,3.0"
    assert plot["band"] == {"y": 3.0, "height": 10.0}


def test_stacked_parts_stand_upon_each_other() -> None:
    plot = stacked([("a", [0.1, 0.2])], top=0.3)

    assert [(s["y"], s["height"]) for s in plot["shapes"]] == [(60.0, 30.0), (0.0, 60.0)]


def test_paired_bins_have_one_axis() -> None:
    plot = paired(
        [
            {"low": None, "high": 1, "reference": 0.5, "current": 0.2},
            {"low": 1, "high": None, "reference": 0.5, "current": 0.8},
        ]
    )

    assert plot is not None
    assert [b["sides"]["current"]["height"] for b in plot["bins"]] == [20.0, 80.0]
    assert all(b["x"] + b["width"] == b["middle"] for b in plot["bins"])


def test_a_course_breaks_where_a_day_is_missing() -> None:
    rows = [{"day": f"2026-01-0{n}", "value": n / 10, "low": n / 10 - 0.1, "high": n / 10 + 0.1} for n in (1, 2, 4)]

    plot = course(rows, [f"2026-01-0{n}" for n in range(1, 5)])

    assert plot is not None
    assert [len(piece["path"].split()) for piece in plot["pieces"]] == [2, 1]
    assert [p["x"] for p in plot["points"]] == [75.0, 225.0, 525.0]
    assert all(p["top"] < p["y"] < p["bottom"] for p in plot["points"])


def test_spans_share_the_line() -> None:
    assert [(b["x"], b["width"]) for b in spans([("a", 0, 3), ("b", 3, 4)], 4)["blocks"]] == [
        (0.0, 450.0),
        (450.0, 150.0),
    ]


def test_intervals_stay_in_the_box_and_keep_their_order() -> None:
    plot = intervals([record("ndcg", "model", 0.3), record("ndcg", "history", 0.2), record("ndcg", "none", None)])

    assert plot is not None
    assert [row["of"] for row in plot["rows"]] == ["model", "history"]
    assert all(plot["left"] <= row["low"] <= row["x"] <= row["high"] <= plot["width"] for row in plot["rows"])


def test_powers_are_bars_on_the_axis_of_a_perfect_order() -> None:
    plot = powers([power("a", 0.4), power("b", 0.1)], {"baseline": 0.2, "model": None}, 0.8)

    assert [row["width"] for row in plot["rows"]] == [50.0, 12.5]
    assert plot["marks"] == {"baseline": 25.0}
