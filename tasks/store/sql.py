"""SQL text: names and values quoted, and statements from files."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def identifier(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | date) -> str:
    """Quote a text or a day for SQL."""
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    return "'" + value.replace("'", "''") + "'"


def literals(values: Iterable[str | date]) -> str:
    """Quote values as the inside of `in (…)`; of no values, one that nothing is equal to."""
    return ", ".join(literal(value) for value in values) or "null"


def render(folder: Path, name: str, **values: Any) -> str:
    """Fill in the statement `<folder>/<name>.sql`, a jinja template.

    Names and values that come from data get into it quoted, by `identifier`, `literal` and `literals`.

    Args:
        folder: where a room keeps its SQL; `make check` lints it.
        name: file name without `.sql`.
        values: what the template speaks of; one that it lacks is an error, never an empty text.
    """
    return _templates(folder).get_template(f"{name}.sql").render(**values)


@cache
def _templates(folder: Path) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # here, because DAG files are parsed without it

    # Nothing is escaped: the result is SQL, not HTML.
    environment = Environment(undefined=StrictUndefined, loader=FileSystemLoader(folder), autoescape=False)  # noqa: S701
    environment.globals |= {"identifier": identifier, "literal": literal, "literals": literals}
    return environment
