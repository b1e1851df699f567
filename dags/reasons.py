"""Why a task failed, was tried before, or did not run: read from what the run left on disk, for the logs of tasks."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from dags.context import run_of
from tasks.runs.attempts import attempt_of

if TYPE_CHECKING:
    from tasks.reports.run_verdict import Verdict
    from tasks.runs.run import Run

log = logging.getLogger("matinee")
LINES = 4
"""Of an earlier attempt's error; its own log has them all."""


def log_earlier_attempt(run: Run, step: str, args: tuple[Any, ...], ti: Any) -> None:
    """Begin the log of another attempt at a task with why the one before failed."""
    from tasks.runs.failures import NO_ERROR_MESSAGE, said

    if ti.try_number < 2:
        return
    before, error, level = ti.try_number - 1, said(run, step, *args), logging.WARNING
    if error is not None:
        text = f"failed: {_beginning(error)}"
    elif _has_result(run, step, args):
        # Of that attempt or of an earlier one: a killed one leaves nothing that would tell.
        level, text = logging.INFO, "left no error message: the task was cleared after it, or it was killed"
    else:
        text = NO_ERROR_MESSAGE
    log.log(level, "attempt %d of this task. Attempt %d %s", ti.try_number, before, text)


def _has_result(run: Run, step: str, args: tuple[Any, ...]) -> bool:
    from tasks.runs.failures import population_folders

    # A mapped step has a folder per population in its own.
    return run.step_dir(step).joinpath(*population_folders(args), "result.json").exists()


def _beginning(text: str) -> str:
    lines = text.strip().splitlines()
    return "\n".join([*lines[:LINES], *(["…"] if len(lines) > LINES else [])])


def log_next(run: Run, error: BaseException, ti: Any, *, final: bool) -> None:
    """Log what to do about a step's error, or that Airflow tries again by itself.

    Args:
        run: the run.
        error: what ended the step.
        ti: the task instance.
        final: whether another attempt would fail in the same way.
    """
    if not final and ti.try_number <= ti.max_tries:
        delay = ti.task.retry_delay.total_seconds()
        log.warning("Airflow tries again in %.0f s; the same error once more is final", delay)
        return
    # What the error says itself is not said twice.
    if lines := [f"Next: {text}" for text in _verdict(run).next if text not in str(error)]:
        log.error("%s", "\n".join(lines))


def why_red(context: Any, failed: Iterable[str]) -> list[str]:
    """Say which step of a run broke, what was observed and expected, and what to do, in lines.

    Args:
        context: Airflow's.
        failed: tasks that failed.
    """
    from tasks.errors import MatineeError, first_line
    from tasks.runs.failures import last_words, step_of_task

    try:
        run = run_of(context)
    except (MatineeError, AirflowFailException) as error:
        return [str(error)]
    verdict = _verdict(run)
    if not verdict.good:
        return verdict.lines
    # A step that nothing waits for failed beside the others: the version is published, and the run is red.
    words = {step: last_words(run, step) for step in sorted({step_of_task(task) for task in failed})}
    return [verdict.text, *(f"{step} failed: {first_line(MatineeError(text))}" for step, text in words.items() if text)]


def why_not_run(ti: Any) -> str | None:
    """Say why a task of ours did not run; None for other tasks, and where it cannot be said.

    Args:
        ti: a task instance whose upstream failed, as the database has it.
    """
    from tasks.runs.run import Run
    from tasks.spec.project import pipeline_names

    if ti.dag_id not in pipeline_names() or ti.dag_run.data_interval_start is None:
        return None
    day = ti.dag_run.data_interval_start.astimezone(UTC).date()
    verdict = _verdict(Run.create(ti.dag_id, day, attempt_of(ti.run_id)))
    if verdict.good or verdict.step is None:
        return None
    return "\n".join(verdict.lines_after(f"Not run, because {verdict.step} failed."))


def _verdict(run: Run) -> Verdict:
    from tasks.reports.run_verdict import step_states, verdict_on

    return verdict_on(run, step_states(run))
