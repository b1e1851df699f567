"""A backfill on the terminal: what it will do, how far it is, and what became of each day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from tasks.errors import count_of
from tasks.features.build import BuildResult
from tasks.features.ledger import BuildPlan
from tasks.operations.backfill import BackfillDay, DayState
from tasks.operations.plan import format_days

if TYPE_CHECKING:
    from tasks.spec.spec import Spec

SIGNS = {
    DayState.PUBLISHED: ("✓", "green"),
    DayState.GATE_FAILED: ("✗", "yellow"),
    DayState.FAILED: ("✗", "bold red"),
}
TO_DO = {
    DayState.TRAIN: ("train", ""),
    DayState.EVALUATE: ("evaluate", ": the champion they were compared with is no longer the one before them"),
}
SKIPPED = {DayState.PUBLISHED: "already published", DayState.GATE_FAILED: "has already failed a gate"}


def render_survey(spec: Spec, plan: BuildPlan, days: Sequence[BackfillDay], parallel: int) -> RenderableType:
    """List which days will be built, trained and skipped."""
    first, last = days[0].as_of, days[-1].as_of
    lines: list[RenderableType] = [Text(f"{spec.name}, {first} to {last}: {count_of(len(days), 'day')}", style="bold")]
    lines.append(_line("build", _to_build(plan)))
    for state, (label, reason) in TO_DO.items():
        if chosen := [day.as_of for day in days if day.state is state]:
            at_once = f", {parallel} at a time" if parallel > 1 else ""
            lines.append(_line(label, f"{format_days(chosen)}{at_once}{reason}"))
    for state, reason in SKIPPED.items():
        if chosen := [day.as_of for day in days if day.state is state]:
            lines.append(_line("skip", f"{format_days(chosen)}: {reason}"))
    return Group(*lines)


def _to_build(plan: BuildPlan) -> str:
    if plan.empty:
        return "nothing: all tables are up to date"
    built = BuildResult.of(plan)
    parts = (
        f"{built.partitions_loaded.days} days of rows",
        f"{built.features_built.days} feature days",
        f"{built.labels_built.days} label cuts",
    )
    return f"{', '.join(parts)}, in one dbt invocation"


def _line(name: str, text: str) -> Text:
    return Text.assemble((f"{name:<12}", "bold"), text)


class BackfillProgress:
    """A bar of all days, and a line for each day that runs; away from a terminal, a line for each day that ends."""

    def __init__(self, console: Console, days: Sequence[BackfillDay]) -> None:
        self.console = console
        self.skipped = {day.as_of for day in days if day.done}
        self.printed = set(self.skipped)  # the survey has listed these; they get no line of their own
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.bar = Progress(*columns, console=console)
        self.task = self.bar.add_task("days", total=len(days) - len(self.skipped))
        # transient: the bar vanishes at the end, and leaves the lines of the days that were printed above it.
        self.live = Live(self.bar, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> BackfillProgress:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def tick(self, busy: Mapping[date, str], ended: Sequence[BackfillDay]) -> None:
        """Show the step that each running day is at, and print the days that have ended since the last call."""
        for day in ended:
            if day.as_of not in self.printed:
                self.printed.add(day.as_of)
                self.console.print(_ended(day), highlight=False, soft_wrap=True)
        self.bar.update(self.task, completed=len(self.printed) - len(self.skipped))
        lines = [Text(f"  {day} · {step} …", style="cyan") for day, step in sorted(busy.items())]
        self.live.update(Group(*lines, self.bar))


def _ended(day: BackfillDay) -> Text:
    sign, style = SIGNS[day.state]
    seconds = f"{day.seconds:6.1f} s" if day.seconds is not None else "       –"
    detail = " ".join(day.detail.split())[:300]
    words = f" {day.as_of} {seconds}  {day.state} {day.version or ''} {detail}".rstrip()
    return Text.assemble("  ", (sign, style), words)


def render_outcome(days: Sequence[BackfillDay], before: Sequence[BackfillDay], seconds: float) -> RenderableType:
    """List which days ended how."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    skipped = {day.as_of for day in before if day.done}
    for state, (_, style) in SIGNS.items():
        chosen = [day.as_of for day in days if day.state is state and day.as_of not in skipped]
        if chosen:
            table.add_row(Text(state, style=style), format_days(chosen))
    if skipped:
        table.add_row("skipped", format_days(skipped))
    table.add_row("time", f"{seconds:.0f} s")
    return table
