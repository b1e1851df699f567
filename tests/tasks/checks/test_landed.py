from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from tasks.checks.landed import check_landed
from tasks.errors import CheckFailed, LandingError
from tasks.spec.parts import FilesSource
from tasks.store.files import Home
from tests.tasks.checking import DAY, EVENTS, FakeRun, days_up_to, land_simulated, land_table


def test_a_good_day_passes_and_every_check_is_recorded(run: FakeRun) -> None:
    land_simulated(run)

    result = check_landed(run)  # type: ignore[arg-type]

    checks = run.checks("check_landed")
    assert result.failed_critical == result.failed_warning == 0
    assert result.checked == len(checks) > 60
    assert result.suites == ("simulated.events", "simulated.impressions", "simulated.items", "simulated.users")
    assert all(check.why.endswith(".") for check in checks)


@pytest.mark.parametrize(
    ("events", "failed"),
    [
        pytest.param(EVENTS + " where false", "rows", id="empty day"),
        pytest.param(EVENTS + " where i < 5", "rows_vs_trailing", id="half a file"),
        pytest.param(EVENTS.replace("i % 7", "null"), "user_id__null_rate", id="null ids"),
        pytest.param(EVENTS.replace("'e{day}' || i ", "'e' || i // 2 "), "key__duplicate_rate", id="twice"),
        pytest.param(EVENTS.replace("i / 100", "i::double"), "impossible_fraction__rate", id="unit × 100"),
        pytest.param(EVENTS.replace("'play'", "'stream'"), "unknown_kind__rate", id="unknown kind"),
        pytest.param(EVENTS.replace("i / 100 as value", "'0.5' as value"), "mistyped_columns", id="text"),
        pytest.param(EVENTS.replace("as value", "as fraction"), "missing_columns", id="renamed column"),
        pytest.param(EVENTS.replace("{day} 11", "2026-02-09 11"), "arrived_another_day__rate", id="yesterday"),
        pytest.param(EVENTS.replace("{day} 10", "2026-02-12 10"), "from_the_future__rate", id="wrong clock"),
        pytest.param(EVENTS.replace("i % 7", "1"), "user_id__approx_distinct", id="one bot"),
    ],
)
def test_a_bad_day_stops_the_run(run: FakeRun, events: str, failed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.checks.landed.suite_names", lambda: ["simulated.events"])
    land_table(run, "events", days_up_to(DAY, 10)[:-1], EVENTS)
    land_table(run, "events", [DAY], events)

    with pytest.raises(CheckFailed) as caught:
        check_landed(run)  # type: ignore[arg-type]

    assert ("events", failed) in run.failed("check_landed")
    assert "events, 2026-02-10" in str(caught.value)
    assert not (run.step_dir("check_landed") / "result.json").exists()


def test_the_message_says_what_was_observed_expected_why_and_what_to_do(run: FakeRun) -> None:
    paths = land_simulated(run, events=EVENTS.replace("'u' || i % 7", "case when i >= 30 then 'u' || i end"))

    with pytest.raises(CheckFailed) as caught:
        check_landed(run)  # type: ignore[arg-type]

    message = str(caught.value)
    assert "demo as of 2026-02-10: 2 of" in message
    assert "1. events, 2026-02-10: null rate of user_id is 30 %, expected at least 0 % and at most 5 %." in message
    assert "Why it matters: An event without a user says nothing" in message
    assert f"Where: {paths['events'][-1]}" in message
    assert "What to do: look at the file named above" in message
    assert f"All results: {run.step_dir('check_landed') / 'checks.json'}" in message


def test_a_warning_is_recorded_and_stops_nothing(run: FakeRun) -> None:
    land_simulated(run, events=EVENTS + " where i between 21 and 78")

    result = check_landed(run)  # type: ignore[arg-type]

    assert (result.failed_critical, result.failed_warning) == (0, 1)
    assert result.warnings == ("events, 2026-02-10: rows is 58, expected at least 60.65 and at most 164.9",)


def test_a_closed_day_of_the_shop_is_fine(tmp_path: Path) -> None:
    run = FakeRun(Home(tmp_path), staging="online_retail")
    line = """
        select '536365' as invoice_no, '85123A' as stock_code, 'HEART' as description, 6::integer as quantity,
               timestamp '{day} 08:26' as invoice_date, 2.55::double as unit_price, '17850' as customer_id,
               'France' as country, i as line_number from range(10) numbers(i)
    """
    land_table(run, "lines", days_up_to(DAY, 3)[:-1], line)
    land_table(run, "lines", [DAY], line + " where false")

    assert check_landed(run).failed_critical == 0  # type: ignore[arg-type]


def test_an_unknown_source_is_checked_by_the_default_suite(tmp_path: Path) -> None:
    run = FakeRun(Home(tmp_path), staging="my_shop")
    land_table(run, "sales", days_up_to(DAY, 3), "select 1 as a, null::integer as b", rejects=2)

    with pytest.raises(CheckFailed, match=r"rate of unparsed is 66.67 %, expected at least 0 % and at most 5 %"):
        check_landed(run)  # type: ignore[arg-type]

    assert run.failed("check_landed") == {("sales", "unparsed__rate"), ("sales", "every_column__all_null")}


@pytest.mark.parametrize("landed", [date(2026, 2, 1), date(1996, 3, 29)], ids=["lately", "before the lookback"])
def test_a_table_landed_once_and_for_all_is_checked_by_its_only_partition(tmp_path: Path, landed: date) -> None:
    run = FakeRun(Home(tmp_path), staging="my_shop")
    land_table(run, "movies", [landed], "select 1 as a")

    check_landed(run)  # type: ignore[arg-type]

    assert {check.day for check in run.checks("check_landed")} == {str(landed)}


def test_a_day_of_the_history_is_checked_by_its_footer(run: FakeRun) -> None:
    land_simulated(run)
    land_table(run, "events", [DAY - timedelta(days=3)], EVENTS.replace("as value", "as fraction"))

    with pytest.raises(CheckFailed, match="events, 2026-02-07: missing columns: value, expected none"):
        check_landed(run)  # type: ignore[arg-type]


def test_a_hole_in_the_history_is_named(run: FakeRun) -> None:
    paths = land_simulated(run)
    (paths["events"][4].parent / "manifest.json").unlink()

    with pytest.raises(CheckFailed, match="missing days: 2026-02-05, expected none"):
        check_landed(run)  # type: ignore[arg-type]


def test_a_truncated_file_is_named(run: FakeRun) -> None:
    path = land_simulated(run)["events"][-1]
    path.write_bytes(path.read_bytes()[:200])

    with pytest.raises(LandingError, match=path.name):
        check_landed(run)  # type: ignore[arg-type]


def test_a_changed_file_of_the_same_size_is_named(run: FakeRun) -> None:
    path = land_simulated(run)["events"][-1]
    path.write_bytes(b"x" * path.stat().st_size)

    with pytest.raises(LandingError, match=path.name):
        check_landed(run)  # type: ignore[arg-type]


def test_a_torn_file_of_the_history_is_named(run: FakeRun) -> None:
    path = land_simulated(run)["events"][2]
    path.write_bytes(b"x" * path.stat().st_size)

    with pytest.raises(LandingError, match=path.name):
        check_landed(run)  # type: ignore[arg-type]


def test_the_as_of_day_must_be_landed(run: FakeRun) -> None:
    land_simulated(run)
    run.as_of = DAY + timedelta(days=1)

    with pytest.raises(LandingError, match=r"expected a partition of 2026-02-11, the last one is of 2026-02-10"):
        check_landed(run)  # type: ignore[arg-type]


def test_nothing_landed_is_an_error(run: FakeRun) -> None:
    with pytest.raises(LandingError, match="nothing is landed there"):
        check_landed(run)  # type: ignore[arg-type]


def test_the_same_day_checked_twice_gives_the_same_record(run: FakeRun) -> None:
    land_simulated(run)
    check_landed(run)  # type: ignore[arg-type]
    first = (run.step_dir("check_landed") / "checks.json").read_bytes()

    check_landed(run)  # type: ignore[arg-type]

    assert (run.step_dir("check_landed") / "checks.json").read_bytes() == first


# ------------------------------------------------------------------------------------- against the trailing days


def test_each_record_has_its_line_and_the_trend_of_its_measure(run: FakeRun) -> None:
    land_simulated(run)

    check_landed(run)  # type: ignore[arg-type]

    records = run.checks("check_landed")
    rows = next(check for check in records if (check.table, check.column) == ("events", "rows"))
    assert {check.line for check in records} == {"landed"}
    assert rows.trend == tuple((str(day), 100) for day in days_up_to(DAY - timedelta(days=1), 9))


@pytest.mark.parametrize(
    ("events", "failed"),
    [
        pytest.param(EVENTS + " where i % 2 = 0", "rows", id="half a file"),
        pytest.param(EVENTS.replace("'e{day}'", "'e2026-02-09'"), "key__seen_before_rate", id="yesterday's keys"),
        pytest.param(EVENTS.replace("'u' || i % 7", "'u' || i"), "user_id__approx_distinct", id="a new id each time"),
        pytest.param(EVENTS.replace("'u' || i % 7", "'m' || i % 7"), "user_id__seen_before_rate", id="other ids"),
        pytest.param(
            EVENTS.replace("'u' || i % 7", "if(i > 20, 'u1', 'u' || i % 7)"), "user_id__top_share", id="a bot"
        ),
        pytest.param(EVENTS.replace("'u' || i % 7", "'ü�' || i % 7"), "user_id__unreadable_rate", id="rubbish"),
        pytest.param(EVENTS.replace("i / 100 as", "0.01 * i / 100 as"), "value__mean", id="another unit"),
        pytest.param(EVENTS.replace("{day} 10", "{day} 04"), "occurred_at__mix_broken", id="hours off"),
        pytest.param(EVENTS.replace("{day} 10", "2026-02-09 10"), "late__rate", id="a day off"),
    ],
)
def test_a_day_unlike_those_before_it_stops_the_run(
    run: FakeRun, events: str, failed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.checks.landed.suite_names", lambda: ["simulated.events"])
    land_table(run, "events", days_up_to(DAY, 15)[:-1], EVENTS)
    land_table(run, "events", [DAY], events)

    with pytest.raises(CheckFailed):
        check_landed(run)  # type: ignore[arg-type]

    critical = {(c.table, c.column) for c in run.checks("check_landed") if not c.success and c.severity == "critical"}
    assert ("events", failed) in critical


def test_a_first_day_is_not_compared_with_days_that_are_not_there(
    run: FakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.checks.landed.suite_names", lambda: ["simulated.events"])
    land_table(run, "events", days_up_to(DAY, 3), EVENTS)

    check_landed(run)  # type: ignore[arg-type]

    rows = [c for c in run.checks("check_landed") if c.column == "rows" and "not checked" in c.expected]
    assert {(c.success, c.expected) for c in rows} == {(True, "not checked yet: 2 of at least 5 earlier days")}


def test_earlier_days_are_measured_once(run: FakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    land_simulated(run)
    check_landed(run)  # type: ignore[arg-type]
    kept = {path: path.read_bytes() for path in (run.home.root / "profiles").rglob("*.json")}
    assert len(kept) == 40  # ten days of four tables

    def measured_again(*_: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr("tasks.checks.profile_cache.profile_file", measured_again)
    check_landed(run)  # type: ignore[arg-type]
    monkeypatch.undo()

    first = (run.step_dir("check_landed") / "checks.json").read_bytes()
    for path in kept:
        path.write_text("{", encoding="utf-8")  # torn
    check_landed(run)  # type: ignore[arg-type]
    assert (run.step_dir("check_landed") / "checks.json").read_bytes() == first
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_corrected_day_is_checked_by_what_it_has_now(run: FakeRun) -> None:
    land_simulated(run, events=EVENTS + " where i < 5")
    with pytest.raises(CheckFailed):
        check_landed(run)  # type: ignore[arg-type]
    land_table(run, "events", [DAY], EVENTS)

    assert check_landed(run).failed_critical == 0  # type: ignore[arg-type]


def test_a_file_without_lines_on_an_open_day_stops_the_run(tmp_path: Path) -> None:
    run = FakeRun(Home(tmp_path), staging="online_retail")
    run.spec.source = FilesSource(type="files", dataset="online_retail")
    run.as_of = date(2011, 3, 7)  # a Monday
    run.landing_start = date(2011, 2, 1)
    line = """
        select '536365' as invoice_no, '85123A' as stock_code, 'HEART' as description, 6::integer as quantity,
               timestamp '{day} 08:26' as invoice_date, 2.55::double as unit_price, '17850' as customer_id,
               'France' as country, i as line_number from range(0) numbers(i)
    """
    land_table(run, "lines", [run.as_of - timedelta(days=1), run.as_of], line)

    with pytest.raises(CheckFailed, match="no rows on a day that is not declared closed"):
        check_landed(run)  # type: ignore[arg-type]
