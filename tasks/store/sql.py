"""Names and values as SQL text."""

from __future__ import annotations

from datetime import date


def identifier(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | date) -> str:
    """Quote a text or a day for SQL."""
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    return "'" + value.replace("'", "''") + "'"
