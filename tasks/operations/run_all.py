"""All steps of one run, in order, in one process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from tasks.errors import MatineeError
from tasks.operations.progress import WIDTH
from tasks.runs.failures import call_step
from tasks.runs.steps import sequence

if TYPE_CHECKING:
    from tasks.runs.run import Run


@contextmanager
def _timed(console: Console, name: str, seconds: dict[str, float]) -> Iterator[None]:
    begin = time.monotonic()
    with console.status(f"{name} …"):
        yield
    seconds[name] = time.monotonic() - begin
    console.print(Text.assemble("  ", ("✓", "green"), f" {name:<{WIDTH}} {seconds[name]:6.1f} s"))


def report_quietly(run: Run) -> None:
    """Write the report of a failed run; a problem with the report must not hide the step's own error."""
    from tasks.alerts.alerts import send_alerts
    from tasks.reports.run_report import report_step

    with suppress(MatineeError):
        call_step(run, "report", report_step)
    send_alerts(run, finished=True)


def run_all(run: Run, console: Console, *, resume: bool = False) -> None:
    """Run every step; the report is written also when one fails.

    Args:
        run: the run.
        console: shows which steps are done.
        resume: whether steps that take long keep what an earlier call in the same attempt made from the same.

    Raises:
        MatineeError: of the step that failed; the steps behind it do not run.
    """
    from tasks.alerts.alerts import send_alerts
    from tasks.operations.resume import resuming
    from tasks.operations.summary import run_summary
    from tasks.reports.run_report import report_step

    seconds: dict[str, float] = {}
    console.print(Text.assemble((run.spec.name, "bold"), f" as of {run.as_of} · {run.dir}"))
    steps = sequence()
    try:
        for name, step in steps.items():
            with _timed(console, name, seconds):
                call_step(run, name, resuming(run, name, step, again=not resume))
    except Exception:
        # The step that failed is the first without a time: `_timed` enters it only when the step has succeeded.
        failed = next(name for name in steps if name not in seconds)
        console.print(Text.assemble("  ", ("✗", "red"), f" {failed}"))
        report_quietly(run)
        raise
    try:  # alerts are sent also when the report fails: that is when somebody has to know
        with _timed(console, "report", seconds):
            call_step(run, "report", report_step)
    finally:
        send_alerts(run, finished=True)
    console.print(run_summary(run, seconds), soft_wrap=True)
