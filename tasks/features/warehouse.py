"""The pipeline's DuckDB file: one writer, or readers, behind a file lock.

Airflow's pool `warehouse` keeps its tasks off the file; the lock does the same for people at the command line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import BuildError, first_line
from tasks.store import files
from tasks.store.database import connect
from tasks.store.files import Home

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LOCK_SECONDS = 1800


@contextmanager
def locked(home: Home, pipeline: str) -> Iterator[Path]:
    """Hold the warehouse's file lock and yield the file's path.

    Raises:
        BuildError: somebody else held it for half an hour.
    """
    path = home.warehouse(pipeline)
    busy = (
        f"another process has used the warehouse for {LOCK_SECONDS // 60} minutes; "
        "wait for it or end it, then run this step again"
    )
    with files.locked(path.with_suffix(".duckdb.lock"), busy, seconds=LOCK_SECONDS, error=BuildError):
        yield path


@contextmanager
def reader(home: Home, pipeline: str) -> Iterator[DuckDBPyConnection]:
    """Yield a read-only connection to the built warehouse.

    Raises:
        BuildError: it has not been built, or it is damaged.
    """
    with locked(home, pipeline) as path:
        if not path.exists():
            raise BuildError(f"{path}: not built yet; run `matinee build {pipeline} --as-of …` first")
        with _connect(path, read_only=True) as connection:
            yield connection


@contextmanager
def reader_if_built(home: Home, pipeline: str) -> Iterator[DuckDBPyConnection | None]:
    """Yield a read-only connection to the warehouse, or None where there is none yet.

    Raises:
        BuildError: it is damaged.
    """
    if not home.warehouse(pipeline).exists():
        yield None
        return
    with reader(home, pipeline) as connection:
        yield connection


@contextmanager
def writer(home: Home, pipeline: str) -> Iterator[DuckDBPyConnection]:
    """Yield a read-write connection; the caller holds the lock (`locked`).

    Raises:
        BuildError: the file is damaged.
    """
    with _connect(home.warehouse(pipeline), read_only=False) as connection:
        yield connection


def _connect(path: Path, *, read_only: bool) -> DuckDBPyConnection:
    import duckdb

    try:
        return connect(path, read_only=read_only)
    except duckdb.Error as error:
        raise BuildError(
            f"{path}: cannot be opened ({first_line(error)}); if no other program has it open, it is damaged: "
            "delete it, it is only a cache, and run the step `build` again"
        ) from None
