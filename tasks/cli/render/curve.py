"""How a learning curve looks on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tasks.training.learning_curve import LearningCurve


def render_curve(curve: LearningCurve) -> RenderableType:
    """Lay out the points, and what they say."""
    table = Table(box=None, pad_edge=False)
    for name in ("share", "groups", curve.metric, "95 % interval"):
        table.add_column(name, justify="right")
    for point in curve.points:
        span = f"{point.low:.4f} to {point.high:.4f}"
        table.add_row(f"{point.share:.0%}", f"{point.groups:,}", f"{point.value:.4f}", span)
    lists = f"{curve.groups:,} lists of the {curve.window} window"
    where = f"on {lists}, {curve.seeds} seeds, population {curve.population}"
    return Group(table, Text(where), "", Text(curve.summary()))
