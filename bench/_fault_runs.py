"""Runs with faults: state that is prepared once, a cheap copy of it per fault, and the real steps on the copy."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console

from bench._faults import LINES, Fault, Outcome, Verdict, findings, short, verdict
from tasks.errors import MatineeError
from tasks.operations.run_all import run_all
from tasks.runs.failures import call_step
from tasks.runs.run import Run
from tasks.runs.steps import sequence
from tasks.store.files import Home

ATTEMPT = "faults"
DAY = timedelta(days=1)
NEVER_CHANGED = {".json", ".npz", ".parquet", ".txt"}
"""Files that are written once or replaced by a rename, so that copies may share them."""
CHECKING = ("check_landed", "check_features", "check_examples", "monitor", "check_predictions")


@dataclass(frozen=True)
class Stage:
    """A pipeline on a day, and its state without a fault.

    Attributes:
        before: the run of the day before was published; nothing of the day is there.
        clean: every step up to the gate has run for the day; nothing is published.
    """

    pipeline: str | Path
    day: date
    before: Path
    clean: Path
    data: Path | None = None

    def run(self, home: Path, data: Path | None = None) -> Run:
        """The day's run in a home."""
        return Run.create(self.pipeline, self.day, ATTEMPT, home=Home(home), data=data or self.data)


def copied(source: Path, target: Path) -> None:
    """Copy a home; files that are never written in place become hard links."""
    shutil.copytree(source, target, copy_function=_link_or_copy, symlinks=True)


def _link_or_copy(source: str, target: str) -> None:
    if Path(source).suffix in NEVER_CHANGED and "/dbt/" not in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def prepare(folder: Path, pipeline: str | Path, day: date, console: Console, data: Path | None = None) -> Stage:
    """Make the state of a stage, unless a call with the same code left it in the folder."""
    probe = Run.create(pipeline, day, ATTEMPT, home=Home(folder), data=data)
    root = folder / f"{probe.spec.name}-{day}-{probe.made_by.digest[:8]}"
    stage = Stage(pipeline, day, root / "before", root / "clean", data)
    if not stage.before.exists():
        making = root / "making"
        shutil.rmtree(making, ignore_errors=True)
        run_all(replace(stage.run(making), as_of=day - DAY), console)
        making.rename(stage.before)
    if not stage.clean.exists():
        making = root / "making"
        shutil.rmtree(making, ignore_errors=True)
        copied(stage.before, making)
        for name in steps_up_to("gate"):
            call_step(stage.run(making), name, sequence()[name])
        making.rename(stage.clean)
    return stage


def steps_up_to(last: str) -> list[str]:
    """Names of the steps of a run, up to and including one of them."""
    names = list(sequence())
    return names[: names.index(last) + 1]


def clean_keys(stage: Stage, folder: Path) -> set[tuple[str, str]]:
    """Check the clean day by the current suites, publish it, and return what fails nevertheless.

    Raises:
        MatineeError: something critical fails on the clean day, so faults cannot be told from it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    copied(stage.clean, folder)
    run, known = stage.run(folder), sequence()
    for name in [*(step for step in CHECKING if step in known), "gate", "publish"]:
        call_step(run, name, known[name])
    keys = {one.key for one in findings(run, list(known))}
    shutil.rmtree(folder)
    return keys


def attempt(stage: Stage, fault: Fault, folder: Path, through: str = "publish") -> Outcome:
    """Inject a fault into a copy of the state and run the steps after it, until one fails.

    A fault that does not have to stop anything is followed up to the last line that is meant to catch it; none further
    than `through`.
    """
    shutil.rmtree(folder, ignore_errors=True)
    copied(stage.clean if fault.after else stage.before, folder / "home")
    data = _linked(stage.data, folder / "data") if stage.data else None
    run, names = stage.run(folder / "home", data), list(sequence())
    begin, stopped, crashed = time.monotonic(), None, None
    todo = names[names.index(fault.after) + 1 :] if fault.after else names
    if fault.after:
        _remove_results(run, todo)
    last = through if fault.must_stop else min(through, last_step(fault, names), key=names.index)
    todo = [name for name in todo if names.index(name) <= names.index(last)]
    fault.inject(run)
    for name in todo:
        try:
            call_step(run, name, sequence()[name])
        except MatineeError:
            stopped = name
            break
        except Exception as error:
            stopped, crashed = name, f"{type(error).__name__}: {error}"
            break
    seconds = time.monotonic() - begin
    versions = run.home.registry(run.spec.name) / "versions"
    published = any(versions.glob(f"{run.as_of}.*"))
    outcome = Outcome(tuple(findings(run, names)), stopped, published, crashed, seconds)
    shutil.rmtree(folder)
    return outcome


def last_step(fault: Fault, names: Sequence[str]) -> str:
    """The last step that could catch a fault that does not have to stop publishing."""
    step = LINES.get(fault.lines[-1], "gate")
    return step if step in names else "gate"


def _linked(data: Path, folder: Path) -> Path:
    folder.mkdir(parents=True)
    for path in data.iterdir():
        (folder / path.name).symlink_to(path.resolve())
    return folder


def _remove_results(run: Run, names: Sequence[str]) -> None:
    for name in names:
        shutil.rmtree(run.step_dir(name), ignore_errors=True)


def try_all(
    stage: Stage, faults: Sequence[Fault], folder: Path, console: Console, through: str = "publish"
) -> list[Verdict]:
    """Try faults one after another, and print each verdict as it comes."""
    clean, verdicts = clean_keys(stage, folder / "attempt"), []
    for number, fault in enumerate(faults, 1):
        last = verdict(fault, attempt(stage, fault, folder / "attempt", through), clean)
        verdicts.append(last)
        line = f"{number:>3}/{len(faults)} {last.label:<12} {fault.name}: {short(last.by.name) if last.by else '–'}"
        console.print(f"{line} ({last.outcome.seconds:.1f} s)", highlight=False, markup=False, soft_wrap=True)
    return verdicts
