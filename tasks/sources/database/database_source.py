"""Tables of a database as a source: the rows of a day, read in batches by the rules of files.

What makes a partition is asked of the database as a digest of the day's rows: PostgreSQL makes it itself, SQLite's rows
are read for it (docs/adr/0035-a-database-is-read-as-of-one-moment.md).
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from tasks.errors import SourceError
from tasks.runs.narration import warn
from tasks.sources.database.connection import open_database, plain_errors
from tasks.sources.database.relation import MOST_COUNTED, Relation, relation_of
from tasks.sources.datasets import Dataset, Table, schema_of
from tasks.sources.rejects import LINE_NUMBER, REJECTS, Judge, Problem, Reject, read_with_rejects
from tasks.sources.row_days import EPOCH, days_of
from tasks.sources.sent_before import RecentKeys, with_sent_before
from tasks.sources.typed_values import reader_digest, typed_rows
from tasks.store.database import connect
from tasks.store.files import digest

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import Connection, Select

READING = (
    "database.database_source", "database.relation", "database.connection", "layout", "rejects", "row_days",
    "typed_values", "sent_before",
)  # fmt: skip
"""Modules that decide what is read: a landed day is a function of them."""
AT_A_TIME = 20_000
"""Rows that are fetched, and held as Python's objects, at once."""


class DatabaseSource:
    """Lands tables of a database, a day at a time."""

    def __init__(self, dataset: Dataset, url_env: str) -> None:
        """Take a declaration and the name of the variable with the URL; it is opened when something is read."""
        self.dataset = dataset
        self.name = dataset.name
        self.tables = (*dataset.tables, REJECTS)
        self.entities = frozenset(name for name, table in dataset.tables.items() if table.static or table.changes)
        self._url_env = url_env
        self._relations: dict[str, Relation] = {}
        self._fingerprints: dict[tuple[str, date | None], str] = {}
        self._keys = {name: RecentKeys(table.key, table.looks_back) for name, table in dataset.tables.items()}

    def partitions(self, table: str, start: date, end: date) -> list[date]:
        """List the days of a table that a reader of [start, end] needs.

        Raises:
            SourceError: the data set does not cover the range.
        """
        return self.dataset.days(table, start, end)

    def inputs(self, table: str, day: date) -> str:
        """Hash what makes a partition: the rows of its day, its declaration, and the reader's code.

        Raises:
            SourceError: the database does not answer, or has no such table.
        """
        known = self.dataset
        names = known.tables if table == REJECTS else {table: known.tables[table]}
        made_of: dict[str, Any] = {
            "rows": {name: self._fingerprint(name, day) for name in names},
            "tables": {name: declared.model_dump(mode="json") for name, declared in names.items()},
            "first": known.first_day,
            "reader": self._reader,
        }
        if table != REJECTS:
            made_of["earlier"] = [self._fingerprint(table, before) for before in self._days_before(table, day)]
        return digest(made_of)

    @cached_property
    def _reader(self) -> str:
        return reader_digest(READING)

    def read(self, day: date, tables: Iterable[str]) -> dict[str, pa.Table]:
        """Read the rows of a day as one Arrow table each, in the order of their keys.

        Raises:
            SourceError: the database does not answer, or has not what is declared.
        """
        return read_with_rejects(tables, self.dataset.tables, self._read_table, day)

    def _read_table(self, name: str, day: date) -> tuple[pa.Table, list[Reject]]:
        import pyarrow as pa

        table = self.dataset.tables[name]
        if table.static and day != self.dataset.first_day:
            return schema_of(table).empty_table(), []
        relation = self._relation(name)
        layout = self.dataset.layout(name).without_dialect()
        judge: Judge | None = partial(_of_another_day, table, day) if table.day else None
        parts, rejects, start = [schema_of(table).empty_table()], list[Reject](), 1
        for texts in self._batches(relation, relation.rows(day if table.day else None), layout.names):
            rows, refused = typed_rows(texts, start, layout, self._duckdb, judge)
            parts.append(rows.cast(schema_of(table)))
            rejects += refused
            start += texts.num_rows
        rows = pa.concat_tables(parts)
        if table.looks_back:
            read = partial(self._key_rows, name)
            earlier = {before: self._keys[name].of(before, read) for before in self._days_before(name, day)}
            rows = with_sent_before(rows, table.key, earlier, self._duckdb)
        return rows, rejects

    def _days_before(self, name: str, day: date) -> list[date]:
        """List the days whose rows tell whether rows of a day came before."""
        table = self.dataset.tables[name]
        # A key that the database itself keeps from coming twice came on no other day.
        if not table.looks_back or self._relation(name).unique:
            return []
        days = (day - timedelta(days=n) for n in range(table.looks_back, 0, -1))
        return [one for one in days if one >= self.dataset.first_day]

    def _key_rows(self, name: str, day: date) -> pa.Table:
        import pyarrow as pa

        table, relation = self.dataset.tables[name], self._relation(name)
        layout = self.dataset.layout(name).without_dialect().only(table.key)
        parts = [pa.schema([schema_of(table).field(column) for column in table.key]).empty_table()]
        for texts in self._batches(relation, relation.keys(day), table.key):
            rows, _ = typed_rows(texts, 1, layout, self._duckdb, None)
            parts.append(rows.drop_columns([LINE_NUMBER]).cast(parts[0].schema))
        return pa.concat_tables(parts)

    def _fingerprint(self, name: str, day: date) -> str:
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
        import pyarrow as pa

        for rows in self._fetched(relation, query):
            columns = zip(*rows, strict=True)
            yield pa.table({
                name: pa.array([_text(relation, name, value) for value in column] if relation.sqlite else column,
                               pa.string())
                for name, column in zip(names, columns, strict=True)
            })  # fmt: skip

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
                warn("{table}: {lost} rows have no time by which they belong to a day; no day has them",
                     table=found.place, lost=shown)  # fmt: skip
            self._relations[name] = found
        return self._relations[name]

    @cached_property
    def _connection(self) -> Connection:
        connection = open_database(self._url_env)
        # The transaction ends with the source, so that the server need not keep old states of rows any longer.
        weakref.finalize(self, connection.close)
        return connection

    @cached_property
    def _duckdb(self) -> Any:
        return connect(":memory:")


def _of_another_day(table: Table, day: date, rows: pa.Table) -> dict[int, Problem]:
    """Find rows whose time is of another UTC day than the query took it for: SQLite's texts may have offsets."""
    assert table.day is not None  # noqa: S101 - asked for tables that declare `day`
    others = rows[LINE_NUMBER].filter(days_of(table, rows) != (day - EPOCH).days).to_pylist()
    return dict.fromkeys(others, (table.day.column, f"The row's time is of another UTC day than {day}."))


def _text(relation: Relation, name: str, value: Any) -> str | None:
    """Write a value of SQLite, which has any type in any column, as text."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return repr(value)
    raise SourceError(
        f"{relation.place}: column {name}: found bytes, expected text or numbers; read a view without them"
    )
