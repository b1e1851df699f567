from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasks.home import Home, write_json
from tasks.plots import bars, intervals, line, powers
from tasks.report import STEPS, report_step
from tests.tasks.checking import EVENTS, FakeRun, land_simulated
from tests.tasks.finished_runs import NASTY, Checker, finished, power, record


@pytest.fixture
def run(tmp_path: Path) -> FakeRun:
    return FakeRun(Home(tmp_path))


def text_of(run: FakeRun) -> str:
    report_step(run)  # type: ignore[arg-type]
    return (run.step_dir("report") / "report.html").read_text()


def test_a_good_run_is_told_whole(run: FakeRun) -> None:
    land_simulated(run)

    page = text_of(finished(run))

    for part in (
        "2026-02-10.3f9ac2d1 is now champion",
        "als_score",
        "ndcg@10 beats popularity",
        "0.3400",
        "weight",
        "item_plays_7d",
        "rows over the mean of the week before",
        "Traffic that doubles is rare.",
    ):
        assert part in page
    assert "Missing" not in page
    assert page.count("<svg") > 8


def test_each_feature_alone_is_shown_and_what_is_suspicious_is_said(run: FakeRun) -> None:
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text_of(finished(run))))

    assert "the best baseline, history (0.3000), and the model (0.3400). What closes 33 % of the gap" in page
    assert "✗ plays_tomorrow 0.9800 0.9800 97 % AUC 0.9800 [0.9700, 0.9900] over 900 lists" in page
    assert page.count("a possible time traveller") == 1
    assert "Acknowledged in the pipeline file: Set the day before." in page
    assert "user_item_days_since_action lower first 0.3500" in page
    assert "5 weaker ones" in page


def test_the_page_needs_no_network_and_no_script(run: FakeRun) -> None:
    land_simulated(run)
    checker = Checker()

    checker.feed(text_of(finished(run)))

    assert checker.fetched == []
    assert checker.open == []


def test_everything_from_data_is_escaped(run: FakeRun) -> None:
    run.spec.description = NASTY

    page = text_of(finished(run))

    assert NASTY not in page
    assert page.count("&lt;script&gt;") >= 2


@pytest.mark.parametrize("count", range(len(STEPS)))
def test_a_run_that_stopped_anywhere_has_a_report_that_says_where(run: FakeRun, count: int) -> None:
    finished(run, steps=STEPS[:count])

    page = text_of(run)

    expected = next(step for step in STEPS[count:] if step != "monitor")
    said = re.findall(r"(?:stopped at the step|Stopped at the step|the step|Stopped:) (\w+)", page)
    assert expected in said or "a gate does not hold" in page


def test_a_failed_check_is_shown_with_what_was_observed(run: FakeRun) -> None:
    from tasks.check import check_landed
    from tasks.errors import CheckFailed

    land_simulated(run, events=EVENTS + " where false")
    finished(run, steps=("land",))
    with pytest.raises(CheckFailed):
        check_landed(run)  # type: ignore[arg-type]

    page = text_of(run)

    assert "Stopped: check_landed found critical faults in the data." in page
    assert "A service with members has traffic every day" in page
    assert "Missing: the step check_landed has no result" in page


def test_a_closed_gate_is_no_success(run: FakeRun) -> None:
    finished(run, steps=STEPS[:-2])
    verdict = {"gate": "ndcg@10 beats popularity by 0.01", "passed": False, "detail": "difference -0.0100"}
    write_json(run.step_dir("gate") / "gates.json", [verdict])
    write_json(run.step_dir("gate") / "result.json", {"passed": False})

    assert report_step(run)["good"] is False  # type: ignore[arg-type]
    assert "a gate does not hold" in text_of(run)


def test_what_a_step_said_when_it_failed_is_quoted(run: FakeRun) -> None:
    finished(run, steps=STEPS[:2])
    path = run.dir / "errors" / "build.txt"
    path.parent.mkdir(parents=True)
    path.write_text("dbt: model stg_events failed")

    assert "dbt: model stg_events failed" in text_of(run)


def test_a_torn_file_of_the_run_is_missing_not_a_crash(run: FakeRun) -> None:
    finished(run, steps=STEPS[:-1])
    (run.step_dir("evaluate") / "records.json").write_text("{")

    assert "Missing" in text_of(run)


def test_bars_fill_the_height_and_mark_the_last() -> None:
    plot = bars([("2026-01-01", 5), ("2026-01-02", 10)])

    assert [(s["height"], s["last"]) for s in plot["shapes"]] == [(45.0, False), (90.0, True)]


def test_plots_of_nothing_but_zeros() -> None:
    assert bars([("2026-01-01", 0)])["shapes"][0]["height"] == 0
    assert line([("2026-01-01", 0.0)])["points"][0]["y"] == 90.0


def test_intervals_stay_in_the_box_and_keep_their_order() -> None:
    plot = intervals([record("ndcg", "model", 0.3), record("ndcg", "history", 0.2), record("ndcg", "none", None)])

    assert plot is not None
    assert [row["of"] for row in plot["rows"]] == ["model", "history"]
    assert all(plot["left"] <= row["low"] <= row["x"] <= row["high"] <= plot["width"] for row in plot["rows"])


def test_powers_are_bars_on_the_axis_of_a_perfect_order() -> None:
    plot = powers([power("a", 0.4), power("b", 0.1)], {"baseline": 0.2, "model": None}, 0.8)

    assert [row["width"] for row in plot["rows"]] == [50.0, 12.5]
    assert plot["marks"] == {"baseline": 25.0}
