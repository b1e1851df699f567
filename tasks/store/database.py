"""Opening DuckDB: with UTC days, bounded memory, and nothing downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.store.settings import memory_limit, threads

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


SETTINGS = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}


def limits() -> dict[str, str]:
    """DuckDB's threads and memory, from the environment: several processes share the machine.

    Raises:
        MatineeError: the environment names no number, or no size.
    """
    return {
        "threads": str(threads()),
        "memory_limit": f"{memory_limit()}B",
    }


def connect(path: Path | str, *, read_only: bool = False) -> DuckDBPyConnection:
    """Open a database whose days are UTC days, whatever the machine's time zone is."""
    import duckdb

    connection = duckdb.connect(path, read_only=read_only, config={**SETTINGS, **limits()})
    # Global, because a cursor of the connection is a session of its own, with the machine's time zone.
    connection.execute("set global TimeZone = 'UTC'")
    # DuckDB takes a process without a main file, like a pool's worker, for a shell, and draws on its output.
    connection.execute("set enable_progress_bar = false")
    return connection


@contextmanager
def memory() -> Iterator[DuckDBPyConnection]:
    """Yield an in-memory database for reading parquet."""
    with connect(":memory:") as connection:
        yield connection
