"""What the warehouse is built from: a ledger that each model keeps in the transaction that writes its rows.

`control.ledger` has a row for every (model, part, day): the digest of everything that the model's rows of that day
were made from. `part` is the landed table for models that hold rows by day of arrival (one digest a partition), and
empty for the others. A last entry says that dbt has ended well and its tests of those rows have passed. A day is built
when every model, and the tests, have the digest that is wanted: killed anywhere, what is left is told from what was
finished.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.spec.project import TRANSFORMS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tasks.store.partitions import Partition

CODE = ("code", "", date(1970, 1, 1))
Entry = tuple[str, str, date]
"""(model, part, day)."""


@dataclass(frozen=True)
class BuildRequest:
    """What is to be built: the landing to build it from, and the digest behind each feature day and label cut."""

    partitions: tuple[Partition, ...]
    features: dict[date, str] = field(default_factory=dict)
    labels: dict[date, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BuildPlan:
    """What a build has to do: of what is needed, that which is not built; digests by day.

    `lacking` has, for each partition, feature day and label cut of it, the models that lack it, and those of them that
    were built from something else.
    """

    partitions: tuple[Partition, ...]
    changed: frozenset[tuple[str, date]]
    features: dict[date, str]
    labels: dict[date, str]
    lacking: dict[Entry, MissingModels] = field(compare=False)

    @property
    def empty(self) -> bool:
        """Whether everything is built already."""
        return not (self.changed or self.features or self.labels)


@dataclass(frozen=True)
class MissingModels:
    """Of how many models: those that lack what is wanted of a day, and those of them that have something else."""

    missing: tuple[str, ...]
    other: tuple[str, ...]
    models: int


@cache
def _grains(folder: Path) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {"ds": [], "as_of": [], "cut": []}
    for path in sorted((folder / "models").rglob("*.sql")):
        if match := re.search(r"meta=\{'grain': '(\w+)'\}", path.read_text(encoding="utf-8")):
            found[match[1]].append(path.stem)
    return {grain: tuple(models) for grain, models in found.items()}


def models(grain: str) -> tuple[str, ...]:
    """Return the models that hold rows by a grain (`ds`, `as_of`, `cut`), and the name of their tests."""
    return (*_grains(TRANSFORMS)[grain], _tested(grain))


def read_ledger(connection: DuckDBPyConnection) -> dict[Entry, str]:
    """Return all entries; none of a warehouse that has no ledger yet."""
    found = connection.execute(
        "select count(*) from information_schema.tables where table_schema = 'control' and table_name = 'ledger'"
    ).fetchone()
    if found == (0,):
        return {}
    rows = connection.execute("select model, part, day, digest from control.ledger").fetchall()
    return {(model, part, day): value for model, part, day, value in rows}


def plan_build(need: BuildRequest, ledger: dict[Entry, str], code: str) -> BuildPlan:
    """Return what is needed and not built; of a ledger that was written by other code, everything."""
    if ledger.get(CODE) != code:
        ledger = {}
    lacking: dict[Entry, MissingModels] = {}

    def stale(grain: str, part: str, day: date, wanted: str) -> bool:
        built = {model: ledger.get((model, part, day)) for model in models(grain)}
        missing = tuple(model for model, value in built.items() if value != wanted)
        if missing:
            other = tuple(model for model in missing if built[model] is not None)
            lacking[grain, part, day] = MissingModels(missing, other, len(built))
        return bool(missing)

    return BuildPlan(
        need.partitions,
        frozenset((p.table, p.ds) for p in need.partitions if stale("ds", p.table, p.ds, p.sha256)),
        {day: value for day, value in need.features.items() if stale("as_of", "", day, value)},
        {day: value for day, value in need.labels.items() if stale("cut", "", day, value)},
        lacking,
    )


def prepare(connection: DuckDBPyConnection, code: str) -> dict[Entry, str]:
    """Make the ledger if there is none, and return it.

    When it was written by other code, it and everything that was built is forgotten.
    """
    connection.execute("create schema if not exists control")
    connection.execute(
        "create table if not exists control.ledger (model varchar, part varchar, day date, digest varchar)"
    )
    if read_ledger(connection).get(CODE) != code:
        _drop_everything(connection)
        connection.execute("insert into control.ledger values (?, ?, ?, ?)", [*CODE, code])
    return read_ledger(connection)


def _drop_everything(connection: DuckDBPyConnection) -> None:
    connection.execute("delete from control.ledger")  # first: killed below, nothing counts as built
    tables = connection.execute(
        "select table_schema, table_name, table_type from information_schema.tables where table_schema <> 'control'"
    ).fetchall()
    for schema, name, kind in tables:
        what = "view" if kind == "VIEW" else "table"
        connection.execute(f'drop {what} if exists "{schema}"."{name}" cascade')


def write_control_tables(connection: DuckDBPyConnection, plan: BuildPlan) -> None:
    """Tell dbt, in the schema `control`, what to build and what the models have to enter in the ledger."""
    connection.execute("begin")
    connection.execute(
        "create or replace table control.partitions"
        " (table_name varchar, ds date, path varchar, sha256 varchar, changed boolean)"
    )
    connection.executemany(
        "insert into control.partitions values (?, ?, ?, ?, ?)",
        [(p.table, p.ds, str(p.path), p.sha256, (p.table, p.ds) in plan.changed) for p in plan.partitions],
    )
    for table, column, days in (("as_of_days", "as_of", plan.features), ("cuts", "cut", plan.labels)):
        connection.execute(f"create or replace table control.{table} ({column} date, digest varchar)")
        if days:
            connection.executemany(f"insert into control.{table} values (?, ?)", sorted(days.items()))
    connection.execute("commit")


def record_tested(connection: DuckDBPyConnection) -> None:
    """Enter that all that was just built, as `control` tells, has passed its tests."""
    changed = "select ds from control.partitions where changed"
    told = {
        "ds": (changed, f"select table_name, ds, sha256 from control.partitions where ds in ({changed})"),
        "as_of": ("select as_of from control.as_of_days", "select '', as_of, digest from control.as_of_days"),
        "cut": ("select cut from control.cuts", "select '', cut, digest from control.cuts"),
    }
    connection.execute("begin")
    for grain, (days, entries) in told.items():
        connection.execute(f"delete from control.ledger where model = ? and day in ({days})", [_tested(grain)])
        connection.execute(f"insert into control.ledger select ?, * from ({entries})", [_tested(grain)])
    connection.execute("commit")


def _tested(grain: str) -> str:
    return f"tests of {grain}"
