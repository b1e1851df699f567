"""All steps of one run, in order, in one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from rich.console import Console

from tasks.errors import MatineeError
from tasks.runs.failures import call_step

if TYPE_CHECKING:
    from tasks.runs.run import Run

Step = Callable[["Run"], dict[str, Any]]


def _train(run: Run) -> dict[str, Any]:
    from tasks.training.train import populations, train_step

    return {name: train_step(run, name) for name in populations(run)}


def steps() -> dict[str, Step]:
    """Return the steps up to publishing, in order."""
    from tasks.checks.features import check_examples, check_features
    from tasks.checks.landed import check_landed
    from tasks.checks.predictions import check_predictions
    from tasks.evaluation.evaluate import evaluate_step
    from tasks.examples.candidates import retrieve_step
    from tasks.examples.sample import sample_step
    from tasks.features.build import build_step
    from tasks.monitoring.monitor import monitor_step
    from tasks.publishing.gates import gate_step
    from tasks.publishing.publish import publish_step
    from tasks.sources.land import land_step

    return {
        "land": land_step,
        "check_landed": check_landed,
        "build": build_step,
        "check_features": check_features,
        "retrieve": retrieve_step,
        "sample": sample_step,
        "check_examples": check_examples,
        "train": _train,
        "monitor": monitor_step,
        "evaluate": evaluate_step,
        "check_predictions": check_predictions,
        "gate": gate_step,
        "publish": publish_step,
    }


@contextmanager
def _timed(console: Console, name: str, seconds: dict[str, float]) -> Iterator[None]:
    begin = time.monotonic()
    with console.status(f"{name} …"):
        yield
    seconds[name] = time.monotonic() - begin
    console.print(f"  [green]✓[/green] {name:<17} {seconds[name]:6.1f} s", highlight=False)


def report_quietly(run: Run) -> None:
    """Write the report of a run that something went wrong with: what its step said matters more than the report."""
    from tasks.alerts.alerts import send_alerts
    from tasks.reports.run_report import report_step

    with suppress(MatineeError):
        call_step(run, "report", report_step)
    send_alerts(run, finished=True)


def run_all(run: Run, console: Console) -> None:
    """Run every step; the report is written also when one fails.

    Raises:
        MatineeError: of the step that failed; the steps behind it do not run.
    """
    from tasks.alerts.alerts import send_alerts
    from tasks.operations.summary import run_summary
    from tasks.reports.run_report import report_step

    seconds: dict[str, float] = {}
    console.print(f"[bold]{run.spec.name}[/bold] as of {run.as_of} · {run.dir}", highlight=False)
    try:
        for name, step in steps().items():
            with _timed(console, name, seconds):
                call_step(run, name, step)
    except Exception:
        console.print(f"  [red]✗[/red] {next(n for n in steps() if n not in seconds)}", highlight=False)
        report_quietly(run)
        raise
    try:
        with _timed(console, "report", seconds):
            call_step(run, "report", report_step)
    finally:
        send_alerts(run, finished=True)
    console.print(run_summary(run, seconds), soft_wrap=True)
