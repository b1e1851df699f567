"""What people see at the end of a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table


def render(result: Mapping[str, Any]) -> RenderableType:
    """Return a step's result as a small table."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in result.items():
        table.add_row(key.replace("_", " "), _plain(value) or "–")
    return table


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return " · ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        shown = [_plain(item) for item in value[:8]]
        return ", ".join(shown) + (f", … ({len(value)} in all)" if len(value) > len(shown) else "")
    return f"{value:.4f}" if isinstance(value, float) else str(value)
