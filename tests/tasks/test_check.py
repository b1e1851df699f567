from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from tasks.check import check_examples, check_features
from tasks.check_landed import check_landed
from tasks.errors import CheckFailed, LandingError
from tasks.home import Home
from tests.tasks.checking import (
    DAY,
    EVENTS,
    FakeRun,
    days_up_to,
    land_simulated,
    land_table,
)


@pytest.fixture
def run(tmp_path: Path) -> FakeRun:
    return FakeRun(Home(tmp_path))


# ---------------------------------------------------------------------------------------------- landed


def test_a_good_day_passes_and_every_check_is_recorded(run: FakeRun) -> None:
    land_simulated(run)

    result = check_landed(run)  # type: ignore[arg-type]

    checks = run.checks("check_landed")
    assert result["failed_critical"] == result["failed_warning"] == 0
    assert result["checked"] == len(checks) > 60
    assert result["suites"] == ["simulated.events", "simulated.impressions", "simulated.items", "simulated.users"]
    assert {"suite", "table", "day", "type", "column", "severity", "success", "observed", "expected", "why"} <= set(
        checks[0]
    )
    assert all(check["why"].endswith(".") for check in checks)


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
    monkeypatch.setattr("tasks.check_landed.suite_names", lambda: ["simulated.events"])
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
    assert "Why it matters: An event of nobody teaches nothing" in message
    assert f"Where: {paths['events'][-1]}" in message
    assert "What to do: look at the file named above" in message
    assert f"All results: {run.step_dir('check_landed') / 'checks.json'}" in message


def test_a_warning_is_recorded_and_stops_nothing(run: FakeRun) -> None:
    land_simulated(run, events=EVENTS + " where i between 21 and 78")

    result = check_landed(run)  # type: ignore[arg-type]

    assert (result["failed_critical"], result["failed_warning"]) == (0, 1)
    assert result["warnings"] == ["events, 2026-02-10: rows is 58, expected at least 60.65 and at most 164.9"]


def test_a_closed_day_of_the_shop_is_fine(tmp_path: Path) -> None:
    run = FakeRun(Home(tmp_path), staging="online_retail")
    line = """
        select '536365' as invoice_no, '85123A' as stock_code, 'HEART' as description, 6::integer as quantity,
               timestamp '{day} 08:26' as invoice_date, 2.55::double as unit_price, '17850' as customer_id,
               'France' as country, i as line_number from range(10) numbers(i)
    """
    land_table(run, "lines", days_up_to(DAY, 3)[:-1], line)
    land_table(run, "lines", [DAY], line + " where false")

    assert check_landed(run)["failed_critical"] == 0  # type: ignore[arg-type]


def test_an_unknown_source_is_checked_by_the_default_suite(tmp_path: Path) -> None:
    run = FakeRun(Home(tmp_path), staging="my_shop")
    land_table(run, "sales", days_up_to(DAY, 3), "select 1 as a, null::integer as b", rejects=2)

    with pytest.raises(CheckFailed, match=r"rate of unparsed is 66.67 %, expected at least 0 % and at most 5 %"):
        check_landed(run)  # type: ignore[arg-type]

    assert run.failed("check_landed") == {("sales", "unparsed__rate"), ("sales", "every_column__all_null")}


@pytest.mark.parametrize("landed", [date(2026, 2, 1), date(1996, 3, 29)], ids=["lately", "before the lookback"])
def test_a_table_landed_once_and_for_all_is_judged_by_its_only_partition(tmp_path: Path, landed: date) -> None:
    run = FakeRun(Home(tmp_path), staging="my_shop")
    land_table(run, "movies", [landed], "select 1 as a")

    check_landed(run)  # type: ignore[arg-type]

    assert {check["day"] for check in run.checks("check_landed")} == {str(landed)}


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


# ---------------------------------------------------------------------------------------------- features

MARTS = {
    "feat_users": "'u' || i as user_id, case when i < 28 then 'BR' else 'US' end as region",
    "feat_items": "'i' || i as item_id, 'drama' as category",
    "feat_user_items": "'u' || i as user_id, 'i' || i as item_id",
    "feat_user_categories": "'u' || i as user_id, 'drama' as category",
}
FEATURES = "(i / 40)::float as x_ctr_28d, (i / 40)::float as x_share_28d, i::float as x_days_since_action"
DAYS = "(select unnest(generate_series(date '2026-01-29', date '2026-02-10', interval 1 day))::date as day)"
TODAY = "where as_of = date '2026-02-10'"
NOBODY = "select 'events', 'null_id', '{}', date '2026-02-10' where false"


def warehouse(run: FakeRun, rejected: str = NOBODY, users: int = 40) -> None:
    """Make the warehouse: each of two weeks has the same users, items, features and labels."""
    path = run.home.warehouse("demo")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    rows = f"{DAYS} cross join range({users}) n(i)"
    with duckdb.connect(path) as connection:
        for mart, keys in MARTS.items():
            connection.execute(f"create table {mart} as select {keys}, day as as_of, {FEATURES} from {rows}")
        connection.execute(
            f"create table interactions as select 'u' || i as user_id, 'i' || i as item_id, day as ds from {rows}"
        )
        connection.execute("create table impressions as select * from interactions")
        connection.execute(f"create table labels as select 'u' || i as user_id, day as cut, i % 2 as grade from {rows}")
        connection.execute(f'create table rejected_rows(table_name, rule, "row", ds) as {rejected}')


def change(run: FakeRun, statement: str) -> None:
    with duckdb.connect(run.home.warehouse("demo")) as connection:
        connection.execute(statement)


def test_good_features_pass(run: FakeRun) -> None:
    warehouse(run)

    result = check_features(run)  # type: ignore[arg-type]

    assert result["failed_critical"] == result["failed_warning"] == 0
    assert result["rejects"] == [{"table": "all tables", "rejected": 0, "rows": None, "rate": 0.0}]
    assert result["quarantine"] == {}


@pytest.mark.parametrize(
    ("statement", "failed"),
    [
        ("delete from feat_items", ("feat_items", "rows")),
        (f"insert into feat_users select * from feat_users {TODAY} limit 1", ("feat_users", "key__duplicate_rate")),
        ("update feat_users set x_ctr_28d = null where user_id = 'u1'", ("feat_users", "features__null_rate")),
        ("update feat_users set x_ctr_28d = 1.5 where user_id = 'u1'", ("feat_users", "shares__max")),
        ("update feat_items set x_days_since_action = -1", ("feat_items", "recencies__min")),
        ("update feat_items set x_share_28d = 'nan'::float", ("feat_items", "features__not_finite_rate")),
        ("update feat_user_items set item_id = null where user_id = 'u1'", ("feat_user_items", "key__null_rate")),
        (
            "delete from feat_users where user_id > 'u2' and as_of = '2026-02-10'",
            ("active_users", "with_features_share"),
        ),
        (f"update feat_users set region = 'US' {TODAY}", ("active_users", "region__vanished")),
        (f"update feat_items set category = '*' {TODAY}", ("active_items", "category__vanished")),
        ("update labels set grade = 3 where cut = '2026-02-07'", ("labels", "positive__rate")),
        ("delete from labels where cut = '2026-02-07' and grade = 1", ("labels", "positives")),
        (
            "update feat_users set x_days_since_action = 1 where as_of = '2026-02-10'",
            ("feat_users", "x_days_since_action__std"),
        ),
    ],
)
def test_bad_features_stop_the_run(run: FakeRun, statement: str, failed: tuple[str, str]) -> None:
    warehouse(run)
    change(run, statement)

    with pytest.raises(CheckFailed):
        check_features(run)  # type: ignore[arg-type]

    assert failed in run.failed("check_features")


def test_the_feature_that_broke_its_range_is_named(run: FakeRun) -> None:
    warehouse(run)
    change(run, "update feat_users set x_ctr_28d = 1.5 where user_id = 'u1'")

    with pytest.raises(CheckFailed, match=r"max of shares is 1.5 \(in x_ctr_28d\), expected at most 1"):
        check_features(run)  # type: ignore[arg-type]


def test_a_missing_mart_is_an_error(run: FakeRun) -> None:
    warehouse(run)
    change(run, "drop table feat_items")

    with pytest.raises(CheckFailed, match="expected one table 'feat_items', found it nowhere"):
        check_features(run)  # type: ignore[arg-type]


def refused(count: int, rule: str = "null_id") -> str:
    return f"""select 'events', '{rule}', '{{"n": ' || i || '}}', date '{DAY}' from range({count}) n(i)"""


def test_refused_rows_are_counted_by_rule_and_put_into_quarantine(run: FakeRun) -> None:
    land_simulated(run)
    warehouse(run, f"{refused(3)} union all {refused(1, 'future')}")

    result = check_features(run)  # type: ignore[arg-type]

    assert result["rejects"] == [
        {"table": "events: any rule", "rejected": 4, "rows": 100, "rate": 0.04},
        {"table": "events: future", "rejected": 1, "rows": 100, "rate": 0.01},
        {"table": "events: null_id", "rejected": 3, "rows": 100, "rate": 0.03},
    ]
    path = run.home.quarantine("demo") / "events" / f"ds={DAY}" / "rejected.parquet"
    kept = duckdb.sql(f"select table_name, rule, \"row\", ds::varchar from read_parquet('{path}')").fetchall()
    assert kept[0] == ("events", "future", '{"n": 0}', "2026-02-10")
    assert len(kept) == 4


def test_a_day_that_is_mostly_refused_stops_the_run(run: FakeRun) -> None:
    land_simulated(run)
    warehouse(run, refused(61))

    with pytest.raises(CheckFailed, match=r"events: null_id, 2026-02-10: share of refused rows is 61 %"):
        check_features(run)  # type: ignore[arg-type]


def test_a_corrected_day_leaves_no_stale_quarantine(run: FakeRun) -> None:
    land_simulated(run)
    warehouse(run, refused(3))
    check_features(run)  # type: ignore[arg-type]
    warehouse(run)

    check_features(run)  # type: ignore[arg-type]

    assert list(run.home.quarantine("demo").rglob("*.parquet")) == []


# ---------------------------------------------------------------------------------------------- examples

GOOD = f"""
    select 'x' || i as example_id, 'g' || i // 4 as group_id, 'u' || i // 4 as user_id, 'i' || i % 4 as item_id,
           date '{DAY - timedelta(days=3)}' as cut, (i % 4 // 3 * 3)::tinyint as grade, null::integer as position,
           null::double as propensity, 'BR' as region, 1.0::double as weight,
           i::float as f_one, (i % 3)::float as f_two
    from range(400) numbers(i)
"""


def sample(run: FakeRun, train: str = GOOD) -> None:
    folder = run.step_dir("sample")
    folder.mkdir(parents=True, exist_ok=True)
    for part, query in (("train", train), ("validation", GOOD), ("test", GOOD)):
        duckdb.sql(f"copy ({query}) to '{folder / part}.parquet' (format parquet)")


def test_good_examples_pass(run: FakeRun) -> None:
    sample(run)

    result = check_examples(run)  # type: ignore[arg-type]

    assert result["failed_critical"] == result["failed_warning"] == 0
    assert result["suites"] == ["examples.test", "examples.train", "examples.validation"]


@pytest.mark.parametrize(
    ("old", "new", "failed"),
    [
        pytest.param("(i % 4 // 3 * 3)::tinyint", "0::tinyint", "positive__rate", id="no positive"),
        pytest.param("(i % 4 // 3 * 3)::tinyint", "1::tinyint", "positive__rate", id="no negative"),
        pytest.param("(i % 4 // 3 * 3)::tinyint", "(i % 5)::tinyint", "grade__max", id="a grade no rule gives"),
        pytest.param("'i' || i % 4", "'i' || i % 2", "key__duplicate_rate", id="an item twice in a list"),
        pytest.param("i::float", "nullif(i, 7)::float", "features__null_rate", id="null feature"),
        pytest.param("1.0::double", "0.0::double", "weight__min", id="weight 0"),
        pytest.param("2026-02-07", "2026-02-08", "not_complete_yet__rate", id="labels not known yet"),
        pytest.param("as f_two", "as f_2", "missing_columns", id="a feature is missing"),
        pytest.param("from range(400)", "from range(0)", "rows", id="no rows"),
    ],
)
def test_bad_examples_stop_the_run(run: FakeRun, old: str, new: str, failed: str) -> None:
    sample(run, GOOD.replace(old, new))

    with pytest.raises(CheckFailed):
        check_examples(run)  # type: ignore[arg-type]

    assert ("train", failed) in run.failed("check_examples")


def test_a_constant_feature_is_a_warning_that_names_it(run: FakeRun) -> None:
    sample(run, GOOD.replace("(i % 3)::float", "5::float"))

    assert check_examples(run)["warnings"] == [  # type: ignore[arg-type]
        "train, 2026-02-10: constant of features: f_two, expected none"
    ]


def test_without_a_validation_window_there_is_nothing_to_check_of_it(run: FakeRun) -> None:
    sample(run, GOOD)
    run.windows.validation = ()

    assert check_examples(run)["suites"] == ["examples.test", "examples.train"]  # type: ignore[arg-type]


def test_missing_examples_are_an_error(run: FakeRun) -> None:
    with pytest.raises(CheckFailed, match="no such examples; run `matinee sample demo"):
        check_examples(run)  # type: ignore[arg-type]
