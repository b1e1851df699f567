"""A step's result on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table

from tasks.store.records import Record

if TYPE_CHECKING:
    from tasks.spec.spec import Spec


def render_result(result: Record | Mapping[str, Any]) -> RenderableType:
    """Lay out a step's result as a small table."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    values = result.to_json() if isinstance(result, Record) else result
    for key, value in values.items():
        table.add_row(key.replace("_", " "), _text(value) or "–")
    return table


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return " · ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        shown = [_text(item) for item in value[:8]]
        return ", ".join(shown) + (f", … ({len(value)} in all)" if len(value) > len(shown) else "")
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def why_short(spec: Spec, places: int, k: int) -> str | None:
    """Say why a user's list has fewer items than were asked for; None if it has not."""
    if places >= k:
        return None
    rule = {
        "exclude": ", and those that the user has seen are left out (`candidates: {seen: exclude}`)",
        "only": ", and only those that the user has seen are listed (`candidates: {seen: only}`)",
        "keep": "",
    }[spec.candidates.seen]
    return f"{places} of {k} places: retrieval has no more candidates for this user{rule}"
