"""Tables of a database as a source: the rows of a day, read in batches by the rules of files.

What makes a partition is asked of the database as a digest of the day's rows: PostgreSQL makes it itself, SQLite's rows
are read for it (docs/adr/0035-a-database-is-read-as-of-one-moment.md).
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterator, Sequence
from datetime import date
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tasks.runs.narration import warn
from tasks.sources.database.connection import open_database, plain_errors
from tasks.sources.database.relation import MOST_COUNTED, Relation, relation_of, text_of
from tasks.sources.datasets import Dataset, Table, schema_of
from tasks.sources.declared_source import DeclaredSource
from tasks.sources.rejects import LINE_NUMBER, Judge, Problem, Refuse
from tasks.sources.row_days import EPOCH, days_of
from tasks.sources.spool import Spool
from tasks.sources.typed_values import typed_rows
from tasks.store.files import digest
from tasks.store.partitions import Rows

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

AT_A_TIME = 20_000
"""Rows that are fetched, and held as Python's objects, at once."""


class DatabaseSource(DeclaredSource):
    """Lands tables of a database, a day at a time."""

    def __init__(self, dataset: Dataset, url_env: str) -> None:
        """Take a declaration and the name of the variable with the URL; it is opened when something is read."""
        super().__init__(dataset)
        self._url_env = url_env
        self._relations: dict[str, Relation] = {}
        self._fingerprints: dict[tuple[str, date | None], str] = {}

    def _read_table(self, name: str, day: date, refuse: Refuse) -> Rows:
        table = self.dataset.tables[name]
        if table.static and day != self.dataset.first_day:
            return Spool(schema_of(table))
        rows = Spool.of(schema_of(table), self._typed(name, day, refuse))
        return self._with_sent_before(name, day, rows) if table.looks_back else rows

    def _typed(self, name: str, day: date, refuse: Refuse) -> Iterator[pa.Table]:
        """Read rows a part at a time, so that the memory for it does not depend on their number."""
        table, relation = self.dataset.tables[name], self._relation(name)
        layout = self.dataset.layout(name).without_dialect()
        judge: Judge | None = partial(_of_another_day, table, day) if table.day else None
        start = 1
        for texts in self._batches(relation, relation.rows(day if table.day else None), layout.names):
            rows, refused = typed_rows(texts, start, layout, self._duckdb, judge)
            refuse(refused)
            yield rows.cast(schema_of(table))
            start += texts.num_rows

    def _has(self, name: str, day: date) -> bool:
        # A key that the database itself keeps from coming twice came on no other day.
        return not self._relation(name).unique

    def _key_rows(self, name: str, day: date) -> Rows:
        table, relation = self.dataset.tables[name], self._relation(name)
        layout = self.dataset.layout(name).without_dialect().only(table.key)
        columns = pa.schema([schema_of(table).field(column) for column in table.key])
        batches = self._batches(relation, relation.keys(day), table.key)
        typed = (typed_rows(texts, 1, layout, self._duckdb, None)[0] for texts in batches)
        return Spool.of(columns, (rows.drop_columns([LINE_NUMBER]).cast(columns) for rows in typed))

    def _content(self, name: str, day: date) -> str:
        table = self.dataset.tables[name]
        if table.static and day != self.dataset.first_day:
            return ""
        key = (name, day if table.day else None)
        if key not in self._fingerprints:
            relation = self._relation(name)
            self._fingerprints[key] = self._digest_of(relation, key[1])
        return self._fingerprints[key]

    def _digest_of(self, relation: Relation, day: date | None) -> str:
        if not relation.sqlite:
            with plain_errors(self._url_env, f"{relation.place} cannot be read"):
                return digest([str(value) for value in self._connection.execute(relation.fingerprint(day)).one()])
        # SQLite has no digest; its file is at hand, and reading it twice is cheap.
        hashed = hashlib.sha256()
        for rows in self._fetched(relation, relation.rows(day)):
            hashed.update(repr([tuple(row) for row in rows]).encode())
        return hashed.hexdigest()

    def _batches(self, relation: Relation, query: Select[Any], names: Sequence[str]) -> Iterator[pa.Table]:
        for rows in self._fetched(relation, query):
            columns: Iterator[Sequence[Any]] = zip(*rows, strict=True)
            if relation.sqlite:
                columns = (
                    [text_of(relation.place, name, value) for value in column]
                    for name, column in zip(names, columns, strict=True)
                )
            yield pa.table([pa.array(column, pa.string()) for column in columns], names=list(names))

    def _fetched(self, relation: Relation, query: Select[Any]) -> Iterator[Sequence[Any]]:
        """Fetch rows through a cursor that the server holds."""
        with plain_errors(self._url_env, f"{relation.place} cannot be read"):
            result = self._connection.execution_options(yield_per=AT_A_TIME).execute(query)
            yield from result.partitions()

    def _relation(self, name: str) -> Relation:
        if name not in self._relations:
            with plain_errors(self._url_env, f"{self.dataset.tables[name].from_} cannot be read"):
                found = relation_of(self._connection, self.dataset.tables[name], self.dataset.layout(name))
                lost = self._connection.execute(found.dayless()).scalar_one() if found.declared.day else 0
            if lost:
                shown = f"{MOST_COUNTED} or more" if lost >= MOST_COUNTED else str(lost)
                warn("{table}: rows without a time by which they belong to a day, which no day has: {lost}",
                     table=found.place, lost=shown)  # fmt: skip
            self._relations[name] = found
        return self._relations[name]

    @cached_property
    def _connection(self) -> Connection:
        connection = open_database(self._url_env)
        # The transaction ends with the source, so that the server need not keep old states of rows any longer.
        weakref.finalize(self, connection.close)
        return connection


def _of_another_day(table: Table, day: date, rows: pa.Table) -> dict[int, Problem]:
    """Find rows whose time is of another UTC day than the query took it for: SQLite's texts may have offsets."""
    assert table.day is not None  # noqa: S101 - asked for tables that declare `day`
    others = rows[LINE_NUMBER].filter(days_of(table, rows) != (day - EPOCH).days).to_pylist()
    return dict.fromkeys(others, (table.day.column, f"The row's time is of another UTC day than {day}."))
