"""A run that is inspected from the shell: its sample and models are read, its own results stay what they were."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tasks.runs.run import Run
from tasks.store.files import Home

INSPECTION = "cli"
"""Attempt that keeps the checks of an inspection."""


@dataclass(frozen=True)
class InspectedRun(Run):
    """A run whose sample and models are read, and whose checks are written elsewhere."""

    def step_dir(self, step: str) -> Path:
        """Locate the folder of a step's results; that of a check belongs to the inspection."""
        # Or a look at a published run would replace the verdicts it was published by.
        if step.startswith("check_"):
            return self.home.run_dir(self.spec.name, self.as_of, INSPECTION) / step
        return super().step_dir(step)


def run_to_inspect(pipeline: str, as_of: date, attempt: str | None, home: Home) -> Run:
    """Choose a run: the attempt that is named, or else an inspection of the day's latest that drew a sample."""
    run = Run.create(pipeline, as_of, attempt or INSPECTION, home=home)
    return run if attempt else InspectedRun(run.spec, run.home, as_of, latest_attempt(run))


def latest_attempt(run: Run) -> str:
    """Name the attempt at the run's day that drew its sample last: the nearest to what is landed now."""
    # `result.json` is there only once the sample is whole. Clocks of file systems are coarse: names break ties.
    samples = sorted(
        run.home.runs(run.spec.name, run.as_of).glob("*/sample/result.json"),
        key=lambda path: (path.stat().st_mtime_ns, path.parent.parent.name),
    )
    return samples[-1].parent.parent.name if samples else INSPECTION
