"""A dbt project that tests can land tiny partitions for and build, in this process."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import pyarrow as pa
import pyarrow.parquet as parquet
import yaml

from tasks.features.parse_cache import hold_in_every_home
from tasks.runs.sql_lineage import find_sql
from tasks.spec.project import Layers

TRANSFORMS = Path(__file__).parents[2] / "transforms"
Rows = Sequence[Mapping[str, Any]]
ARROW = {
    "varchar": pa.string(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "timestamp": pa.timestamp("us"),
}
LABELS = {"horizon_days": 1, "lateness_days": 2, "grades": [{"grade": 1, "when": "kind = 'play'"}]}


@dataclass
class Warehouse:
    """One pipeline's DuckDB file, its landed days, and the project that builds it."""

    root: Path
    staging: str
    target: Path
    partitions: dict[tuple[str, date], Path] = field(default_factory=dict)
    changed: set[date] = field(default_factory=set)

    @property
    def path(self) -> Path:
        return self.root / "warehouse.duckdb"

    def land(self, table: str, day: date, rows: Rows) -> None:
        """Land the rows of a day; landing it again replaces it."""
        path = self.root / f"{table}-{day}-{len(list(self.root.glob('*.parquet')))}.parquet"
        types = {name: ARROW[kind] for name, kind in raw_columns(self.staging)[table].items()}
        if any("sent_before" in row for row in rows):
            types["sent_before"] = pa.date32()
        columns = [pa.array([row.get(name) for row in rows], kind) for name, kind in types.items()]
        parquet.write_table(pa.table(columns, names=list(types)), path)
        self.partitions[table, day] = path
        self.changed.add(day)

    def build(
        self,
        as_of_days: Iterable[date] = (),
        cuts: Iterable[date] = (),
        *,
        known: Callable[[date], bool] = lambda day: True,
        load: Callable[[date], bool] = lambda day: True,
        command: Sequence[str] = ("build", "--exclude-resource-type", "unit_test"),
        **variables: Any,
    ) -> list[str]:
        """Build the days asked for from the partitions that are `known`, and return what failed."""
        loaded = {day for day in self.changed if known(day) and load(day)}
        with duckdb.connect(self.path) as connection:
            connection.execute("create schema if not exists control")
            connection.execute(
                "create or replace table control.partitions"
                " (table_name varchar, ds date, path varchar, sha256 varchar, changed boolean)"
            )
            rows = [[t, day, str(path), day in loaded] for (t, day), path in self.partitions.items() if known(day)]
            if rows:
                connection.executemany("insert into control.partitions values (?, ?, ?, '', ?)", rows)
            for table, column, days in (("as_of_days", "as_of", as_of_days), ("cuts", "cut", cuts)):
                connection.execute(f"create or replace table control.{table} ({column} date, digest varchar)")
                for day in days:
                    connection.execute(f"insert into control.{table} values (?, '')", [day])
            connection.execute(
                "create table if not exists control.ledger (model varchar, part varchar, day date, digest varchar)"
            )
        failed = self.dbt(*command, **variables)
        if not failed:
            self.changed -= loaded
        return failed

    def dbt(self, *command: str, **variables: Any) -> list[str]:
        """Run dbt in this process and return, of each node that failed, its name and message."""
        from dbt.cli.main import dbtRunner

        hold_in_every_home()
        project = self.target.with_name(f"{self.staging}-project")
        shutil.rmtree(project, ignore_errors=True)
        # Put together as for a run: the yml of a source of files is nowhere else.
        find_sql(Layers((TRANSFORMS,)), {"staging": self.staging}).write(project)
        settings = json.dumps({"staging": self.staging, **LABELS, **variables}, sort_keys=True)
        # dbt parses anew with other variables, so what it has parsed with each is kept.
        target = self.target / hashlib.sha256(settings.encode()).hexdigest()[:12]
        folders = ["--project-dir", project, "--profiles-dir", project, "--target-path", target]
        environment = {"MATINEE_WAREHOUSE_FILE": str(self.path), "MATINEE_TEMP_LIMIT": "1GB"}
        with patch.dict(os.environ, environment):
            outcome = dbtRunner().invoke(
                ["--warn-error", "--quiet", "--log-level-file", "none", *command]
                + [str(part) for part in folders]
                + ["--vars", settings]
            )
        if outcome.exception is not None:
            return [str(outcome.exception)]
        ended_well = {"success", "pass"}
        results = getattr(outcome.result, "results", [])
        return [f"{r.node.name}: {r.message}" for r in results if str(r.status) not in ended_well]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with duckdb.connect(self.path, read_only=True) as connection:
            return connection.execute(query).fetchall()

    def records(self, table: str, *keys: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        """Return a table's rows by their keys."""
        with duckdb.connect(self.path, read_only=True) as connection:
            cursor = connection.execute(f"select * from {table}")
            names = [column[0] for column in cursor.description or ()]
            found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        assert len({tuple(row[key] for key in keys) for row in found}) == len(found)
        return {tuple(row[key] for key in keys): row for row in found}


@cache
def raw_columns(staging: str) -> dict[str, dict[str, str]]:
    """Return the landed tables of a source and their columns' types, as dbt is told of them."""
    ymls = [
        text
        for path, text in find_sql(Layers((TRANSFORMS,)), {"staging": staging}).files.items()
        if path.endswith(".yml")
    ]
    return {
        table["name"]: {column["name"]: column["data_type"] for column in table["columns"]}
        for yml in ymls
        for source in yaml.safe_load(yml).get("sources", ())
        if source["name"] == "landing"
        for table in source["tables"]
    }
