"""Absurd rows: made of accepted ones, dealt anew, at their extremes, on the day they are to land."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from tasks.features.engines import warehouse_of
from tasks.proof.perturbations import MOST_WORDS, absurd_rows, accepted_rows, extremes, link_partitions
from tasks.store.files import Home
from tasks.store.partitions import Partition, partition_dir, read_manifests, store

FIRST, SECOND, LATER = date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 9)
USERS = [f"u{number:02}" for number in range(20)]
TIMES = [datetime(2026, 1, 1, hour) for hour in range(20)]  # noqa: DTZ001 - as landed: UTC without saying so


def plays(**changes: list[Any]) -> pa.Table:
    """Twenty users, each with a play, a stranger's rating or a saved title."""
    columns: dict[str, list[Any]] = {
        "user_id": USERS,
        "kind": ["play"] * 10 + ["rating"] * 5 + ["list_add"] * 5,
        "value": [0.1, *[0.5] * 8, 0.9, 1.0, *[3.0] * 3, 5.0, *[1.0] * 5],
        "occurred_at": TIMES,
        "ds": [FIRST] * 10 + [SECOND] * 10,
        **changes,
    }
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def test_numbers_become_the_extremes_of_their_kind() -> None:
    found = extremes(plays())
    assert found["value"].to_pylist() == [0.9, 0.1] * 5 + [5.0, 1.0] * 2 + [5.0] + [1.0] * 5
    assert found.drop_columns(["value"]).equals(plays().drop_columns(["value"]))


def test_numbers_keep_their_sign_and_null_stays_null() -> None:
    quantity = pa.array([3, -2, None, 0, 8, -6], pa.int32())
    found = extremes(pa.table({"quantity": quantity}))
    assert found.schema.field("quantity").type == pa.int32()
    assert found["quantity"].to_pylist() == [8, -6, None, 0, 8, -6]


def test_the_lines_of_files_are_numbered_anew() -> None:
    """With the day they tell rows apart, also rows of days that each began with line 2."""
    found = extremes(pa.table({"line_number": [2, 3, 2, 3], "invoice": ["a", "a", "b", "b"]}))
    assert found["line_number"].to_pylist() == [0, 1, 2, 3]


def test_who_did_it_is_dealt_anew_and_what_was_done_and_when_stays_together() -> None:
    rows = plays()
    found = absurd_rows(rows, LATER, 0, shifted=False)
    assert found.column_names == ["user_id", "kind", "value", "occurred_at"]
    assert found["user_id"].to_pylist() != USERS
    assert sorted(found["user_id"].to_pylist()) == USERS
    assert found.drop_columns(["user_id"]).equals(rows.drop_columns(["user_id", "ds"]))
    assert len(set(rows["kind"].to_pylist())) <= MOST_WORDS < len(USERS)


def test_rows_differ_from_day_to_day_and_from_table_to_table_but_not_from_time_to_time() -> None:
    found = [
        absurd_rows(plays(), day, table, shifted=False)
        for day, table in ((LATER, 0), (LATER, 0), (SECOND, 0), (LATER, 1))
    ]
    assert found[0].equals(found[1])
    assert not found[0].equals(found[2])
    assert not found[0].equals(found[3])


def test_shifted_rows_happen_on_the_day_they_land() -> None:
    born = [date(1990, 1, 1)] * 10 + [None] * 10
    found = absurd_rows(plays(born=born), LATER, 0, shifted=True)
    later = [timedelta(days=8)] * 10 + [timedelta(days=7)] * 10
    assert found["occurred_at"].to_pylist() == [time + days for time, days in zip(TIMES, later, strict=True)]
    assert found["born"].to_pylist() == [date(1990, 1, 9)] * 10 + [None] * 10
    assert found.schema.field("born").type == pa.date32()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Two landed days of plays, and a warehouse that refused some of the second."""
    home = Home(tmp_path / "home")
    for day in (FIRST, SECOND):
        rows = plays().filter(pa.compute.equal(plays()["ds"], pa.scalar(day))).drop_columns(["ds"])
        store(partition_dir(home, "service", "events", day), rows, inputs="made by hand")
    home.warehouse("p").parent.mkdir()
    with duckdb.connect(home.warehouse("p")) as connection:
        connection.execute("create table rejected_rows (table_name varchar, rule varchar, row varchar, ds date)")
        refused = {"u10": SECOND, "u11": FIRST}  # the second one on a day on which it did not land
        for user, day in refused.items():
            row = f"""{{"kind":"rating","user_id":"{user}","value":{1.0 if user == "u10" else 3.0}}}"""
            connection.execute("insert into rejected_rows values ('events', 'odd', ?, ?)", [row, day])
        connection.execute("insert into rejected_rows values ('titles', 'odd', '{\"title\":\"x\"}', ?)", [FIRST])
    return home


def landed(home: Home) -> list[Partition]:
    return read_manifests(home, "service", ["events"], None, LATER)


def test_refused_rows_are_left_out(home: Home) -> None:
    found = accepted_rows(warehouse_of(home, "p"), landed(home))
    assert sorted(found["user_id"].to_pylist()) == [user for user in USERS if user != "u10"]
    assert set(zip(found["user_id"].to_pylist(), found["ds"].to_pylist(), strict=True)) >= {
        ("u00", FIRST),
        ("u19", SECOND),
    }


def test_a_landing_is_put_aside_as_it_is(home: Home, tmp_path: Path) -> None:
    aside = Home(tmp_path / "aside")
    link_partitions([part for part in landed(home) if part.ds == FIRST], aside, "service")
    (part,) = landed(aside)
    assert (part.ds, part.sha256) == (FIRST, landed(home)[0].sha256)
    assert part.path.read_bytes() == landed(home)[0].path.read_bytes()
    assert part.path != landed(home)[0].path
