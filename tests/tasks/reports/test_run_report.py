from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.publishing.results import GateVerdict
from tasks.reports.run_report import collect_report, report_step
from tasks.reports.run_verdict import State
from tasks.store.files import Home, read_json, write_json, write_text
from tasks.store.records import write_list
from tasks.store.registry import Alias
from tests.tasks.checking import DAY, EVENTS, FakeRun, land_simulated
from tests.tasks.finished_runs import (
    DRIFT,
    LEARNED,
    NASTY,
    STEPS,
    Checker,
    a_check,
    drifted,
    feature_checks,
    finished,
    gate_result,
    skeleton,
)
from tests.tasks.reports.test_svg_tuning import TUNING


def text_of(run: FakeRun) -> str:
    report_step(run)  # type: ignore[arg-type]
    return (run.step_dir("report") / "report.html").read_text()


def test_a_good_run_has_every_section(run: FakeRun) -> None:
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


def test_a_search_for_settings_shows_its_plateau(run: FakeRun) -> None:
    assert "settings tried" not in text_of(finished(run))
    TUNING.write(run.step_dir("train") / "all" / "tuning.json")
    text = re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", text_of(run)))
    assert "settings tried for the population *" in text
    assert "the best ndcg@10 is 0.5100 with num_leaves 31, over 2 trainings" in text
    assert "num_leaves 15 1 0.5000 0.4900, 0.5100 0.0100 ± 0.0200" in text


def test_a_learning_curve_is_a_section_once_somebody_asked_for_it(run: FakeRun) -> None:
    land_simulated(run)
    assert "Learning curve" not in text_of(finished(run))
    LEARNED.write(run.step_dir("learning_curve") / "all" / "result.json")
    page = text_of(run)
    assert "twice as many would bring 0.0060 (0.0020 to 0.0200)" in page
    assert "<title>80 groups: 0.3882 [0.3782, 0.3982]</title>" in page


def test_the_sample_has_what_was_promised_and_what_is_short(run: FakeRun) -> None:
    page = text_of(finished(run))
    row = page[page.index("<td>BR · new</td>") :].partition("</tr>")[0]
    assert re.findall(r"<td[^>]*>([^<]+)</td>", row)[1:] == ["900", "300", "3", "33 %", "400", "100", "500", "0.3000"]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ("exclude", "No list holds an item that its user had seen"),
        ("only", "Lists hold only items that their users had seen"),
        ("keep", ""),
    ],
)
def test_lists_name_the_rule_for_seen_items(run: FakeRun, seen: str, said: str) -> None:
    run.spec.candidates.seen = seen
    page = text_of(finished(run))
    assert (f"candidates: {{seen: {seen}}}" in page) == bool(said)
    assert said in page


def test_a_sample_of_few_positives_says_so(run: FakeRun) -> None:
    assert (
        "few positives: 6 examples with a grade above 0, fewer than 10 for each of 2 features, in 2 lists"
        in text_of(finished(run))
    )


def test_each_feature_alone_is_shown_and_what_is_suspicious_is_said(run: FakeRun) -> None:
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text_of(finished(run))))

    assert "the best baseline, history (0.3000), and the model (0.3400)." in page
    assert "A feature is suspected of leakage if it closes 33 % of the gap" in page
    assert "✗ plays_tomorrow 0.9800 0.9800 97 % AUC 0.9800 [0.9700, 0.9900] over 900 lists" in page
    assert page.count("Leakage suspected") == 1
    assert "Acknowledged in the pipeline file: Set the day before." in page
    assert "user_item_days_since_action lower first 0.3500" in page
    assert "5 weaker ones" in page


def test_the_model_is_shown_beside_its_parts(run: FakeRun) -> None:
    page = text_only(text_of(finished(run)))

    assert "was chosen on the validation window." in page
    assert "Over the best of them the model leads by -0.0100 [-0.0300, +0.0100] ;" in page
    assert "user_item_days_since_action lower first 0.3500 [0.3400, 0.3600] -0.0100 [-0.0200, +0.0100]" in page
    assert "3 weaker ones" in page
    assert (
        "the model is not better than user_item_days_since_action alone beyond noise: ndcg@10 by -0.0100 [-0.0300, "
        "+0.0100]. Write a gate, `beats: best_feature`"
    ) in page


def text_only(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.S)))


def test_the_verdict_comes_first_with_reasons_and_what_to_do(run: FakeRun) -> None:
    finished(run, steps=STEPS[:1])
    failed = [a_check(success=False, observed=0.3), a_check(severity="info", success=False, why="Just so.")]
    write_json(run.step_dir("check_landed") / "checks.json", failed)

    page = text_only(text_of(run))

    assert (
        "✗ Stopped: check_landed found critical faults in the data. events, 2026-02-10: null rate of user_id is 30 %, "
        "expected at most 5 % To do: `matinee check demo --as-of 2026-02-10 --what landed --failed` shows it beside "
        "the days before To do: land the day again. To do: once that is fixed, run the day again: clear the run in "
        "Airflow, or `matinee run demo --as-of 2026-02-10` See docs/runbooks/check-failed.md"
    ) in page
    assert page.count("land the day again") == 1
    assert "info: 1 of 1 noted" in page


def test_parts_that_a_stopped_run_does_not_have_are_named_once(run: FakeRun) -> None:
    page = text_of(finished(run, steps=STEPS[:2]))

    assert page.count("Missing") == 1
    assert (
        "the steps after it did not run. Not on this page: rejected rows, labels, drift, sample, candidate recall, "
        "metrics, gates, training curves and features, calibration, coverage, lists of three users, features alone."
    ) in page
    assert re.findall(r'<h2 id="(\w+)">', page) == ["changes", "landed", "checks", "lineage", "files"]


@pytest.mark.parametrize("count", range(1, len(STEPS)))
def test_a_run_that_goes_on_has_not_failed(run: FakeRun, count: int) -> None:
    finished(run, steps=STEPS[:count])

    report = collect_report(run, finished=False)  # type: ignore[arg-type]

    assert State.FAILED not in {step.state for step in report.steps}
    assert report.verdict.text.startswith("Not finished: the step ")
    assert "has no result yet" in report.verdict.text


def test_a_run_that_goes_on_beside_a_failure_has_failed(run: FakeRun) -> None:
    finished(run, steps=STEPS[:6])
    write_json(run.step_dir("check_examples") / "checks.json", [a_check(success=False)])

    report = collect_report(run, finished=False)  # type: ignore[arg-type]

    assert report.verdict.text == "Stopped: check_examples found critical faults in the data."


@pytest.mark.parametrize("step", ["check_landed", "check_examples", "gate"])
def test_a_step_that_could_not_decide_has_found_nothing(run: FakeRun, step: str) -> None:
    """Its file is damaged, say: then there is no verdict to quote, and its error says what is wrong."""
    finished(run, steps=STEPS[: STEPS.index(step)])
    write_text(run.dir / "errors" / f"{step}.txt", "manifest.json: found a list\nand more\n")

    verdict = collect_report(run).verdict  # type: ignore[arg-type]

    assert verdict.lines[0] == f"Not published: the step {step} failed. manifest.json: found a list"
    assert verdict.next[-1] == "docs/runbooks/README.md"


def test_what_is_served_while_a_run_is_red_is_said(run: FakeRun) -> None:
    finished(run, steps=STEPS[:1])
    served = Alias(version="v7", as_of=date(2026, 2, 9), content="0" * 64)
    served.write(run.home.registry("demo") / "aliases" / "champion.json")

    assert "Still served: v7, of 2026-02-09." in text_only(text_of(run))


def test_checks_show_their_trend_and_line(run: FakeRun) -> None:
    trend = [["2026-02-08", 0.001], ["2026-02-09", 0.002]]
    finished(run, steps=STEPS[:2])
    write_json(run.step_dir("check_landed") / "checks.json", [a_check(trend=trend), a_check(line="predictions")])

    page = text_of(run)

    assert "2026-02-08 to 2026-02-10: 0.1 % to 0.2 %" in page
    assert "Predictions" in text_only(page)


def test_drift_is_drawn_where_it_shifted_and_windows_that_warm_up_are_no_alarm(run: FakeRun) -> None:
    page = text_only(text_of(finished(run)))

    assert "the test window (2026-02-01 to 2026-02-07, 100 lists) with the training window" in page
    assert "drift 2 of 4 shifted, 1 warming up" in page
    assert "Windows that are still warming up shift by themselves" in page
    assert page.count("at most 80 % of the lists") == 2  # item_plays_7d and the scores, not the one that is warming up


def test_what_cannot_be_compared_is_said(run: FakeRun) -> None:
    finished(run)
    feature = drifted("f", "too_few", 0.3).model_copy(update={"note": "too few users to tell"})
    drift = DRIFT.model_copy(update={"features": (feature,), "scores": None, "problem": "no table of the label"})
    drift.write(run.step_dir("monitor") / "drift.json")

    page = text_only(text_of(run))

    assert "no table of the label" in page
    assert "f too few users to tell too few" in page
    assert "For 1 there is too little data to tell." in page
    assert "drift 0 of 1 shifted" in page


def test_a_drift_of_another_shape_is_missing_not_a_crash(run: FakeRun) -> None:
    finished(run)
    write_json(run.step_dir("monitor") / "drift.json", {"features": "none"})

    assert "Not on this page: drift." in text_only(text_of(run))


def test_grades_are_stacked_by_cut(run: FakeRun) -> None:
    page = text_only(text_of(finished(run)))

    assert "50 % at the last cut" in page
    assert "2026-01-01 (train), grade 3: 10 %" in page


def test_rejected_rows_have_the_days_before(run: FakeRun) -> None:
    finished(run)
    before = run.home.run_dir("demo", DAY - timedelta(days=2), "a1") / "check_features" / "result.json"
    write_json(before, feature_checks(("any rule", 1, 100)))

    page = text_only(text_of(run))

    assert "2026-02-08 to 2026-02-10: 1 % to 2 %" in page
    assert "rejected rows 2 %" in page


def test_the_lineage_of_a_published_version_is_its_descriptors(run: FakeRun) -> None:
    finished(run)
    lineage = {"data": "d" * 64, "code": "c" * 64, "libraries": {"numpy": "2.4.6"}, "spec": {"name": "demo"}}
    path = run.home.root / "registry/demo/versions/2026-02-10.3f9ac2d1/descriptor.json"
    write_json(path, {"lineage": lineage, "artifacts": {"trees.txt": {"bytes": 2000, "sha256": "a" * 64}}})

    page = text_of(run)

    assert "code cccccccccccc libraries numpy 2.4.6" in text_only(page)
    (link,) = re.findall(r'href="([^"]*descriptor\.json)"', page)
    assert (run.step_dir("report") / link).resolve() == path


def test_the_page_needs_no_network_and_no_script(run: FakeRun) -> None:
    land_simulated(run)
    checker = Checker()

    checker.feed(text_of(finished(run)))

    assert checker.fetched == []
    assert checker.open == []
    assert "://" not in text_of(run)


def test_everything_from_data_is_escaped(run: FakeRun) -> None:
    run.spec.description = NASTY

    page = text_of(finished(run))

    assert NASTY not in page
    assert page.count("&lt;script&gt;") >= 2


FREE = (
    "table",
    "column",
    "observed_in",
    "why",
    "next",
    "feature",
    "definition",
    "gate",
    "detail",
    "acknowledged",
    "path",
    "user",
    "item",
    "title",
    "problem",
)
"""Keys whose values come from data, suites or pipeline files."""


def with_text(value: Any, text: str, key: str = "") -> Any:
    """Put a text where words come from data; in names of features and of strata, too."""
    if isinstance(value, dict):
        named = key in ("importance", "stratum", "slice")
        return {f"{k}{text}" if named else k: with_text(v, text, "table" if named else k) for k, v in value.items()}
    if isinstance(value, list):
        return [with_text(item, text, key) for item in value]
    return f"{value}{text}" if isinstance(value, str) and key in FREE else value


def page_with(text: str) -> str:
    with TemporaryDirectory() as folder:
        run = finished(FakeRun(Home(Path(folder))))
        run.spec.description = text
        for path in run.dir.rglob("*.json"):
            write_json(path, with_text(read_json(path), text))
        return text_of(run)


PLAIN = skeleton(page_with("plain"))


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=12).map(lambda text: f"'\"></td></svg><script>{text}</style><i x=&quot;{{{{ 1 }}}}"))
def test_no_text_in_any_field_can_add_an_element(text: str) -> None:
    assert skeleton(page_with(text)) == PLAIN


def test_what_acts_on_a_terminal_or_reorders_a_line_is_shown_as_its_escape() -> None:
    page = page_with("red \x1b[31m \u202edecnavda")

    assert not {*page} & {"\x1b", "\u202e"}
    assert r"red \x1b[31m \u202edecnavda" in page


@pytest.mark.parametrize("count", range(len(STEPS)))
def test_a_run_that_stopped_anywhere_has_a_report_that_says_where(run: FakeRun, count: int) -> None:
    finished(run, steps=STEPS[:count])

    page = text_of(run)

    expected = next(step for step in STEPS[count:] if step != "monitor")
    said = re.findall(r"(?:stopped at the step|Stopped at the step|the step|Stopped:) (\w+)", page)
    assert expected in said or "a gate failed" in page


def test_a_day_that_fails_when_it_is_run_again_is_no_success(run: FakeRun) -> None:
    finished(run)
    write_text(run.dir / "errors" / "land.txt", "shop: no such folder\n")

    page = text_of(run)

    assert "is now champion" not in page
    assert re.search(r"Not published: the step land failed\. [\w.-]+, which an earlier try published, stays\.", page)


def test_a_failed_check_is_shown_with_what_was_observed(run: FakeRun) -> None:
    from tasks.checks.landed import check_landed
    from tasks.errors import CheckFailed

    land_simulated(run, events=EVENTS + " where false")
    finished(run, steps=("land",))
    with pytest.raises(CheckFailed):
        check_landed(run)  # type: ignore[arg-type]

    page = text_of(run)

    assert "Stopped: check_landed found critical faults in the data." in page
    assert "A service with members has traffic every day" in page
    assert "Missing: the step check_landed failed" in page


def test_a_closed_gate_is_no_success(run: FakeRun) -> None:
    finished(run, steps=STEPS[:-2])
    verdict = GateVerdict(gate="ndcg@10 beats popularity by 0.01", passed=False, detail="difference -0.0100")
    write_list(run.step_dir("gate") / "gates.json", [verdict])
    gate_result(verdict).write(run.step_dir("gate") / "result.json")

    assert report_step(run).good is False  # type: ignore[arg-type]
    assert "a gate failed" in text_of(run)


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
