"""What became of a run: the state of each step, and the verdict with its reasons and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.checks.verdicts import Check, read_checks
from tasks.errors import MatineeError, first_line
from tasks.publishing.results import GATE_STEP, PUBLISH_STEP, GateResult, PublishResult, verdicts_if_valid
from tasks.runs.failures import last_words, mark_of
from tasks.runs.steps import BESIDE, BY_NAME, CHECKS, WITH_RESULT
from tasks.store.run_files import optional

if TYPE_CHECKING:
    from tasks.runs.run import Run

CHECK_STEPS = frozenset(step.name for step in CHECKS)
MOST_NAMED = 3
"""Failed checks that the verdict names."""


class State(StrEnum):
    """State of a step; the words for it stand in `report.html.j2`."""

    DONE = "done"
    FAILED = "failed"
    OPEN = "open"
    MISSING = "missing"


class StepFile(NamedTuple):
    """A file that a step left: its path below the run's folder, and its size in bytes."""

    path: str
    bytes: int


@dataclass(frozen=True)
class StepState:
    """A step of the run, its error message if it failed, and its files."""

    name: str
    state: State
    error: str | None
    files: tuple[StepFile, ...]


@dataclass(frozen=True)
class Verdict:
    """How the run ended.

    Attributes:
        text: one sentence.
        good: whether it published.
        reasons: why not.
        error: the error message of the step that failed.
        next: what to do, and the runbook.
        step: the one that failed.
    """

    text: str
    good: bool
    reasons: tuple[str, ...] = ()
    error: str | None = None
    next: tuple[str, ...] = ()
    step: str | None = None

    @property
    def lines(self) -> list[str]:
        """The verdict for where there is little room: what broke and how in the first line, and what to do."""
        return self.lines_after(self.text)

    def lines_after(self, words: str) -> list[str]:
        """Reasons and what to do after a sentence of the caller's, which takes the place of the verdict's own."""
        first, *others = self.reasons or ((first_line(MatineeError(self.error)),) if self.error else ("",))
        return [f"{words} {first}".rstrip(), *others, *(f"Next: {text}" for text in self.next)]


def step_states(run: Run, *, finished: bool = True) -> tuple[StepState, ...]:
    """Find the state of each step from what it left.

    The first step without a result is the one that failed, or, in a run that is not over and where it left no error,
    the one that is open; those behind it did not run.

    Args:
        run: the run.
        finished: whether the run is over.
    """
    states, stopped, marked = [], False, mark_of(run)
    for name in (step.name for step in WITH_RESULT):
        folder = run.step_dir(name)
        error = last_words(run, name)
        state = _state(run, name, error, stopped=stopped, finished=finished or marked is not None)
        # Nothing waits for a step that runs beside the others, so its failure stops nothing.
        stopped = stopped or (state is not State.DONE and name not in BESIDE)
        said = error or (marked if state is State.FAILED else None)
        states.append(StepState(name, state, said, _files(run, folder)))
    return tuple(states)


def _state(run: Run, name: str, error: str | None, *, stopped: bool, finished: bool) -> State:
    if error is None and _has_result(run.step_dir(name), name):
        return State.DONE
    if stopped or name in BESIDE:
        return State.MISSING
    if error is None and name == WITH_RESULT[0].name and not run.step_dir(name).exists():
        return State.MISSING  # nothing has run at all
    # In a run that is over it failed without a word: its process was killed, or ran out of time.
    if error is None and not finished and not _has_failed_verdict(run, name):
        return State.OPEN
    return State.FAILED


def _has_result(folder: Path, name: str) -> bool:
    if BY_NAME[name].mapped_over:
        return any(folder.glob("*/result.json"))
    if name == GATE_STEP:
        # The gate leaves its result whatever the verdict: pages and commands show it.
        gate = GateResult.read_if_valid(folder / "result.json")
        return gate is not None and gate.passed
    return optional(folder / "result.json") is not None


def _has_failed_verdict(run: Run, name: str) -> bool:
    """Whether a step has come to a verdict, which is why it has no result."""
    if name == GATE_STEP:
        return (run.step_dir(name) / "result.json").exists()
    return bool(_failed_critically(run, name))


def _files(run: Run, folder: Path) -> tuple[StepFile, ...]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    return tuple(StepFile(path.relative_to(run.dir).as_posix(), path.stat().st_size) for path in paths)


def why_missing(steps: Sequence[StepState]) -> str:
    """Explain in a sentence why parts of the page are missing."""
    stopped = _first(steps, State.FAILED)
    if stopped:
        return f"Missing: the step {stopped.name} failed, so the steps after it did not run."
    first = next((step for step in steps if step.state is not State.DONE and step.name not in BESIDE), None)
    return f"Missing: the step {first.name} has not run." if first else "Missing: this run did not produce it."


def _first(steps: Sequence[StepState], state: State) -> StepState | None:
    return next((step for step in steps if step.state is state), None)


def verdict_on(run: Run, steps: Sequence[StepState]) -> Verdict:
    """Say how the run ended, why, and what to do next."""
    published = PublishResult.read_if_valid(run.step_dir(PUBLISH_STEP) / "result.json")
    failed = _first(steps, State.FAILED)  # never one beside the others, which may fail in a run that publishes
    if failed is not None:
        verdict = _failure_of(run, failed)
        # A day that is run again in the same attempt has what the try before left.
        stays = f" {published.version}, which an earlier try published, stays." if published else ""
        return replace(verdict, text=f"{verdict.text}{stays}")
    if published:
        state = f"is now {published.alias}" if published.alias_moved else "was published; the alias stays where it is"
        return Verdict(f"{published.version} {state}", True, next=_after_publishing(published))
    current = _first(steps, State.OPEN)
    text = f"Not finished: the step {current.name} has no result yet." if current else "Not finished."
    return Verdict(text, False)


def _failure_of(run: Run, failed: StepState) -> Verdict:
    # A gate or a check that could not decide has nothing to quote: it is told like any other step, by its error.
    if failed.name == GATE_STEP and (reasons := _failed_gates(run)):
        text = "Not published: a gate failed. The champion stays."
        read = ("read the differences and their intervals: nothing is broken", "docs/runbooks/gate-failed.md")
        return Verdict(text, False, reasons, failed.error, read, failed.name)
    if failed.name in CHECK_STEPS and (checks := _failed_critically(run, failed.name)):
        # Several checks can ask for the same; in order, since the list is cut.
        actions = tuple(dict.fromkeys(check.next for check in checks))[:MOST_NAMED]
        text = f"Stopped: {failed.name} found critical faults in the data."
        advice = (_look(run, failed.name), *actions, _again(run), "docs/runbooks/check-failed.md")
        return Verdict(text, False, _named(checks), failed.error, advice, failed.name)
    if failed.error == mark_of(run):
        text, error = f"Not published: {failed.error} before the step {failed.name} had a result.", None
    else:
        text, error = f"Not published: the step {failed.name} failed.", failed.error
    return Verdict(text, False, (), error, (_again(run), "docs/runbooks/README.md"), failed.name)


def _look(run: Run, step: str) -> str:
    what = step.removeprefix("check_")
    return f"`matinee check {run.spec.name} --as-of {run.as_of} --what {what} --failed` shows it beside the days before"


def _again(run: Run) -> str:
    data = f" --data {shlex.quote(str(run.data))}" if run.data else ""
    command = f"matinee run {run.spec.name} --as-of {run.as_of}{data}"
    return f"once that is fixed, run the day again: clear the run in Airflow, or `{command}`"


def _after_publishing(published: PublishResult) -> tuple[str, ...]:
    days = ", ".join(map(str, published.to_judge_again))
    return (f"evaluate again, because their champion has changed: {days}",) if days else ()


def _failed_gates(run: Run) -> tuple[str, ...]:
    return tuple(str(verdict) for verdict in verdicts_if_valid(run.dir) or () if not verdict.passed)


def _failed_critically(run: Run, step: str) -> list[Check]:
    return [check for check in read_checks(run.step_dir(step)) or () if check.failed_critical]


def _named(checks: Sequence[Check]) -> tuple[str, ...]:
    more = [f"and {len(checks) - MOST_NAMED} more"] if len(checks) > MOST_NAMED else []
    return (*(check.words() for check in checks[:MOST_NAMED]), *more)
