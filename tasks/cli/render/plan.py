"""A plan on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tasks.errors import visible
from tasks.operations.plan import RunPlan, format_days

if TYPE_CHECKING:
    from tasks.spec.spec import Spec


def render_plan(spec: Spec, plan: RunPlan, outdated: Sequence[date]) -> RenderableType:
    """Lay out what a run would make and why, the version it would name, and verdicts to be renewed.

    Args:
        spec: the pipeline.
        plan: what the run would do.
        outdated: days whose model was compared with another champion than today's timeline has before them.
    """
    title = Text.assemble((f"{spec.name} as of {plan.as_of}", "bold"))
    parts: list[RenderableType] = [title, _table(plan) if plan.reasons else "All tables are up to date."]
    if plan.version is None:
        parts.append("version    has no name until its days are landed")
    elif plan.published:
        parts.append(f"version    {plan.version}, already published: a run makes the same again, byte for byte")
    else:
        parts.append(f"version    {plan.version}, not published")
    for fault in plan.faults:
        parts.append(Text.assemble(("fault", "red"), f"      {visible(fault)}"))
    if outdated:
        parts.append(
            f"evaluate   {format_days(outdated)}: the champion they were compared with is no longer the one before "
            f"them; `matinee backfill {spec.name} --from {outdated[0]} --to {outdated[-1]}` evaluates them again"
        )
    return Group(*parts)


def _table(plan: RunPlan) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("make", style="bold")
    table.add_column("days", no_wrap=True)
    table.add_column("because", overflow="fold")
    for reason in plan.reasons:
        table.add_row(reason.what, format_days(reason.days), reason.why)
    return table
