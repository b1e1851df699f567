"""Tables and views of a database, read as text: what `init` looks at instead of files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from tasks.errors import SpecError
from tasks.operations.own_data.found_files import UNTYPED, FoundTable
from tasks.sources.database.connection import SQLITE, open_database, plain_errors, without_secrets
from tasks.sources.database.relation import as_text, is_untyped, kind_of, text_of

MOST_ROWS = 5_000_000
"""Of one table: its last day and its ids are needed, so that a beginning would not do."""
_AT_A_TIME = 20_000
_URL = re.compile(r"(postgresql|sqlite)(\+\w+)?:/")
# Of two letters or more: C:/ is a drive. `Path` makes one slash of two.
_SCHEME = re.compile(r"\s*['\"]?([A-Za-z][A-Za-z0-9+.\-]+):/")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,62}")
_NAME = re.compile(r"[^.\x00]{1,63}")
_NESTED = {"list", "other"}


def is_database(place: str) -> bool:
    """Tell the URL of a database from a path."""
    return _URL.match(place) is not None


def scheme_of(place: str) -> str | None:
    """Name the scheme of a URL, like `mysql`; none of a path."""
    match = _SCHEME.match(place)
    return match and match[1]


def variable_of(name: str, url: str) -> str:
    """Name the environment variable that has a URL; if none has, the pipeline's gets it, in this process alone."""
    named = sorted(key for key, value in os.environ.items() if value == url and _VARIABLE.fullmatch(key))
    if named:
        return named[0]
    variable = f"{name.upper()}_DATABASE"
    os.environ[variable] = url
    return variable


@dataclass(frozen=True)
class Relations:
    """What a database has.

    Attributes:
        tables: those that can be read, by name.
        left_out: a sentence for every table, view or column that cannot.
    """

    tables: list[FoundTable]
    left_out: list[str]


def find_relations(url_env: str) -> Relations:
    """Read the tables and views of a database that its user may see, by name.

    Args:
        url_env: the variable that has the URL.

    Raises:
        SourceError: the database cannot be opened or read.
        SpecError: it has no table that can be read, or one with too many rows to look at.
    """
    found = Relations([], [])
    with plain_errors(url_env, "cannot be looked at"), open_database(url_env) as connection:
        for schema, name, is_view in _places(connection):
            place = f"{schema}.{name}" if schema else name
            try:
                # In PostgreSQL an error ends the transaction, but for a savepoint.
                with connection.begin_nested():
                    table, others = _table(connection, schema, name)
            except sa.exc.DBAPIError as error:
                if not _is_of_one(error, is_view):
                    raise
                found.left_out.append(f"`{place}` cannot be read: {without_secrets(error, url_env)}.")
                continue
            if table is None:
                found.left_out.append(f"`{place}` has fewer than two columns of texts, numbers, days or times.")
            else:
                found.tables.append(table)
            found.left_out.extend(f"`{place}.{column}` has values of a kind that is not read." for column in others)
    if not found.tables:
        said = "".join(f"; {one.removesuffix('.')}" for one in found.left_out)
        raise SpecError(f"{url_env}: found no table; expected tables or views with two columns or more{said}")
    return found


def _is_of_one(error: sa.exc.DBAPIError, is_view: bool) -> bool:
    """Whether an error is about a single table or view: one that is not allowed, or a view of what is not there."""
    return not error.connection_invalidated and (is_view or isinstance(error, sa.exc.ProgrammingError))


def _places(connection: sa.Connection) -> Iterator[tuple[str | None, str, bool]]:
    inspector = sa.inspect(connection)
    sqlite = connection.dialect.name == SQLITE
    schemas = [] if sqlite else [one for one in inspector.get_schema_names() if one != "information_schema"]
    for schema in [None, *(one for one in schemas if one != inspector.default_schema_name)]:
        views = set(inspector.get_view_names(schema))
        for name in sorted(views.union(inspector.get_table_names(schema))):
            # A declaration names a table by its schema and its name, with a dot between them.
            if _NAME.fullmatch(name) and (schema is None or _NAME.fullmatch(schema)):
                yield schema, name, name in views


def _table(connection: sa.Connection, schema: str | None, name: str) -> tuple[FoundTable | None, list[str]]:
    """Read a table; none if it has fewer than two columns that can be read; and name its other columns."""
    table = sa.Table(name, sa.MetaData(), schema=schema, autoload_with=connection, resolve_fks=False)
    place, sqlite = f"{schema}.{name}" if schema else name, connection.dialect.name == SQLITE
    columns = [column for column in table.c if _is_readable(connection, column, sqlite)]
    others = [column.name for column in table.c if column not in columns]
    if len(columns) < 2:
        return None, others
    count = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    if count > MOST_ROWS:
        raise SpecError(
            f"{place}: has {count:,} rows, more than {MOST_ROWS:,}, which is all that is looked at; make a view of a "
            "part of it with all of its days, begin with that, then write the table's name in its place"
        )
    key = [column for column in table.primary_key.columns if column in columns]
    chosen = sa.select(*(as_text(column, sqlite).label(f"c{n}") for n, column in enumerate(columns)))
    # Not an option of the connection, whose savepoints cannot be streamed.
    fetched = connection.execute(chosen.order_by(*(key or columns)).execution_options(yield_per=_AT_A_TIME))
    schema_of_texts = pa.schema([(f"c{n}", pa.string()) for n in range(len(columns))])
    parts = [schema_of_texts.empty_table()]
    for rows in fetched.partitions():
        texts = [
            pa.array([text_of(place, column.name, value) for value in values], pa.string())
            for column, values in zip(columns, zip(*rows, strict=True), strict=True)
        ]
        parts.append(pa.table(texts, schema=schema_of_texts))
    names = tuple(column.name for column in columns)
    kinds = tuple(UNTYPED if is_untyped(column, sqlite) else kind_of(column.type) for column in columns)
    if sqlite:
        # It has no times of its own: texts that look like one are meant as one.
        kinds = tuple("iso" if kind == "text" else kind for kind in kinds)
    whole_key = tuple(column.name for column in key) if len(key) == len(table.primary_key.columns) else ()
    return FoundTable(place, pa.concat_tables(parts), names, {}, kinds=kinds, key=whole_key), others


def _is_readable(connection: sa.Connection, column: sa.Column[Any], sqlite: bool) -> bool:
    if not is_untyped(column, sqlite):
        return kind_of(column.type) not in _NESTED
    # It may hold anything; a single value of bytes could not be read.
    of_bytes = sa.select(sa.literal(1)).select_from(column.table).where(sa.func.typeof(column) == "blob").limit(1)
    return connection.execute(of_bytes).first() is None
