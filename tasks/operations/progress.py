"""Live progress of DAG runs: a table of steps by days on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tasks.operations.airflow_answers import Task
from tasks.runs.steps import BY_NAME, WITH_RESULT

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.runs.run import Run

WIDTH = max(map(len, BY_NAME))
# Of several states of a mapped step the first of these is shown.
RANK = ("failed", "up_for_retry", "running", "queued", "scheduled", "upstream_failed", "skipped", "removed", "success")
SIGNS = {
    "success": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "running": ("▶", "cyan"),
    "up_for_retry": ("↻", "yellow"),
    "upstream_failed": ("⊘", "red"),
    "queued": ("…", "dim"),
    "scheduled": ("…", "dim"),
}
NEVER_RAN = ("upstream_failed", "skipped", "removed")
PRINTED = ("success", "failed", "up_for_retry", "upstream_failed")


@dataclass(frozen=True)
class Cell:
    """What one step does on one day.

    Attributes:
        state: Airflow's word for it, or None before it is scheduled.
        seconds: wall time from the start of its first to the end of its last task, until now if it runs.
        done: tasks that succeeded.
        tasks: tasks it has (more than one only where it is mapped).
    """

    state: str | None = None
    seconds: float | None = None
    done: int = 0
    tasks: int = 0

    @property
    def text(self) -> str:
        """The cell in words, for plain lines."""
        parts = [self.state or "", f"{self.seconds:.1f} s" if self.seconds is not None else ""]
        return " ".join(part for part in [*parts, f"({self.done}/{self.tasks})" if self.tasks > 1 else ""] if part)


def cell(tasks: Sequence[Task], now: datetime) -> Cell:
    """Fold the task instances of one step into a cell."""
    states = [task.state for task in tasks]
    state = next((name for name in RANK if name in states), None)
    # Airflow gives tasks that it skips a start and an end, too.
    ran = [task for task in tasks if task.state not in NEVER_RAN]
    starts = [task.start_date for task in ran if task.start_date]
    ends = [task.end_date or now for task in ran if task.start_date]
    seconds = (max(ends) - min(starts)).total_seconds() if starts else None
    return Cell(state, seconds, states.count("success"), len(tasks))


def cells(tasks: Sequence[Task], now: datetime) -> dict[str, Cell]:
    """Fold a run's task instances into one cell per step."""
    names = {task.task_id for task in tasks}
    return {name: cell([task for task in tasks if task.task_id == name], now) for name in names}


class Progress:
    """Shows the days as they run; use as a context manager and call `show` at every poll."""

    def __init__(self, console: Console, days: Sequence[date]) -> None:
        self._console, self._days = console, days
        self._printed: dict[tuple[date, str], str] = {}
        # Each poll refreshes the table itself; a refreshing thread would only redraw the same.
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(self, *problem: object) -> None:
        if self._live is not None:
            self._live.__exit__(None, None, None)

    def show(self, grid: dict[date, dict[str, Cell]]) -> None:
        """Show the state of all steps; away from a terminal, print those that have changed."""
        if self._live is not None:
            self._live.update(table(self._days, grid), refresh=True)
            return
        for day in self._days:
            for step in BY_NAME:
                current = grid.get(day, {}).get(step)
                if current and current.state in PRINTED and self._printed.get((day, step)) != current.state:
                    self._printed[day, step] = current.state
                    self._console.print(f"{day}  {step:<{WIDTH}} {current.text}", highlight=False, markup=False)


def table(days: Sequence[date], grid: dict[date, dict[str, Cell]]) -> Table:
    """Lay out steps (rows) by days (columns)."""
    grid_table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    grid_table.add_column("step", style="bold")
    for day in days:
        grid_table.add_column(day.isoformat(), justify="right", min_width=12)
    for step in BY_NAME:
        grid_table.add_row(step, *(_cell_text(grid.get(day, {}).get(step, Cell())) for day in days))
    return grid_table


def _cell_text(shown: Cell) -> Text:
    if shown.state is None:
        return Text("·", style="dim")
    sign, style = SIGNS.get(shown.state, (shown.state, "dim"))
    count = f"{shown.done}/{shown.tasks} " if shown.tasks > 1 else ""
    seconds = f"{shown.seconds:.0f} s " if shown.seconds is not None else ""
    return Text(f"{count}{seconds}{sign}", style=style)


def current_step(run: Run) -> str:
    """Name the step that a running day is at: the one behind those that have results."""
    order = [step.name for step in WITH_RESULT]
    finished = [number for number, name in enumerate(order) if _has_result(run.step_dir(name))]
    return order[min(max(finished, default=-1) + 1, len(order) - 1)]


def _has_result(folder: Path) -> bool:
    return (folder / "result.json").exists() or any(folder.glob("*/result.json"))
