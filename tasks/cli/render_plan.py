"""How a plan looks on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tasks.operations.plan import RunPlan, spans

if TYPE_CHECKING:
    from tasks.spec.spec import Spec


def render_plan(spec: Spec, found: RunPlan, outdated: Sequence[date]) -> RenderableType:
    """Return what a run would make and why, the version it would name, and verdicts that are to be renewed.

    Args:
        spec: the pipeline.
        found: what the run would do.
        outdated: days that were compared with another champion than they would be now.
    """
    title = Text.assemble((f"{spec.name} as of {found.as_of}", "bold"))
    parts: list[RenderableType] = [title, _table(found) if found.reasons else "Every table is built."]
    if found.version is None:
        parts.append("version    named after the landing, once it is landed")
    elif found.published:
        parts.append(f"version    {found.version}, published already: a run makes the same again, byte for byte")
    else:
        parts.append(f"version    {found.version}, not published")
    if outdated:
        parts.append(
            f"judge      {spans(outdated)}: judged against another champion than the one before by now; `matinee "
            f"backfill {spec.name} --from {outdated[0]} --to {outdated[-1]}` judges again"
        )
    return Group(*parts)


def _table(found: RunPlan) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("make", style="bold")
    table.add_column("days", no_wrap=True)
    table.add_column("because", overflow="fold")
    for reason in found.reasons:
        table.add_row(reason.what, spans(reason.days), reason.why)
    return table
