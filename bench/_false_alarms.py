"""False alarms: what fails on clean days."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console

from bench._faults import Finding, findings
from tasks.checks.verdicts import read_checks
from tasks.errors import MatineeError
from tasks.operations.backfill import build_all
from tasks.runs.failures import call_step
from tasks.runs.run import Run
from tasks.runs.steps import sequence
from tasks.sources.land import land
from tasks.store.files import Home

ATTEMPT = "alarms"
WEEK = 7


class LandedRun(Run):
    """A run whose landed data alone is checked, on any day: its windows need no history."""

    @property
    def landing_start(self) -> date:
        """The first day of the pipeline."""
        return self.spec.start


@dataclass(frozen=True)
class Clean:
    """Clean days of a pipeline: where landed data, where features, and where whole runs are checked."""

    pipeline: str | Path
    landed: tuple[date, ...]
    features: tuple[date, ...]
    whole: tuple[date, ...]
    data: Path | None = None


@dataclass
class Alarms:
    """What failed on clean days, by day, and how many checks were run."""

    clean: Clean
    by_day: dict[date, list[Finding]] = field(default_factory=dict)
    checked: int = 0

    def of(self, severity: str) -> list[tuple[date, Finding]]:
        """The false alarms of a severity."""
        return [(day, one) for day, some in sorted(self.by_day.items()) for one in some if one.severity == severity]

    @property
    def weeks(self) -> float:
        """Number of weeks that the landed days make up."""
        return len(self.clean.landed) / WEEK

    @property
    def per_week(self) -> float:
        """Warnings per week."""
        return len(self.of("warning")) / self.weeks


def days(first: date, last: date, every: int = 1) -> tuple[date, ...]:
    """Every so many days in [first, last]."""
    return tuple(first + timedelta(days=n) for n in range(0, (last - first).days + 1, every))


def alarms(clean: Clean, folder: Path, console: Console) -> Alarms:
    """Run the lines of defense over clean days, each on a state where the days before it have been landed."""
    result = Alarms(clean)
    home = Home(folder)
    everything = sorted({*clean.landed, *clean.features, *clean.whole})
    latest = Run.create(clean.pipeline, everything[-1], ATTEMPT, home=home, data=clean.data)
    land(latest.spec, home, latest.spec.start, everything[-1], data=clean.data)
    for day in clean.landed:
        landed_run = LandedRun(latest.spec, home, day, ATTEMPT, clean.data)
        _take(result, landed_run, ["check_landed"], console)
    runs = [replace(latest, as_of=day) for day in sorted({*clean.features, *clean.whole})]
    if runs:
        build_all(runs)
    for run in runs:
        whole = [name for name in sequence() if name != "check_landed"]
        _take(result, run, whole if run.as_of in clean.whole else ["check_features"], console)
    return result


def _take(result: Alarms, run: Run, chosen: Sequence[str], console: Console) -> None:
    """Run some steps of a day and add their failures to the result."""
    with suppress(MatineeError):
        for name in chosen:
            call_step(run, name, sequence()[name])
    failed = findings(run, chosen)
    for name in chosen:
        result.checked += len(read_checks(run.step_dir(name)) or ())
    if failed:
        result.by_day.setdefault(run.as_of, []).extend(failed)
    for one in failed:
        if one.severity != "info":
            text = f"{run.as_of} {one.severity} {one.name}: {one.observed}, expected {one.expected}"
            console.print(text, highlight=False, markup=False, soft_wrap=True)


def rows(result: Alarms) -> Sequence[tuple[str, ...]]:
    """One row per false alarm, critical ones first."""
    return [
        (str(day), one.severity, one.line, f"{one.table}: {one.measure}", one.observed, one.expected)
        for severity in ("critical", "warning")
        for day, one in result.of(severity)
    ]
