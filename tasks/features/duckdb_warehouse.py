"""The warehouse as one DuckDB file a pipeline: one writer, or readers, behind a file lock.

Airflow's pool `warehouse` keeps its tasks off the file; the lock does the same for people at the command line.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import BuildError, first_line
from tasks.features import control_tables
from tasks.features.ledger import BuildPlan, BuildRequest, Entry, TableCode, plan_build
from tasks.features.warehouse import LOCK_SECONDS, Tables, TablesInUse, Values, Warehouse
from tasks.store.atomic import atomic_file, locked
from tasks.store.database import connect, limits
from tasks.store.settings import DISK, MEMORY, THREADS, disk_limit
from tasks.store.sql import identifier, literal

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

# What DuckDB says when a block that it reads has not the checksum that it was written with.
CORRUPT = "Corrupt database file"
DAMAGED = "if no other program has it open, it is damaged: delete it, it is only a cache"


class DuckDBTables(Tables):
    """Tables behind a DuckDB connection."""

    TABLE_MACROS = True

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection

    def rows(self, query: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """Run a query with a small result."""
        return self._connection.execute(query, values or None).fetchall()

    def arrow(self, query: str, values: Values = ()) -> pa.Table:
        """Run a query whose result fits into memory."""
        # Not `execute`: its result would be copied once more on the way to Arrow.
        return self._connection.sql(query, params=values or None).to_arrow_table()

    def write(self, query: str, path: Path) -> int:
        """Copy the result of a query to parquet; fixed row groups, so that equal rows are equal files."""
        with atomic_file(path) as temporary:
            written = self._connection.execute(
                f"copy ({query}) to {literal(str(temporary))} (format parquet, compression zstd, row_group_size 122880)"
            ).fetchone()
        return int(written[0]) if written else 0

    def add(self, name: str, source: pa.Table | Sequence[Path]) -> None:
        """Register Arrow rows, or make a view of parquet files."""
        if isinstance(source, Sequence):
            paths = ", ".join(literal(str(path)) for path in source)
            query = f"select * from read_parquet([{paths}])"
            # Temporary, here and below, because the file is open read-only.
            self._connection.execute(f"create or replace temp view {identifier(name)} as {query}")
        else:
            self._connection.register(name, source)

    def create(self, name: str, query: str, values: Values = ()) -> None:
        """Make a temporary table."""
        self._connection.execute(f"create or replace temp table {identifier(name)} as {query}", values or None)

    def ledger(self) -> dict[Entry, str]:
        """Read `control.ledger`."""
        return control_tables.read_ledger(self._connection)

    def stored(self) -> list[str]:
        """Every table of the file, those of `control` too."""
        names = self.rows("select schema_name, table_name from duckdb_tables() where not temporary order by all")
        return [f"{identifier(schema)}.{identifier(table)}" for schema, table in names]

    def schemas_of(self, relation: str) -> list[str]:
        """Schemas of the file that hold a relation of that name."""
        query = "select table_schema from information_schema.tables where table_name = ? order by all"
        return [schema for (schema,) in self.rows(query, [relation])]


class DuckDBWarehouse(Warehouse):
    """One file; DuckDB lets either one process write it, or several read it."""

    DBT_TARGET = "duckdb"

    @property
    def path(self) -> Path:
        """The file."""
        return self.home.warehouse(self.pipeline)

    @property
    def location(self) -> str:
        """The file's path."""
        return str(self.path)

    def exists(self) -> bool:
        """Whether there is a file."""
        return self.path.exists()

    @contextmanager
    def locked(self, seconds: int = LOCK_SECONDS) -> Iterator[None]:
        """Hold the lock file beside the database."""
        waited = f"{seconds // 60} minutes" if seconds >= 60 else f"{seconds} seconds"
        busy = f"another process has used the warehouse for {waited}; wait for it or end it, then run this step again"
        with locked(
            Path(f"{self.path}.lock"), busy, seconds=seconds, error=TablesInUse, what=f"the tables of {self.pipeline}"
        ):
            yield

    @contextmanager
    def open(self, seconds: int = LOCK_SECONDS) -> Iterator[Tables]:
        """Open the file read-only, under the lock: a writer would be refused, and would fail its build."""
        with self.locked(seconds):
            if not self.path.exists():
                raise BuildError(f"{self.path}: not built yet; run `matinee build {self.pipeline} --as-of …` first")
            with self._damage_named(), self.connect(read_only=True) as connection:
                yield DuckDBTables(connection)

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        """Name the file where DuckDB only gives the number of a block.

        Raises:
            BuildError: a block is damaged.
        """
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            damage = self.damage(str(error))
            if damage is None:
                raise
            raise BuildError(damage) from None

    def first_row(self, query: str) -> dict[str, Any]:
        """Read it from the file, which dbt has closed."""
        import duckdb

        # It explains an error, and must not become another one.
        with suppress(BuildError, duckdb.Error), self.connect(read_only=True) as connection:
            rows = connection.sql(f"select * from ({query}) order by all limit 1").to_arrow_table().to_pylist()
            return dict(rows[0]) if rows else {}
        return {}

    def damage(self, said: str) -> str | None:
        """Recognize a block whose checksum is another than the one it was written with."""
        if CORRUPT not in said:
            return None
        block = next(line.strip() for line in said.splitlines() if CORRUPT in line)
        return f"{self.path}: damaged ({block}): delete it, it is only a cache, and run the step `build` again"

    def connect(self, *, read_only: bool) -> DuckDBPyConnection:
        """Open the file; the caller holds the lock.

        Raises:
            BuildError: it is damaged, or there is no room to write it.
        """
        import duckdb

        try:
            return connect(self.path, read_only=read_only)
        except duckdb.Error as error:
            remedy = "free some space" if os.strerror(errno.ENOSPC) in str(error) else DAMAGED
            raise BuildError(
                f"{self.path}: cannot be opened ({first_line(error)}); {remedy}, and run the step `build` again"
            ) from None

    def prepare(self, need: BuildRequest, code: TableCode) -> BuildPlan:
        """Plan from the ledger, and fill the control tables; the file is closed again, for dbt opens it itself."""
        is_new = not self.exists()
        try:
            with self._damage_named(), self.connect(read_only=False) as connection:
                plan = plan_build(need, control_tables.prepare(connection, code.digest), code)
                # With nothing to build, dbt is called for an empty landing only, whose tables are new.
                if is_new or not plan.empty:
                    control_tables.write_control_tables(connection, plan)
        except Exception:
            # On a full disk, say: an empty file would look like tables that were built once.
            for path in (self.path, Path(f"{self.path}.wal")) if is_new else ():
                path.unlink(missing_ok=True)
            raise
        return plan

    def record_tested(self) -> None:
        """Add the tests' entries to the ledger."""
        with self._damage_named(), self.connect(read_only=False) as connection:
            control_tables.record_tested(connection)

    def dbt_environment(self) -> dict[str, str]:
        """The file, and the limits that every DuckDB of this process has."""
        return {
            "MATINEE_WAREHOUSE_FILE": str(self.path),
            THREADS: limits()["threads"],
            MEMORY: limits()["memory_limit"],
            DISK: f"{disk_limit()}B",
        }
