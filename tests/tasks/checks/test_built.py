"""The ledger is asked whether a day's tables are there."""

from __future__ import annotations

import duckdb

from tasks.checks.built import why_not_built
from tests.tasks.checking import FakeRun


def enter(run: FakeRun, *rows: tuple[str, str, str]) -> None:
    path = run.home.warehouse(run.spec.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with duckdb.connect(path) as connection:
        connection.execute("create schema control")
        connection.execute("create table control.ledger (model varchar, part varchar, day date, digest varchar)")
        connection.executemany("insert into control.ledger values (?, ?, ?, 'digest')", [list(row) for row in rows])


def test_every_stored_mart_of_the_day_has_to_be_there(run: FakeRun) -> None:
    day, before = run.as_of.isoformat(), "2026-01-05"
    command = f"`matinee build {run.spec.name} --as-of {day}`"
    assert command in (why_not_built(run) or ""), "nothing was ever built"
    for rows in ([("feat_users", "", day)], [("feat_users", "", before), ("feat_items", "", before)]):
        enter(run, *rows)
        assert command in (why_not_built(run) or "")
    enter(run, ("feat_users", "", day), ("feat_items", "", day))
    assert why_not_built(run) is None
