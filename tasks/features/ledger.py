"""What the warehouse is built from: a ledger that each model keeps in the transaction that writes its rows.

`control.ledger` has a row for every (model, part, day): the digest of everything that the model's rows of that day
were made from. `part` is the landed table for models that hold rows by day of arrival (one digest a partition), and
empty for the others. A last entry says that dbt has ended well and its tests of those rows have passed. A day is built
when every model, and the tests, have the digest that is wanted: killed anywhere, what is left is told from what was
finished.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from tasks.runs.sql_lineage import PipelineSql

if TYPE_CHECKING:
    from tasks.store.partitions import Partition

# Kept in the ledger itself, so that clearing the ledger also clears what vouches for it.
CODE = ("code", "", date(1970, 1, 1))
GRAINS = ("ds", "as_of", "cut")
Entry = tuple[str, str, date]
"""(model, part, day)."""


@dataclass(frozen=True)
class TableCode:
    """What makes a pipeline's tables: its SQL, what the SQL is told, and the libraries that run it.

    Attributes:
        sql: the SQL.
        digest: of all of it; tables of another one are stale.
    """

    sql: PipelineSql
    digest: str

    def models(self, grain: str) -> tuple[str, ...]:
        """The models that hold rows by a grain (`ds`, `as_of`, `cut`), and the name of their tests."""
        return (*self.sql.models(grain), tests_of(grain))


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
    # Only an explanation: two plans that build the same are equal.
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


def plan_build(need: BuildRequest, ledger: dict[Entry, str], code: TableCode) -> BuildPlan:
    """What is needed and not built; of a ledger that was written by other code, everything."""
    if ledger.get(CODE) != code.digest:
        ledger = {}
    lacking: dict[Entry, MissingModels] = {}
    models = {grain: code.models(grain) for grain in GRAINS}

    def stale(grain: str, part: str, day: date, wanted: str) -> bool:
        built = {model: ledger.get((model, part, day)) for model in models[grain]}
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


def tests_of(grain: str) -> str:
    """Name under which the ledger has the tests of all models of a grain."""
    return f"tests of {grain}"
