"""A run that is looked at from the shell: its sample and models are read, its record stays what it was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tasks.runs.run import Run

OWN = "cli"
"""Attempt that holds what a look finds."""


@dataclass(frozen=True)
class InspectedRun(Run):
    """A run whose sample and models are looked at, and whose checks go elsewhere."""

    def step_dir(self, step: str) -> Path:
        """Folder of a step's results; that of a check is the look's own."""
        if step.startswith("check_"):
            return self.home.run_dir(self.spec.name, self.as_of, OWN) / step
        return super().step_dir(step)


def look(pipeline: str, as_of: date, attempt: str | None) -> Run:
    """Return the run to look at: the attempt that is named, or a look at the day's latest that drew a sample."""
    asked = Run.create(pipeline, as_of, attempt or OWN)
    return asked if attempt else InspectedRun(asked.spec, asked.home, as_of, latest_attempt(asked))


def latest_attempt(run: Run) -> str:
    """Return the attempt at the run's day that drew its sample last, and so is the nearest to what is landed."""
    samples = sorted(
        run.home.runs(run.spec.name, run.as_of).glob("*/sample/result.json"),
        key=lambda path: (path.stat().st_mtime_ns, path.parent.parent.name),
    )
    return samples[-1].parent.parent.name if samples else OWN
