"""How a backfill looks on the terminal: what it is going to do, how far it is, and what became of each day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from tasks.features.build import BuildResult
from tasks.features.ledger import BuildPlan
from tasks.operations.backfill import BackfillDay
from tasks.operations.plan import spans

if TYPE_CHECKING:
    from tasks.spec.spec import Spec

LOOKS = {
    "published": ("✓", "green"),
    "refused": ("✗", "yellow"),
    "failed": ("✗", "bold red"),
}
SKIPPED = {"published": "published already", "refused": "refused by a gate already"}


def announcement(spec: Spec, plan: BuildPlan, days: Sequence[BackfillDay], parallel: int) -> RenderableType:
    """Return which days will be built, trained and skipped."""
    first, last = days[0].as_of, days[-1].as_of
    lines: list[RenderableType] = [Text(f"{spec.name}, {first} to {last}: {len(days)} days", style="bold")]
    built = BuildResult.of(plan)
    if plan.empty:
        lines.append(_line("build", "nothing: every table is built"))
    else:
        parts = (
            f"{built.partitions_loaded.days} days of rows",
            f"{built.features_built.days} feature days",
            f"{built.labels_built.days} label cuts",
        )
        lines.append(_line("build", f"{', '.join(parts)}, in one dbt invocation"))
    for state, what in (("train", "train"), ("judge", "judge again")):
        chosen = [day.as_of for day in days if day.state == state]
        if chosen:
            how = f", {parallel} at a time" if parallel > 1 else ""
            why = ", the champion before them is another one by now" if state == "judge" else ""
            lines.append(_line(what, f"{spans(chosen)}{how}{why}"))
    for state, why in SKIPPED.items():
        chosen = [day.as_of for day in days if day.state == state]
        if chosen:
            lines.append(_line("skip", f"{spans(chosen)}: {why}"))
    return Group(*lines)


def _line(name: str, text: str) -> Text:
    return Text.assemble((f"{name:<12}", "bold"), text)


class Display:
    """A bar of all days, and a line for each day that runs; on something that is no terminal, a line for each end."""

    def __init__(self, console: Console, days: Sequence[BackfillDay]) -> None:
        self.console = console
        self.skipped = {day.as_of for day in days if day.done}
        self.told = set(self.skipped)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.bar = Progress(*columns, console=console)
        self.task = self.bar.add_task("days", total=len(days) - len(self.skipped))
        self.live = Live(self.bar, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Display:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def tick(self, busy: Mapping[date, str], ended: Sequence[BackfillDay]) -> None:
        """Show where each running day is, and print those that have ended since."""
        for day in ended:
            if day.as_of not in self.told:
                self.told.add(day.as_of)
                self.console.print(_ended(day), highlight=False, soft_wrap=True)
        self.bar.update(self.task, completed=len(self.told) - len(self.skipped))
        lines = [Text(f"  {day} · {step} …", style="cyan") for day, step in sorted(busy.items())]
        self.live.update(Group(*lines, self.bar))


def _ended(day: BackfillDay) -> str:
    sign, style = LOOKS[day.state]
    seconds = f"{day.seconds:6.1f} s" if day.seconds is not None else "       –"
    return (
        f"  [{style}]{sign}[/{style}] {day.as_of} {seconds}  {day.state} {day.version or ''} {_outcome(day)}".rstrip()
    )


def _outcome(day: BackfillDay) -> str:
    return escape(" ".join(day.detail.split())[:300])


def outcome(days: Sequence[BackfillDay], before: Sequence[BackfillDay], seconds: float) -> RenderableType:
    """Return how many days ended how."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    skipped = {day.as_of for day in before if day.done}
    for state in ("published", "refused", "failed"):
        chosen = [day.as_of for day in days if day.state == state and day.as_of not in skipped]
        if chosen:
            table.add_row(f"[{LOOKS[state][1]}]{state}[/]", spans(chosen))
    if skipped:
        table.add_row("skipped", spans(skipped))
    table.add_row("time", f"{seconds:.0f} s")
    return table
