"""Two processes that write to Airflow's SQLite database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, text

from dags.sqlite_options import CONNECT


def opened(path: Path, **given: object) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={**CONNECT, "check_same_thread": False, **given})
    event.listen(engine, "connect", lambda connection, _: connection.execute("pragma journal_mode = wal"))
    return engine


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[tuple[Engine, Engine]]:
    """Two programs' ways to one database, in the mode in which Airflow opens it."""
    engines = opened(tmp_path / "airflow.db"), opened(tmp_path / "airflow.db")
    with engines[0].begin() as connection:
        connection.execute(text("create table runs (day int)"))
    yield engines
    for engine in engines:
        engine.dispose()


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        found: int = connection.execute(text("select count(*) from runs")).scalar_one()
    return found


def insert(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("insert into runs values (2)"))


def test_a_savepoint_that_reads_and_then_writes_keeps_another_writer_waiting(engines: tuple[Engine, Engine]) -> None:
    backfill, scheduler = engines
    other = threading.Thread(target=insert, args=[scheduler])
    with backfill.begin() as connection:
        with connection.begin_nested():
            assert connection.execute(text("select count(*) from runs")).scalar_one() == 0
            other.start()
            other.join(0.2)
            connection.execute(text("insert into runs values (1)"))
        assert other.is_alive()
    other.join()
    assert count(scheduler) == 2


def test_what_savepoints_wrote_is_seen_when_all_of_it_is_there(engines: tuple[Engine, Engine]) -> None:
    backfill, scheduler = engines
    with backfill.begin() as connection:
        for day in (1, 2):
            with connection.begin_nested():
                connection.execute(text("insert into runs values (:day)"), {"day": day})
            assert count(scheduler) == 0
    assert count(scheduler) == 2
