"""The bodies of an Airflow DAG's tasks: find the step's function, call it, pass on its result or its error."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout

from dags.alerts import notify
from dags.context import run_of, waiting_days
from dags.reasons import log_earlier_attempt, log_next, why_red
from dags.task_log import fold_what_follows, task_log
from tasks.errors import (
    CheckFailed,
    FilesChanged,
    GateFailed,
    LandingError,
    MatineeError,
    SourceError,
    SpecError,
    TrainingError,
)
from tasks.runs.steps import BY_NAME
from tasks.store.records import Record

if TYPE_CHECKING:
    from tasks.runs.run import Run

# The same inputs would fail again: no retry.
FINAL = (SpecError, SourceError, LandingError, FilesChanged, CheckFailed, TrainingError, GateFailed)
# An argument that Airflow renders, so that the UI shows it; `call` takes the day from the interval itself.
# Without a logical date the interval is undefined, and an undefined name would end the task in Jinja's words.
AS_OF = "{{ data_interval_start | ds if data_interval_start is defined and data_interval_start else '' }}"
# What fits on a screen of Airflow's: counts in one value, and characters of a text.
MOST_COUNTS, LONGEST_TEXT = 8, 120

log = logging.getLogger("matinee")


def call(what: str, *args: Any) -> Any:
    """Call the function of a step for the day of the running DAG run.

    Returns:
        What the function returned, as plain JSON values: an XCom takes no records.

    Raises:
        AirflowFailException: with the step's error message; the same inputs would fail again, or have done so twice.
        AirflowException: with the step's error message; another try may help.
        Exception: a bug, as it was raised, the first time.
        AirflowTaskTimeout: it took too long; another try may help.
    """
    context: Any = get_current_context()
    with task_log():
        try:
            result = _call(context, what, *args)
        except (AirflowException, AirflowTaskTimeout) as error:  # which has been explained
            if error.__cause__ is None:  # of a bug that came twice, the traceback is what helps
                fold_what_follows()
            raise
    return result.to_json() if isinstance(result, Record) else result


def _call(context: Any, what: str, *args: Any) -> Any:
    # Imported here, as elsewhere in this module: the DAG processor parses it over and over.
    from tasks.runs.failures import call_step, said

    try:
        run = run_of(context)
    except MatineeError as error:
        log.error("%s", error)
        raise _in_airflow(error, final=isinstance(error, FINAL)) from None
    except AirflowFailException as error:
        log.error("%s", error)
        raise
    # Before the function is loaded, which takes a moment: the fold of a failure begins with the step's own first line.
    log_earlier_attempt(run, what, args, context["ti"])
    function = BY_NAME[what].load()
    before = said(run, what, *args)
    try:
        return call_step(run, what, function, *args)
    except (Exception, AirflowTaskTimeout) as error:
        if isinstance(error, AirflowTaskTimeout):
            _explain_timeout(run, what, context["task"].execution_timeout, *args)
        # The same words twice: a third try would end in them, too. (A try that is killed has no words.)
        again = before is not None and before == said(run, what, *args)
        final = again or isinstance(error, FINAL)
        if isinstance(error, MatineeError | AirflowTaskTimeout):  # for a bug there is nothing to do but report it
            log_next(run, error, context["ti"], final=final)
        if isinstance(error, MatineeError):
            raise _in_airflow(error, final=final) from None
        if final:
            raise _in_airflow(error, final=True) from error
        raise


def _explain_timeout(run: Run, what: str, limit: timedelta, *args: Any) -> None:
    """Keep and log why a step was ended: Airflow's exception is none that the step itself may catch and explain."""
    from tasks.runs.failures import keep_error

    text = f"the step {what} ran longer than {limit}, the limit of a task"
    keep_error(run, what, text, *args)
    log.error("%s", text, extra={"step": what, "error": AirflowTaskTimeout.__name__})


def _in_airflow(error: BaseException, *, final: bool) -> AirflowException:
    kind = AirflowFailException if final else AirflowException
    return kind(f"{type(error).__name__}: {error}")


# What a step returned stands in its last line, in words.
@task(show_return_value_in_logs=False)
def step(
    pipeline: str, what: str, as_of: str, population: str | None = None, worker: int | None = None
) -> dict[str, Any]:
    """Run one step; the short values of its result become the XCom and the asset event's extra."""
    context: Any = get_current_context()
    if population is not None:
        context["population"] = population  # what `map_index_template` names the mapped task by
    if worker is not None:
        context["worker"] = f"worker {worker}"
    began = time.monotonic()
    args: list[Any] = [each for each in (population, worker) if each is not None]
    if what == "build":
        args = [waiting_days(context)]  # one dbt invocation for a whole backfill, in whatever order it runs
    result = short(call(what, *args))
    for asset in context["task"].outlets:
        seconds = round(time.monotonic() - began, 2)
        context["outlet_events"][asset].extra = {**result, "as_of": as_of, "seconds": seconds}
    return result


@task(show_return_value_in_logs=False)
def populations_of(pipeline: str, as_of: str) -> list[str]:
    """List the populations to train: they depend on the data, so Airflow maps over them at run time."""
    names: list[str] = call("populations")
    return names


@task(show_return_value_in_logs=False)
def report(pipeline: str, as_of: str) -> dict[str, Any]:
    """Write the run's page whatever happened, then fail if any other task failed."""
    context: Any = get_current_context()
    states = context["ti"].get_task_states(dag_id=pipeline, run_ids=[context["run_id"]])[context["run_id"]]
    with task_log():
        try:
            keep_failures(context, states)
            result: dict[str, Any] = call("report")
        finally:
            notify(context, finished=True)
            # A last task that succeeds makes a run green, whatever failed before it: Airflow looks at leaves alone.
            raise_if_red(context, states)
    return result


def short(result: dict[str, Any]) -> dict[str, Any]:
    """Keep what fits on a screen: single values, and a few counts by name. The whole result is in the run's folder."""

    def fits(value: Any) -> bool:
        if isinstance(value, dict):
            return 0 < len(value) <= MOST_COUNTS and all(isinstance(count, (int, float)) for count in value.values())
        return isinstance(value, (int, float, bool)) or (isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT)

    return {key: value for key, value in result.items() if fits(value)}


def keep_failures(context: Any, states: dict[str, str]) -> None:
    """Let the report know which steps were killed, before it is written."""
    from tasks.runs.failures import keep_silent_failures

    keep_silent_failures(run_of(context), [name for name, state in states.items() if state == "failed"])


def raise_if_red(context: Any, states: dict[str, str]) -> None:
    """Fail if a task of the run failed.

    Raises:
        AirflowFailException: naming the tasks that failed and the tasks that could not start because of them.
    """
    failed = sorted(name for name, state in states.items() if state == "failed")
    stopped = sorted(name for name, state in states.items() if state == "upstream_failed" and name != "report")
    if not failed and not stopped:
        return
    text = f"failed: {', '.join(failed) or 'none'}; not run: {', '.join(stopped) or 'none'}"
    # As an error of the step: what the report did is folded, and this is what is left to see.
    log.error("%s", "\n".join([*why_red(context, failed), text]), extra={"step": "report", "error": "red run"})
    fold_what_follows()
    raise AirflowFailException(text)
