"""DuckDB is opened with UTC days and bounded memory, and downloads nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tasks.spec.project import TOOL
from tasks.store.database import connect, memory

INSTANT = "select cast(timestamptz '2026-02-28 23:30:00-05:00' as date)::varchar"


def test_days_are_utc_days_on_every_cursor_and_whatever_the_machine_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    with memory() as connection:
        assert connection.execute(INSTANT).fetchone() == ("2026-03-01",)
        assert connection.cursor().execute(INSTANT).fetchone() == ("2026-03-01",)


def test_the_environment_bounds_threads_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_THREADS", "1")
    monkeypatch.setenv("MATINEE_MEMORY_LIMIT", "512MiB")
    with memory() as connection:
        settings = connection.execute(
            "select current_setting('threads'), current_setting('memory_limit'), "
            "current_setting('autoinstall_known_extensions'), current_setting('autoload_known_extensions')"
        ).fetchone()
    assert settings == (1, "512.0 MiB", False, False)


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    with connect(tmp_path / "a.duckdb") as connection:
        connection.execute("create table numbers as select 1 as n")
    with connect(tmp_path / "a.duckdb", read_only=True) as connection:
        with pytest.raises(duckdb.InvalidInputException, match="read-only"):
            connection.execute("insert into numbers values (2)")
        assert connection.execute("select * from numbers").fetchall() == [(1,)]


def test_a_worker_process_draws_no_progress(tmp_path: Path) -> None:
    """`-c` has no main file, as the workers of a pool have none."""
    code = (
        "from tasks.store.database import connect\n"
        "with connect(':memory:') as c: print(c.execute(\"select current_setting('enable_progress_bar')\").fetchone())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=TOOL)
    assert done.stdout.strip() == "(False,)"
