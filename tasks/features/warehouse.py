"""The seam between the SQL features and what is made from them: a small interface that every SQL engine implements.

Rooms above `features` get rows through `Warehouse` and `Tables` alone, as Arrow or parquet; none of them opens an
engine's database. Their queries are written in DuckDB's dialect; an engine that speaks another one translates them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tasks.errors import BuildError
from tasks.features.ledger import BuildPlan, BuildRequest, Entry, TableCode
from tasks.store.files import Home
from tasks.store.sql import identifier

if TYPE_CHECKING:
    import pyarrow as pa

Values = Sequence[Any] | Mapping[str, Any]
"""Values of a query's parameters: `?` by place, or `$name` by name."""


class Tables(ABC):
    """The relations of a built warehouse in one state: nobody builds while they are open.

    Scratch relations made with `add` and `create` are seen by queries until the tables are closed, and by nobody else.
    """

    TABLE_MACROS: ClassVar[bool]
    """Whether `<mart>_at('points')` gives an on-demand mart's rows of some points alone; if not, its view is read."""

    @abstractmethod
    def rows(self, query: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """Run a query with a small result."""

    @abstractmethod
    def arrow(self, query: str, values: Values = ()) -> pa.Table:
        """Run a query whose result fits into memory."""

    @abstractmethod
    def write(self, query: str, path: Path) -> int:
        """Let the engine write the result of a query to one parquet file, atomically; return the number of rows."""

    @abstractmethod
    def add(self, name: str, source: pa.Table | Sequence[Path]) -> None:
        """Add a scratch relation: Arrow rows, or parquet files."""

    @abstractmethod
    def create(self, name: str, query: str, values: Values = ()) -> None:
        """Keep the result of a query as a scratch relation, in the engine."""

    @abstractmethod
    def ledger(self) -> dict[Entry, str]:
        """What the tables were built from, by (model, part, day)."""

    @abstractmethod
    def schemas_of(self, relation: str) -> list[str]:
        """Schemas that hold a relation of that name, in order."""

    @abstractmethod
    def stored(self) -> list[str]:
        """Every relation that holds rows of its own, in order, as a query names it."""

    def read(self, relation: str, columns: Sequence[str] = (), where: str = "true", values: Values = ()) -> pa.Table:
        """Read some columns (all if none is named) of the rows of a relation that satisfy a condition."""
        chosen = ", ".join(identifier(name) for name in columns) or "*"
        return self.arrow(f"select {chosen} from {identifier(relation)} where {where}", values)


class TablesInUse(BuildError):  # noqa: N818 - says what happened
    """Another process builds or reads the tables, and did so for as long as this one could wait."""


LOCK_SECONDS = 1800
"""How long a step waits for another one that builds."""


class Warehouse(ABC):
    """The tables of one pipeline: a cache of its landing that dbt builds, and that can be deleted at any time."""

    DBT_TARGET: ClassVar[str]
    """Output of `transforms/profiles.yml` that dbt builds with."""

    def __init__(self, home: Home, pipeline: str) -> None:
        self.home, self.pipeline = home, pipeline

    @property
    @abstractmethod
    def location(self) -> str:
        """Where the tables lie, for messages."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether a build has begun here before."""

    @abstractmethod
    def locked(self, seconds: int = LOCK_SECONDS) -> AbstractContextManager[None]:
        """Keep everybody else from building.

        Raises:
            BuildError: somebody else has kept the lock for so many seconds.
        """

    @abstractmethod
    def open(self, seconds: int = LOCK_SECONDS) -> AbstractContextManager[Tables]:
        """Open the tables for reading.

        Args:
            seconds: how long to wait for somebody who is building.

        Raises:
            BuildError: they have not been built, are damaged, or somebody is building all the time.
        """

    @abstractmethod
    def prepare(self, need: BuildRequest, code: TableCode) -> BuildPlan:
        """Find out what is not built, and write into the schema `control` what dbt is to build; holds the lock.

        Args:
            need: the landing, and the days to build from it.
            code: what builds; tables of other code are dropped.

        Raises:
            BuildError: the tables are damaged.
        """

    @abstractmethod
    def record_tested(self) -> None:
        """Record that what `prepare` asked for has been built, and has passed its tests; holds the lock."""

    @abstractmethod
    def dbt_environment(self) -> dict[str, str]:
        """Environment variables by which `transforms/profiles.yml` finds the tables."""

    def first_row(self, query: str) -> dict[str, Any]:
        """The first row of a query, for a message; none where there is none. The caller holds the lock."""
        return {}

    def damage(self, said: str) -> str | None:
        """Say where the tables are damaged and what to do, if that is what the engine has said; None if it is not."""
        return None

    def ledger(self) -> dict[Entry, str]:
        """What the tables were built from; empty where there are none yet.

        Raises:
            BuildError: they are damaged.
        """
        if not self.exists():
            return {}
        with self.open() as tables:
            return tables.ledger()
