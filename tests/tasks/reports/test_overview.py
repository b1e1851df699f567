from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tasks.monitoring.drift import Drift, LabelRate
from tasks.reports.overview import Cell, Overview, collect_overview, index, overview
from tasks.reports.overview_days import Outcome
from tasks.store.files import Home, write_json
from tests.tasks.finished_runs import LANDED, NASTY, PUBLISHED, Checker, a_check, feature_checks, plain, record

PASSED = {"failed_critical": 0, "failed_warning": 0, "failed_info": 0}
WARNED = [
    a_check(),
    a_check(column="rows_vs_trailing", observed=2.4, expected="at most 2", severity="warning", success=False),
]
BROKEN = [a_check(observed=0.3, success=False)]


def publication(version: str, **change: Any) -> dict[str, Any]:
    return PUBLISHED.model_copy(update={"version": version, **change}).to_json()


def leave(home: Home, day: int, files: dict[str, Any], attempt: str = "a1") -> Path:
    """What a run of 2026-02-<day> leaves."""
    folder = home.run_dir("demo", date(2026, 2, day), attempt)
    for name, content in files.items():
        write_json(folder / name, content)
    if "report/result.json" in files:
        (folder / "report" / "report.html").write_text("<p>")
    return folder


def landing(rows: int) -> dict[str, Any]:
    return LANDED.model_copy(update={"rows_of_day": {"events": rows}}).to_json()


def label_rate(day: int, rate: float) -> LabelRate:
    return LabelRate(cut=date(2026, 2, day), part="test", rows=100, groups=10, rate=rate)


def published(rows: int = 100, value: float = 0.5, **more: Any) -> dict[str, Any]:
    return {
        "land/result.json": landing(rows),
        "check_landed/result.json": PASSED,
        "check_landed/checks.json": [a_check()],
        "check_features/result.json": feature_checks(("any rule", 2, 200)),
        "monitor/drift.json": Drift(label_rate=(label_rate(1, 0.2), label_rate(2, 0.1))).to_json(),
        "evaluate/records.json": plain([record("ndcg@10", "model", value), record("ndcg@10", "history", 0.3)]),
        "publish/result.json": publication("v"),
        "report/result.json": {"good": True},
        **more,
    }


def collected(home: Home, last: int = 90) -> Overview:
    return collect_overview(home, "demo", home.root / "pages" / "demo" / "overview.html", last)


def test_days_checks_and_outcomes(home: Home) -> None:
    leave(home, 1, published())
    leave(
        home,
        2,
        published(**{"check_landed/result.json": {**PASSED, "failed_warning": 1}, "check_landed/checks.json": WARNED}),
    )
    leave(home, 4, {"check_landed/checks.json": BROKEN, "report/result.json": {"good": False}})

    page = collected(home)

    assert page.days == ("2026-02-01", "2026-02-02", "2026-02-03", "2026-02-04")
    assert {day: summary.outcome.level for day, summary in page.summaries.items()} == {
        "2026-02-01": "ok",
        "2026-02-02": "ok",
        "2026-02-04": "critical",
    }
    landed, features = page.heat.lines
    assert landed.cells["2026-02-02"] == Cell("warning", "1 warning")
    assert landed.cells["2026-02-04"] == Cell("critical", "1 critical")
    assert set(features.cells) == {"2026-02-01", "2026-02-02"}
    rows = {row.name: row.cells for row in page.heat.checks}
    assert list(rows) == ["events: null rate of user_id", "events: rows over the mean of the week before"]
    assert rows["events: null rate of user_id"]["2026-02-01"] == Cell("ok", "passed")
    assert rows["events: null rate of user_id"]["2026-02-04"] == Cell("critical", "30 %, expected at most 5 %")
    assert "2026-02-03" not in rows["events: null rate of user_id"]


def test_a_day_that_failed_when_it_was_run_again_is_critical(home: Home) -> None:
    for day, step in ((1, "monitor"), (2, "land")):
        (leave(home, day, published()) / "errors").mkdir()
        (home.run_dir("demo", date(2026, 2, day), "a1") / "errors" / f"{step}.txt").write_text("no such folder")

    page = collected(home)

    # A step beside the others fails without an effect on what is published.
    assert [summary.outcome.level for summary in page.summaries.values()] == ["ok", "critical"]
    assert page.latest is not None
    assert not page.latest.good


def test_a_check_that_is_only_noted_is_no_alarm(home: Home) -> None:
    noted = [a_check(severity="info", success=False)]
    leave(
        home,
        1,
        published(**{"check_landed/result.json": {**PASSED, "failed_info": 1}, "check_landed/checks.json": noted}),
    )

    heat = collected(home).heat

    assert heat.checks == ()
    assert [row.cells for row in heat.noted] == [{"2026-02-01": Cell("info", "0.2 %, expected at most 5 %")}]


def test_volumes_rates_and_metrics_over_time(home: Home) -> None:
    leave(home, 1, published(rows=100, value=0.5))
    leave(home, 3, published(rows=50, value=0.6, **{"publish/result.json": publication("w", alias_moved=False)}))

    page = collected(home)

    (volume,) = page.volumes.values()
    assert [(bar.value, bar.is_missing) for bar in volume.bars] == [(100, False), (None, True), (50, False)]
    assert {name: [p.reading.value for p in plot.points] for name, plot in page.rates.items()} == {
        "rejected rows": [0.01, 0.01],
        "positive examples at the last cut": [0.1, 0.1],
    }
    (metric,) = page.metrics.values()
    assert [(p.reading.value, p.reading.is_live) for p in metric.points] == [(0.5, True), (0.6, False)]
    assert metric.points[0].reading.text == "0.5000 [0.4900, 0.5100], v, became champion"
    assert len(metric.pieces) == 2  # broken where the second day is missing


def test_the_attempt_that_came_to_its_report_represents_the_day(home: Home) -> None:
    leave(home, 1, published(rows=7))
    leave(home, 1, {"land/result.json": landing(9)}, attempt="later")

    assert next(iter(collected(home).volumes.values())).top == 7


@pytest.mark.parametrize(("last", "first"), [(1, "2026-02-09"), (3, "2026-02-07"), (90, "2026-02-01")])
def test_as_many_days_as_asked_for(home: Home, last: int, first: str) -> None:
    for day in (1, 7, 9):
        leave(home, day, published())

    assert collected(home, last).days[0] == first


def test_links_lead_from_the_page_to_the_reports(home: Home) -> None:
    leave(home, 1, published())
    here = home.root / "pages" / "demo" / "overview.html"
    here.parent.mkdir(parents=True)

    page = overview(home, "demo", here)

    (target,) = set(re.findall(r'href="([^"#]*report\.html)', page))
    assert (here.parent / target).resolve().is_file()


def test_a_pipeline_without_runs_has_a_page(home: Home) -> None:
    assert "No day of this pipeline has run yet" in overview(home, "demo", home.root / "x.html")
    assert "No pipeline has run yet" in index(home, [])


def test_a_half_finished_and_a_torn_run_have_a_place(home: Home) -> None:
    folder = leave(home, 1, {"land/result.json": landing(3)})
    (folder / "check_landed").mkdir()
    (folder / "check_landed" / "checks.json").write_text("[{")

    page = collected(home)

    assert page.summaries["2026-02-01"].outcome is Outcome.UNFINISHED
    assert page.links == {}
    assert "not finished" in overview(home, "demo", home.root / "x.html")
    assert "not finished" in index(home, ["demo"])


def test_the_page_is_escaped_and_needs_no_network(home: Home) -> None:
    bad = [a_check(table=NASTY, expected=NASTY, success=False)]
    leave(home, 1, published(**{"check_landed/result.json": {"failed_critical": 1}, "check_landed/checks.json": bad}))
    checker = Checker()

    page = overview(home, "demo", home.root / "x.html")
    checker.feed(page)

    assert (checker.fetched, checker.open) == ([], [])
    assert NASTY not in page
    assert "://" not in page
