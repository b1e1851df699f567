"""A table of a database as its data set declares it: checked against what the database has, and its queries.

All statements are SQLAlchemy's constructs: names of a declaration are quoted by it, and values are parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import NoSuchTableError

from tasks.errors import SourceError
from tasks.sources.database.connection import SQLITE
from tasks.sources.datasets import Table
from tasks.sources.layout import Layout
from tasks.sources.row_days import EPOCH, PER_DAY
from tasks.sources.typed_values import TAKES
from tasks.spec.yaml_lines import nearest

_KINDS: tuple[tuple[type[Any], str], ...] = (
    (sa.Boolean, "boolean"), (sa.Integer, "whole"), (sa.Float, "float"), (sa.Numeric, "decimal"), (sa.Date, "day"),
    (sa.JSON, "list"), (sa.String, "text"), (sa.Uuid, "text"),
)  # fmt: skip
_DAY_KINDS = {"timestamp": {"time", "zoned", "day"}, "date": {"day"}}
_SEEDS = (1, 2)
MOST_COUNTED = 1000
_Query = TypeVar("_Query", bound=sa.Select[*tuple[Any, ...]])


@dataclass(frozen=True)
class Relation:
    """A table or view.

    Attributes:
        place: its name as declared.
        table: it, with its columns as the database has them.
        declared: what the data set says of it.
        columns: the declared columns, in their order.
        sqlite: whether the database is SQLite, where a column holds values of any type.
        unique: whether the database itself sees to it that a key comes once.
    """

    place: str
    table: sa.Table
    declared: Table
    columns: tuple[sa.Column[Any], ...]
    sqlite: bool
    unique: bool

    def rows(self, day: date | None) -> sa.Select[Any]:
        """Select the declared columns of a day, or of all, as text, in a fixed order."""
        texts = [as_text(column, self.sqlite) for column in self.columns]
        # By all columns where a key may come twice; rows that are equal in all of them have no order to tell. A key
        # that comes once tells the order by itself, and its index may have it.
        rest = [] if self.unique else map(self._collated, texts)
        order = [*(self._ordered(column) for column in self._key), *rest]
        chosen = sa.select(*(text.label(f"c{place}") for place, text in enumerate(texts)))
        return self._of(chosen, day).order_by(*order)

    def keys(self, day: date) -> sa.Select[Any]:
        """Select the declared columns of the key of a day as text."""
        texts = [as_text(column, self.sqlite) for column in self._key]
        return self._of(sa.select(*(text.label(f"c{place}") for place, text in enumerate(texts))), day)

    def fingerprint(self, day: date | None) -> sa.Select[*tuple[Any, ...]]:
        """Select a digest of the rows of a day, or of all, that no order of the rows changes."""
        # `updated` says for all other columns whether they changed.
        columns = self.columns if self.declared.updated is None else (*self._key, self.table.c[self.declared.updated])
        text = sa.cast(sa.func.row(*columns), sa.Text)
        sums = [sa.func.sum(sa.cast(sa.func.hashtextextended(text, seed), sa.Numeric)) for seed in _SEEDS]
        return self._of(sa.select(sa.func.count(), *sums).select_from(self.table), day)

    def dayless(self) -> sa.Select[Any]:
        """Count the rows that no day's query finds, up to `MOST_COUNTED`."""
        column = self._day
        none: sa.ColumnElement[bool] = column.is_(None)
        if self.sqlite and self._in_texts:
            none = sa.or_(sa.func.typeof(column) != "text", sa.func.date(column).is_(None))
        elif self.sqlite:
            none = sa.func.typeof(column) != "integer"
        found = sa.select(sa.literal(1)).select_from(self.table).where(none).limit(MOST_COUNTED).subquery()
        return sa.select(sa.func.count()).select_from(found)

    @property
    def _key(self) -> tuple[sa.Column[Any], ...]:
        by_name = {c.name: column for c, column in zip(self.declared.columns, self.columns, strict=True)}
        return tuple(by_name[name] for name in self.declared.key)

    @property
    def _day(self) -> sa.Column[Any]:
        assert self.declared.day is not None  # noqa: S101 - asked for tables that have days
        name = self.declared.day.column
        return next(c for c, d in zip(self.columns, self.declared.columns, strict=True) if d.name == name)

    @property
    def _in_texts(self) -> bool:
        assert self.declared.day is not None  # noqa: S101 - see `_day`
        return self.declared.day.unit in _DAY_KINDS

    def _of(self, query: _Query, day: date | None) -> _Query:
        if day is None:
            return query
        first, end = (self._bound(one) for one in (day, day + timedelta(days=1)))
        column: Any = self._day
        if self.sqlite:
            # As it is stored: SQLAlchemy would write the bounds of a time with a fraction, which sorts behind midnight.
            column = sa.type_coerce(column, sa.String() if self._in_texts else sa.Integer())
        return query.where(column >= first, column < end)

    def _bound(self, day: date) -> Any:
        assert self.declared.day is not None  # noqa: S101 - see `_day`
        if not self._in_texts:
            return (day - EPOCH).days * PER_DAY[self.declared.day.unit]
        if self.sqlite:
            # A day is the beginning of its times' texts, whether a blank or a T comes after it.
            return day.isoformat()
        kind = kind_of(self._day.type)
        return day if kind == "day" else datetime.combine(day, time(), tzinfo=UTC if kind == "zoned" else None)

    def _ordered(self, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
        return self._collated(column) if kind_of(column.type) == "text" and not self.sqlite else column

    def _collated(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        # By bytes: other collations change with the server's version, and take different texts for equal.
        return sa.collate(column, "BINARY" if self.sqlite else "C")


def relation_of(connection: sa.Connection, declared: Table, layout: Layout) -> Relation:
    """Find a declared table in the database.

    Raises:
        SourceError: it, or a column, is not there or has another type.
    """
    place = str(declared.from_)
    schema, _, name = place.rpartition(".")
    try:
        table = sa.Table(name, sa.MetaData(), schema=schema or None, autoload_with=connection, resolve_fks=False)
    except NoSuchTableError:
        raise SourceError(f"{place}: no such table or view in the database, or none that its user may see") from None
    names = [*layout.header, *([declared.updated] if declared.updated else [])]
    if missing := [name for name in names if name not in table.c]:
        raise SourceError(
            f"{place}: has no column {missing[0]}, which transforms/datasets/ declares"
            f"{nearest(missing[0], list(table.c.keys()))}"
        )
    columns = tuple(table.c[name] for name in layout.header)
    for column, kind in zip(columns, layout.types, strict=True):
        # SQLite's columns need no type, nor have those of a view's expressions one: their values are judged as text.
        if kind_of(column.type) not in TAKES[kind] and not is_untyped(column, connection.dialect.name == SQLITE):
            raise SourceError(
                f"{place}: column {column.name}: found {column.type}, expected {kind} as is declared; correct the "
                "declaration in transforms/datasets/, or read a view that casts it"
            )
    sqlite = connection.dialect.name == SQLITE
    by_name = dict(zip((column.name for column in declared.columns), columns, strict=True))
    if declared.day is not None and not sqlite:
        _check_day(place, by_name[declared.day.column], _DAY_KINDS.get(declared.day.unit, {"whole"}))
    primary = set(table.primary_key.columns)
    return Relation(
        place, table, declared, columns, sqlite, bool(primary) and primary <= {by_name[name] for name in declared.key}
    )


def _check_day(place: str, column: sa.Column[Any], kinds: set[str]) -> None:
    # Compared as texts or as numbers, times of another form would silently be in no day.
    if kind_of(column.type) not in kinds:
        raise SourceError(
            f"{place}: column {column.name}: found {column.type}, expected a time, a day, or a whole number for an "
            "epoch, as `day` declares; read a view that casts it"
        )


def kind_of(kind: sa.types.TypeEngine[Any]) -> str:
    """Name the kind of a database's type, as `TAKES` has them."""
    if isinstance(kind, sa.DateTime):
        return "zoned" if kind.timezone else "time"
    return next((name for base, name in _KINDS if isinstance(kind, base)), "other")


def is_untyped(column: sa.Column[Any], sqlite: bool) -> bool:
    """Whether a column of SQLite is declared without a type; of other databases it has a type that is not known."""
    return sqlite and isinstance(column.type, sa.types.NullType)


def as_text(column: sa.Column[Any], sqlite: bool) -> sa.ColumnElement[Any]:
    """Select a column's values as text; of SQLite as they are, for `text_of`."""
    if sqlite:
        # SQLite's cast of a number to text keeps 15 digits; Python writes all of them.
        return sa.type_coerce(column, sa.types.NullType())
    wide = sa.cast(column, sa.Double) if kind_of(column.type) == "float" else column
    return sa.cast(wide, sa.Text)


def text_of(place: str, name: str, value: Any) -> str | None:
    """Write a value of SQLite, which has any type in any column, as text.

    Raises:
        SourceError: it is bytes.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return repr(value)
    raise SourceError(f"{place}: column {name}: found bytes, expected text or numbers; read a view without them")
