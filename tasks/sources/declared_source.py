"""What sources of a declared data set have in common, whether its tables are files or a database's."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import date, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from weakref import finalize

import pyarrow as pa

from tasks.runs.steps import ROOT
from tasks.sources.datasets import Dataset
from tasks.sources.rejects import REJECTS, Refuse, read_with_rejects
from tasks.sources.sent_before import SENT_BEFORE, RecentKeys, with_sent_before
from tasks.sources.spool import Spool
from tasks.sources.typed_values import reader_digest
from tasks.store.database import connect
from tasks.store.files import digest
from tasks.store.partitions import Rows

_DAY = timedelta(days=1)


class DeclaredSource(ABC):
    """Lands the tables of a data set, a day at a time."""

    def __init__(self, dataset: Dataset) -> None:
        """Take the declaration; nothing is opened before something is asked for."""
        self.dataset = dataset
        self.name = dataset.name
        self.tables = (*dataset.tables, REJECTS)
        self.entities = frozenset(name for name, table in dataset.tables.items() if table.static or table.changes)
        self._keys = {name: RecentKeys(table.key, table.looks_back) for name, table in dataset.tables.items()}

    def partitions(self, table: str, start: date, end: date) -> list[date]:
        """List the days of a table that a reader of [start, end] needs.

        Raises:
            SourceError: the data set does not cover the range.
        """
        return self.dataset.days(table, start, end)

    def inputs(self, table: str, day: date) -> str:
        """Hash what makes a partition: the content of its day, its declaration, and the reader's code.

        Raises:
            SourceError: what should be there is not, or cannot be asked for.
        """
        known = self.dataset
        names = known.tables if table == REJECTS else {table: known.tables[table]}
        made_of: dict[str, Any] = {
            "content": {name: self._content(name, day) for name in names},
            "tables": {name: declared.model_dump(mode="json") for name, declared in names.items()},
            "dialect": known.dialect.model_dump(),
            # The first day takes the static tables and the lines without a day: moving it moves them.
            "first": known.first_day,
            "reader": self._reader,
        }
        if table == REJECTS:
            # A line whose day lies behind the last one is among those that could not be read.
            made_of["last"] = known.last_day
        else:
            made_of["earlier"] = [self._content(table, before) for before in self._days_before(table, day)]
        return digest(made_of)

    def read(self, day: date, tables: Iterable[str]) -> dict[str, Rows]:
        """Read the rows of a day, in the order of the file or of their keys.

        Raises:
            SourceError: something is missing or is not what is declared.
        """
        return read_with_rejects(tables, self.dataset.tables, self._read_table, day)

    @abstractmethod
    def _content(self, name: str, day: date) -> str | None:
        """Digest what the source has of a table's day; None if that is nothing."""

    @abstractmethod
    def _read_table(self, name: str, day: date, refuse: Refuse) -> Rows:
        """Read the rows of a table's day, and hand over those that are refused."""

    @abstractmethod
    def _key_rows(self, name: str, day: date) -> Rows:
        """Read at least the columns of the key of a table's day."""

    @abstractmethod
    def _has(self, name: str, day: date) -> bool:
        """Tell whether a day before can have sent rows of a table."""

    def _days_before(self, name: str, day: date) -> list[date]:
        """List the days whose rows tell whether rows of a day were sent before."""
        days = (day - n * _DAY for n in range(self.dataset.tables[name].looks_back, 0, -1))
        return [one for one in days if one >= self.dataset.first_day and self._has(name, one)]

    def _with_sent_before(self, name: str, day: date, rows: Rows) -> Rows:
        read = partial(self._key_rows, name)
        earlier = {before: self._keys[name].of(before, read) for before in self._days_before(name, day)}
        columns = rows.schema.append(pa.field(SENT_BEFORE, pa.date32()))
        return Spool.of(columns, with_sent_before(rows, self.dataset.tables[name].key, earlier, self._duckdb))

    @cached_property
    def _reader(self) -> str:
        return reader_digest(type(self).__module__.removeprefix(f"{ROOT}."))

    @cached_property
    def _duckdb(self) -> Any:
        connection = connect(":memory:")
        # What does not fit into its memory goes to the machine's temporary folder, not to the working directory.
        folder = tempfile.TemporaryDirectory(prefix="matinee-")
        connection.execute("set temp_directory = ?", [str(Path(folder.name) / "spill")])
        finalize(self, folder.cleanup)
        return connection
