from __future__ import annotations

import logging
from datetime import timedelta

import duckdb
import pytest

from tasks.checks.features import check_examples, check_features
from tasks.errors import CheckFailed
from tasks.quarantine.rejected_rows import rejected_parts
from tasks.spec.kinds import Interactions
from tasks.store.partitions import read_manifests
from tests.tasks.checking import (
    DAY,
    EVENTS,
    FakeRun,
    land_simulated,
)
from tests.tasks.handmade import sample_of

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
        connection.execute(
            f"create table users as select 'u' || i as user_id, date '2026-01-01' as valid_from, 'US' as region, "
            f"'basic' as plan from range({users}) n(i)"
        )
        connection.execute(f"create table labels as select 'u' || i as user_id, day as cut, i % 2 as grade from {rows}")
        connection.execute(f'create table rejected_rows(table_name, rule, "row", ds) as {rejected}')
        enter_landed(connection, run)


def enter_landed(connection: duckdb.DuckDBPyConnection, run: FakeRun) -> None:
    """Enter in the ledger that the rejected rows are those of the landing as it is."""
    connection.execute("create schema control")
    connection.execute("create table control.ledger (model varchar, part varchar, day date, digest varchar)")
    for part in read_manifests(run.home, run.spec.source_name, ["events"], DAY, DAY):
        connection.execute("insert into control.ledger values ('rejected_rows', 'events', ?, ?)", [DAY, part.sha256])


def change(run: FakeRun, statement: str) -> None:
    with duckdb.connect(run.home.warehouse("demo")) as connection:
        connection.execute(statement)


def test_good_features_pass(run: FakeRun) -> None:
    warehouse(run)

    result = check_features(run)  # type: ignore[arg-type]

    assert result.failed_critical == result.failed_warning == 0
    assert [row.to_json() for row in result.rejects] == [
        {"table": "all tables", "rejected": 0, "rows": None, "rate": 0.0}
    ]
    assert result.quarantine == {}


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
        (
            "insert into users select user_id, '2026-02-10', 'JP', plan from users",
            ("active_users", "changed_share"),
        ),
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


def test_attributes_that_arrive_again_as_they_were_are_no_change(run: FakeRun) -> None:
    warehouse(run)
    change(run, "insert into users select user_id, '2026-02-10', region, plan from users")
    change(run, "insert into users select user_id || 'new', '2026-02-10', region, plan from users")

    check_features(run)  # type: ignore[arg-type]

    (changed,) = [one for one in run.checks("check_features") if one.column == "changed_share"]
    assert changed.observed == 0


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


def rejected(count: int, rule: str = "null_id") -> str:
    return f"""select 'events', '{rule}', '{{"n": ' || i || '}}', date '{DAY}' from range({count}) n(i)"""


def test_rejected_rows_are_counted_by_rule_and_put_into_quarantine(run: FakeRun) -> None:
    land_simulated(run)
    warehouse(run, f"{rejected(3)} union all {rejected(1, 'future')}")

    result = check_features(run)  # type: ignore[arg-type]

    assert [row.to_json() for row in result.rejects] == [
        {"table": "events: any rule", "rejected": 4, "rows": 100, "rate": 0.04},
        {"table": "events: future", "rejected": 1, "rows": 100, "rate": 0.01},
        {"table": "events: null_id", "rejected": 3, "rows": 100, "rate": 0.03},
    ]
    assert result.quarantine == {"events": 4}
    path = run.home.quarantine("demo") / "events" / f"ds={DAY}" / result.quarantine_files["events"]
    kept = duckdb.sql(f"select table_name, rule, \"row\", ds::varchar from read_parquet('{path}')").fetchall()
    assert kept[0] == ("events", "future", '{"n": 0}', "2026-02-10")
    assert len(kept) == 4


def test_a_day_that_is_mostly_rejected_stops_the_run(run: FakeRun) -> None:
    land_simulated(run)
    warehouse(run, rejected(61))

    with pytest.raises(CheckFailed, match=r"events: null_id, 2026-02-10: share of rejected rows is 61 %"):
        check_features(run)  # type: ignore[arg-type]


def test_a_corrected_day_leaves_no_stale_quarantine(run: FakeRun) -> None:
    land_simulated(run)
    warehouse(run, rejected(3))
    check_features(run)  # type: ignore[arg-type]
    land_simulated(run, events=EVENTS.replace("'play'", "'rating'"))
    warehouse(run)

    assert check_features(run).quarantine == {}  # type: ignore[arg-type]

    assert [one.rules for one in rejected_parts(run.home, "demo", DAY, DAY)] == [{}]
    assert [one.rules for one in rejected_parts(run.home, "demo", DAY, DAY, earlier=True)] == [{"null_id": 3}, {}]


# ---------------------------------------------------------------------------------------------- examples

GOOD = f"""
    select 'x' || i as example_id, 'g' || i // 4 as group_id, 'u' || i // 4 as user_id, 'i' || i % 4 as item_id,
           date '{DAY - timedelta(days=3)}' as cut, (i % 4 // 3 * 3)::tinyint as grade, null::integer as position,
           null::double as propensity, 'BR' as region, 1.0::double as weight,
           i::float as f_one, (i % 3)::float as f_two
    from range(400) numbers(i)
"""


def sample(run: FakeRun, train: str = GOOD) -> None:
    with run.write("sample") as folder:  # type: ignore[misc]
        for part, query in (("train", train), ("validation", GOOD), ("test", GOOD)):
            duckdb.sql(f"copy ({query}) to '{folder.path / part}.parquet' (format parquet)")
        folder.result = sample_of({})


def test_good_examples_pass(run: FakeRun) -> None:
    sample(run)

    result = check_examples(run)  # type: ignore[arg-type]

    assert result.failed_critical == result.failed_warning == 0
    assert result.suites == ("examples.test", "examples.train", "examples.validation")


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

    assert check_examples(run).warnings == (  # type: ignore[arg-type]
        "train, 2026-02-10: constant of features: f_two, expected none",
    )


def test_without_a_validation_window_there_is_nothing_to_check_of_it(run: FakeRun) -> None:
    sample(run, GOOD)
    run.windows.validation = ()

    assert check_examples(run).suites == ("examples.test", "examples.train")  # type: ignore[arg-type]


def test_missing_examples_are_an_error(run: FakeRun) -> None:
    with pytest.raises(CheckFailed, match="no such examples; run `matinee sample demo"):
        check_examples(run)  # type: ignore[arg-type]


def test_a_declared_kind_that_staging_never_gives_is_warned_of(
    run: FakeRun, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("matinee"), "propagate", True)
    warehouse(run)
    with duckdb.connect(run.home.warehouse("demo")) as connection:
        connection.execute("alter table interactions add column kind varchar default 'purchase'")
        connection.execute(f"insert into interactions values ('u', 'i', date '{DAY}' + 1, 'gift')")
    kinds = {"gift": {"weight": 2}, "purchase": {"weight": 5}, "subscripton": {}}
    run.spec.interactions = Interactions.model_validate({"kinds": kinds})
    check_features(run)  # type: ignore[arg-type]
    warned = [record.getMessage() for record in caplog.records if "interactions.kinds" in record.getMessage()]
    # A gift landed the day after, which this run does not know of.
    assert warned == [
        f"`interactions.kinds` declares {kind}, but staging gives no interaction of this kind up to {DAY}: correct the "
        "name, or the SQL in transforms/models/staging/simulated"
        for kind in ("gift", "subscripton")
    ]
