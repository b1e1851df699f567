"""Tables of a database land by the rules of files: whole days, in one order, nothing altered, nothing of it told."""

from __future__ import annotations

import gc
import time
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from tasks.errors import SourceError
from tasks.sources.database.database_source import DatabaseSource
from tasks.sources.datasets import Dataset, load_dataset
from tasks.sources.land import land_range, landed_for
from tasks.store.files import Home

VARIABLE = "SHOP_DATABASE"
ORDERS = """
name: shop
description: A shop.
first_day: 2020-01-01
last_day: 2020-01-31
tables:
  orders:
    from: shop.orders
    day: {column: at, unit: timestamp}
    key: [id]
    columns:
      - {name: id, type: VARCHAR}
      - {name: at, header: "At", type: TIMESTAMP}
      - {name: price, type: DOUBLE}
      - {name: pieces, type: INTEGER}
  customers:
    from: shop.customers
    static: true
    columns:
      - {name: id, type: VARCHAR}
      - {name: region, type: VARCHAR}
"""
DAY = date(2020, 1, 2)


def dataset(folder: Path, text: str = ORDERS) -> Dataset:
    (folder / "shop.yaml").write_text(text)
    return load_dataset("shop", folder)


def shop(folder: Path, text: str = ORDERS) -> DatabaseSource:
    return DatabaseSource(dataset(folder, text), VARIABLE)


def execute(engine: sa.Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture
def orders(postgresql: sa.Engine) -> sa.Engine:
    """Orders of two UTC days, in a database whose days are those of Tokyo."""
    execute(
        postgresql,
        'create table shop.orders (id text, "At" timestamptz, price double precision, pieces numeric, updated int)',
        "create table shop.customers (id text primary key, region text)",
        "insert into shop.customers values ('b', 'BR'), ('a', null)",
        """insert into shop.orders values
            ('3', '2020-01-02 23:59:59.999999+00', 0.1, 1, 1), ('2', '2020-01-03 00:00:00+00', 1e300, 2, 1),
            ('B', '2020-01-02 00:00:00+00', 1.5, 7.0, 1), ('a', '2020-01-02 09:00:00+09', null, null, 1),
            ('1', '2020-01-01 23:59:59+00', 2, 3, 1)""",
    )
    return postgresql


def read(source: DatabaseSource, day: date, *tables: str) -> dict[str, pa.Table]:
    return {name: rows.to_reader().read_all() for name, rows in source.read(day, tables).items()}


def ids(source: DatabaseSource, day: date, table: str = "orders") -> list[str]:
    return [row["id"] for row in read(source, day, table)[table].to_pylist()]


def test_a_day_is_a_utc_day_in_the_order_of_the_key(orders: sa.Engine, tmp_path: Path) -> None:
    source = shop(tmp_path)
    assert read(source, DAY, "orders")["orders"].to_pylist() == [
        {"id": "3", "at": datetime(2020, 1, 2, 23, 59, 59, 999999), "price": 0.1, "pieces": 1, "line_number": 1, "sent_before": None},  # noqa: DTZ001, E501
        {"id": "B", "at": datetime(2020, 1, 2), "price": 1.5, "pieces": 7, "line_number": 2, "sent_before": None},  # noqa: DTZ001
        {"id": "a", "at": datetime(2020, 1, 2), "price": None, "pieces": None, "line_number": 3, "sent_before": None},  # noqa: DTZ001
    ]  # fmt: skip
    assert [ids(source, date(2020, 1, day)) for day in (1, 3, 4)] == [["1"], ["2"], []]
    assert ids(source, date(2020, 1, 1), "customers") == ["a", "b"]
    assert ids(source, DAY, "customers") == [], "a table without days lands on the first one"


def test_what_is_no_value_is_rejected_with_its_row(orders: sa.Engine, tmp_path: Path) -> None:
    execute(
        orders,
        """insert into shop.orders values ('4', '2020-01-02 01:00:00+00', 'NaN', 1, 1),
            ('5', '2020-01-02 01:00:00+00', 1, 1.5, 1), ('6', '2020-01-02 01:00:00+00', 1, 1e20, 1)""",
    )
    landed = read(shop(tmp_path), DAY, "orders", "_rejects")
    assert [row["id"] for row in landed["orders"].to_pylist()] == ["3", "B", "a"]
    rejects = landed["_rejects"].to_pylist()
    assert [(row["table_name"], row["line"], row["column_name"]) for row in rejects] == [
        ("orders", 2, "price"), ("orders", 3, "pieces"), ("orders", 4, "pieces")
    ]  # fmt: skip
    assert rejects[0]["error"] == "Found 'NaN', expected a finite number."
    assert rejects[1]["raw"] == '{"id": "5", "At": "2020-01-02 01:00:00+00", "price": "1", "pieces": "1.5"}'


CHANGES = {
    "a row more": "insert into shop.orders values ('9', '2020-01-02 05:00:00+00', 1, 1, 2)",
    "a row less": "delete from shop.orders where id = 'a'",
    "another value": "update shop.orders set price = 7, updated = 2 where id = 'a'",
    "no value": "update shop.orders set price = null, updated = 2 where id = '3'",
    "a row of another day moved in": """update shop.orders set updated = 2, "At" = '2020-01-02 00:00:00+00'
        where id = '2'""",
    "two values exchanged": """update shop.orders set updated = 2,
        price = case id when 'B' then 0.1 else 1.5 end where id in ('3', 'B')""",
}


@pytest.mark.parametrize("updated", ["", "    updated: updated\n"], ids=["all columns", "updated"])
@pytest.mark.parametrize("change", CHANGES)
def test_inputs_change_with_the_rows_of_the_day(orders: sa.Engine, tmp_path: Path, change: str, updated: str) -> None:
    text = ORDERS.replace("    from: shop.orders\n", f"    from: shop.orders\n{updated}")
    days = [DAY, date(2020, 1, 20)]
    before = [shop(tmp_path, text).inputs("orders", day) for day in days]
    assert [shop(tmp_path, text).inputs("orders", day) for day in days] == before
    execute(orders, CHANGES[change])
    after = [shop(tmp_path, text).inputs("orders", day) for day in days]
    assert (after[0] == before[0], after[1] == before[1]) == (False, True)


def test_rows_in_another_order_are_the_same_rows(orders: sa.Engine, tmp_path: Path) -> None:
    def landed() -> tuple[Any, str]:
        source = shop(tmp_path)
        return read(source, DAY, "orders")["orders"], source.inputs("orders", DAY)

    before = landed()
    execute(
        orders, "create table shop.copy as select * from shop.orders order by id desc", "truncate shop.orders",
        "insert into shop.orders select * from shop.copy",
    )  # fmt: skip
    assert landed() == before


def test_a_key_that_came_on_a_day_before_is_told(orders: sa.Engine, tmp_path: Path) -> None:
    execute(orders, "insert into shop.orders values ('1', '2020-01-02 03:00:00+00', 2, 3, 1)")
    rows = read(shop(tmp_path), DAY, "orders")["orders"].to_pylist()
    assert [(row["id"], row["sent_before"]) for row in rows if row["sent_before"]] == [("1", date(2020, 1, 1))]
    before = shop(tmp_path).inputs("orders", DAY)
    execute(orders, """delete from shop.orders where id = '1' and "At" < '2020-01-02 00:00:00+00'""")
    assert shop(tmp_path).inputs("orders", DAY) != before, "what was sent before is among what the day is made from"
    execute(orders, "alter table shop.orders add primary key (id)")
    before = shop(tmp_path).inputs("orders", DAY)
    execute(orders, "insert into shop.orders values ('7', '2020-01-01 12:00:00+00', 2, 3, 1)")
    assert shop(tmp_path).inputs("orders", DAY) == before, "a primary key comes once: days before say nothing of it"


def test_tables_are_of_one_moment_and_the_transaction_ends_with_the_source(orders: sa.Engine, tmp_path: Path) -> None:
    source = shop(tmp_path)
    before = source.inputs("orders", DAY)
    execute(
        orders, "insert into shop.orders values ('9', '2020-01-02 05:00:00+00', 1, 1, 2)",
        "insert into shop.customers values ('c', 'US')",
    )  # fmt: skip
    assert source.inputs("orders", DAY) == before
    assert len(ids(source, DAY)) == 3
    assert ids(source, date(2020, 1, 1), "customers") == ["a", "b"]
    assert connections(orders) == 1
    del source
    gc.collect()
    limit = time.monotonic() + 60
    while connections(orders) and time.monotonic() < limit:
        time.sleep(0.1)  # the server's process ends a little after its client has gone
    assert connections(orders) == 0


def connections(engine: sa.Engine) -> int:
    # A connection of its own each time: within a transaction the view stays as it was at first.
    with engine.connect() as connection:
        count = "select count(*) from pg_stat_activity where application_name = 'matinee'"
        return int(connection.exec_driver_sql(count).scalar_one())


def test_nothing_can_be_written_and_no_statement_takes_for_ever(
    orders: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_STATEMENT_TIMEOUT", "1")
    source = shop(tmp_path)
    execute(
        orders,
        "create function shop.slow() returns setof int language sql volatile as 'select 1 from pg_sleep(60)'",
        "create view shop.waits as select cast(s as text) as id, cast(null as text) as region from shop.slow() as s",
        "create function shop.writes() returns text language sql as 'delete from shop.orders returning id'",
        "create view shop.deletes as select shop.writes() as id, cast(null as text) as region",
    )
    for view, said in (("waits", "statement timeout"), ("deletes", "read-only transaction")):
        source = shop(tmp_path, ORDERS.replace("shop.customers", f"shop.{view}"))
        with pytest.raises(SourceError, match=rf"^SHOP_DATABASE: shop.{view} cannot be read: .*{said}"):
            source.inputs("customers", date(2020, 1, 1))
    assert len(ids(shop(tmp_path), DAY)) == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("shop.orders", "shop.oders", "^shop.oders: no such table or view in the database"),
        ("name: price", "name: prise", "^shop.orders: has no column prise, which .*; did you mean 'price'"),
        (
            "{name: price, type: DOUBLE}",
            "{name: price, type: BOOLEAN}",
            "column price: found DOUBLE PRECISION, expected",
        ),
        ("from: shop.orders", "from: shop.orders\n    updated: touched", "^shop.orders: has no column touched"),
        ("from: shop.orders", 'from: "shop.orders where 1 = 1; drop table shop"', "no such table or view"),
        (
            "{column: at, unit: timestamp}",
            "{column: day, unit: date}",
            "column day: found TEXT, expected a time, a day",
        ),
    ],
)
def test_a_table_that_is_not_as_declared_is_an_error(
    orders: sa.Engine, tmp_path: Path, old: str, new: str, message: str
) -> None:
    execute(orders, "alter table shop.orders add column day text")
    text = ORDERS.replace("      - {name: price", "      - {name: day, type: DATE}\n      - {name: price")
    assert old in text
    with pytest.raises(SourceError, match=message):
        shop(tmp_path, text.replace(old, new)).read(DAY, ["orders"])


def test_rows_without_a_time_are_told(orders: sa.Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    execute(orders, "insert into shop.orders values ('9', null, 1, 1, 2)")
    assert len(ids(shop(tmp_path), DAY)) == 3
    assert "shop.orders: rows without a time by which they belong to a day, which no day has: 1" in caplog.text


@pytest.mark.parametrize("unit", ["epoch_seconds", "epoch_milliseconds"])
def test_epochs_are_days_too(postgresql: sa.Engine, tmp_path: Path, unit: str) -> None:
    times = 1000 if unit == "epoch_milliseconds" else 1
    execute(
        postgresql, 'create table shop.orders (id text, "At" bigint, price real, pieces int)',
        *(
            f"insert into shop.orders values ('{at}', {at * times}, 0.1, 1)"
            for at in (86400 * 18263 - 1, 86400 * 18263, 86400 * 18264 - 1, 86400 * 18264)
        ),
    )  # fmt: skip
    text = ORDERS.replace("unit: timestamp", f"unit: {unit}").replace("type: TIMESTAMP", "type: BIGINT")
    source = shop(tmp_path, text)
    assert ids(source, date(2020, 1, 2)) == [str(86400 * 18263), str(86400 * 18264 - 1)]
    # A 32-bit float is the number that it is, as in a parquet file.
    assert read(source, DAY, "orders")["orders"]["price"].to_pylist() == [0.10000000149011612] * 2


def test_batches_join_and_lines_count_on(orders: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.sources.database.database_source.AT_A_TIME", 7)
    execute(
        orders,
        """insert into shop.orders select lpad(n::text, 3, '0'),
            timestamptz '2020-01-05 00:00:00+00' + n * interval '1 s',
            n / 3.0::float8, case when mod(n, 10) = 0 then 1.5 else n end, 1 from generate_series(0, 99) n""",
    )
    landed = read(shop(tmp_path), date(2020, 1, 5), "orders", "_rejects")
    rows = landed["orders"].to_pylist()
    assert [row["line_number"] for row in rows] == [n + 1 for n in range(100) if n % 10]
    assert [row["price"] for row in rows] == [n / 3 for n in range(100) if n % 10]
    assert landed["_rejects"]["line"].to_pylist() == list(range(1, 101, 10))


def test_days_land_the_same_in_any_order_and_only_changed_ones_again(orders: sa.Engine, tmp_path: Path) -> None:
    days = [date(2020, 1, day) for day in (1, 2, 3)]
    for name, order in (("a", days), ("b", days[::-1])):
        for day in order:
            land_range(shop(tmp_path), Home(tmp_path / name), day, day)

    def landed(name: str) -> set[tuple[str, date, str]]:
        parts = landed_for(shop(tmp_path), Home(tmp_path / name), days[0], days[-1])
        return {(part.table, part.ds, part.sha256) for part in parts}

    before = landed("a")
    assert before == landed("b")
    assert land_range(shop(tmp_path), Home(tmp_path / "a"), days[0], days[-1]).landed == ()
    execute(orders, "update shop.orders set price = 3 where id = '2'")
    land_range(shop(tmp_path), Home(tmp_path / "a"), days[0], days[-1])
    assert {(table, ds) for table, ds, _ in landed("a") - before} == {("orders", days[2])}


LITE = ORDERS.replace("shop.orders", "orders").replace("shop.customers", "customers")


@pytest.fixture
def lite(sqlite: sa.Engine) -> sa.Engine:
    execute(
        sqlite, 'create table orders (id text, "At" timestamp, price real, pieces int)',
        "create table customers (id text, region text)",
        """insert into orders values ('3', '2020-01-02T23:59:59', 0.1 + 0.2, 1), ('2', '2020-01-03 00:00:00', 1, 2),
            ('B', '2020-01-02 00:00:00', 1.5, 7.0), ('a', '2020-01-02', null, null), ('x', '2020-01-02', 'many', 1),
            ('y', '2020-01-02 23:00:00-05:00', 1, 1), ('1', '2020-01-01 23:59:59.9', 2, 3)""",
    )  # fmt: skip
    return sqlite


def test_sqlite_is_read_by_the_same_rules(lite: sa.Engine, tmp_path: Path) -> None:
    source = shop(tmp_path, LITE)
    landed = read(source, DAY, "orders", "_rejects")
    assert [(row["id"], row["price"], row["pieces"]) for row in landed["orders"].to_pylist()] == [
        ("3", 0.30000000000000004, 1), ("B", 1.5, 7), ("a", None, None)
    ]  # fmt: skip
    assert [(row["column_name"], row["error"]) for row in landed["_rejects"].to_pylist()] == [
        ("price", "Found 'many', expected a finite number."),
        ("at", "The row's time is of another UTC day than 2020-01-02."),
    ]
    before = source.inputs("orders", DAY), source.inputs("orders", date(2020, 1, 20))
    del source
    gc.collect()
    execute(lite, "update orders set price = 2 where id = 'B'")
    changed = shop(tmp_path, LITE)
    assert changed.inputs("orders", DAY) != before[0]
    assert changed.inputs("orders", date(2020, 1, 20)) == before[1]


def test_times_that_sqlite_cannot_tell_are_told(
    lite: sa.Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    execute(lite, "insert into orders values ('8', 1577923200, 1, 1), ('9', '02/01/2020', 1, 1), ('10', null, 1, 1)")
    read(shop(tmp_path, LITE), DAY, "orders")
    assert "orders: rows without a time by which they belong to a day, which no day has: 3" in caplog.text


def test_bytes_are_no_text(lite: sa.Engine, tmp_path: Path) -> None:
    execute(lite, "insert into orders values (x'00ff', '2020-01-02', 1, 1)")
    with pytest.raises(SourceError, match=r"^orders: column id: found bytes, expected text or numbers"):
        read(shop(tmp_path, LITE), DAY, "orders")


def test_columns_of_sqlite_without_a_type_are_judged_by_their_values(sqlite: sa.Engine, tmp_path: Path) -> None:
    execute(
        sqlite, 'create table orders (id, "At", price, pieces)', "create table customers (id, region)",
        """insert into orders values ('03', '2020-01-02T23:59:59', 0.1 + 0.2, 1), ('2', '2020-01-03 00:00:00', 1, 2),
            (4, '2020-01-02', '1.5', null), ('x', '2020-01-02', 'many', 1)""",
    )  # fmt: skip
    landed = read(shop(tmp_path, LITE), DAY, "orders", "_rejects")
    assert [(row["id"], row["price"], row["pieces"]) for row in landed["orders"].to_pylist()] == [
        ("4", 1.5, None), ("03", 0.30000000000000004, 1)
    ]  # fmt: skip
    assert landed["_rejects"]["error"].to_pylist() == ["Found 'many', expected a finite number."]
