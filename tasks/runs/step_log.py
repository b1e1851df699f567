"""The log of steps: their beginning, what they say, their progress, and one line with the result.

One logger, `matinee`, whose records carry pipeline, day, run and step as fields, beside the figures of their text. On
the command line it writes to standard error: text for people, or JSON, one object a line (`MATINEE_LOG`). In Airflow
the same records go to the task's log (`dags/task_log.py`).
"""

from __future__ import annotations

import json
import logging
import math
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Protocol, runtime_checkable

from tasks.errors import MatineeError
from tasks.runs.narration import CURRENT, Narration, log

if TYPE_CHECKING:
    from tasks.runs.run import Run

VARIABLE = "MATINEE_LOG"
KINDS = ("text", "json", "warnings")
FIELDS = ("pipeline", "day", "run", "step", "population")
EVERY, SELDOM = 10.0, 120.0
"""Seconds between two lines of progress, at first and at most: who sees no line wonders whether it still runs."""
LONGEST = 400
"""Characters of a summary; the result itself is in the run's folder."""


@runtime_checkable
class Summarized(Protocol):
    """A step's result that can be said in a line."""

    def summary(self) -> str:
        """What came of the step, in one line."""


@contextmanager
def narrated(run: Run, step: str, *args: Any) -> Iterator[Narration]:
    """Log the beginning of a step, its progress now and then, and its end, unless it fails (`log_failure`).

    Args:
        run: the run.
        step: name of the step.
        args: its other arguments, such as a population.
    """
    fields = {"pipeline": run.spec.name, "day": run.as_of.isoformat(), "run": run.attempt, "step": step}
    population = next((arg for arg in args if isinstance(arg, str)), None)  # a build is given days, not a population
    fields |= {"population": population} if population else {}
    name = _name(step, population)
    began, over, narration = time.monotonic(), threading.Event(), Narration(fields)

    def go_on() -> None:
        while not over.wait(pause_after(time.monotonic() - began)):
            seconds, progress = time.monotonic() - began, narration.progress
            far = f", {progress}" if progress else ""
            _log(narration, f"{name} goes on: {seconds:.0f} s{far}, {_memory()}", seconds, progress=progress or None)

    _log(narration, f"{name} begins, {run.spec.name} as of {run.as_of}")
    # In a copy of this context, because Airflow keeps there which task a line belongs to.
    watch = threading.Thread(target=copy_context().run, args=(go_on,), name=f"narration of {step}", daemon=True)
    watch.start()
    before = CURRENT.set(narration)
    try:
        yield narration
    finally:
        CURRENT.reset(before)
        over.set()
        watch.join()
    seconds = time.monotonic() - began
    _log(narration, f"{name} done in {seconds:.1f} s, {_memory()}: {summary_of(narration.result)}", seconds)


def pause_after(seconds: float) -> float:
    """Choose the seconds until the next line of progress: the longer a step has run, the fewer lines."""
    return min(SELDOM, max(EVERY, seconds / 6))


def _name(step: str, population: str | None) -> str:
    return f"{step} [{population}]" if population else step


def log_failure(narration: Narration, error: Exception, said: MatineeError | None) -> None:
    """Log why a step failed: its whole message, which is what a reader of the log looks for.

    Args:
        narration: of the step.
        error: what its function raised.
        said: the same in plain words; None for a bug of matinee.
    """
    text = str(said) if said is not None else f"{type(error).__name__}: {error}. This is a bug of matinee"
    log.error("%s", text, extra={**narration.fields, "error": type(said or error).__name__})
    if said is not None:
        said.logged = True


def _log(narration: Narration, text: str, seconds: float | None = None, **figures: Any) -> None:
    if seconds is not None:
        figures = {"seconds": round(seconds, 1), "memory_mb": round(_peak() / 1e6), **figures}
    log.info("%s", text, extra={**narration.fields, "figures": figures})


def _peak() -> int:
    # Kilobytes on Linux, bytes on macOS; of the process so far, its children not included.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _memory() -> str:
    return f"at most {_peak() / 1e6:,.0f} MB"


def summary_of(result: Any) -> str:
    """Say in a line what a step returned; of a mapped step, for each of its entries."""
    if isinstance(result, Summarized):
        text = result.summary()
    elif isinstance(result, Mapping):
        text = "; ".join(f"{key}: {summary_of(value)}" for key, value in result.items())
    elif isinstance(result, list | tuple):
        text = ", ".join(map(str, result)) or "none"
    else:
        text = str(result)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


class _Standard(logging.StreamHandler[IO[str]]):
    """Writes to what standard error is now: a progress bar replaces it while it is drawn."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    @property
    def stream(self) -> IO[str]:
        return sys.stderr

    @stream.setter
    def stream(self, stream: IO[str]) -> None:
        pass


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Time, day and step before the text; the level where it is one to notice."""
        time_of_day = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%SZ")
        level = "" if record.levelno < logging.WARNING else f"{record.levelname} "
        day, step, population = (getattr(record, field, None) for field in ("day", "step", "population"))
        if not step:
            return f"{time_of_day} {level}{record.getMessage()}"
        name, text = _name(step, population), record.getMessage()
        return f"{time_of_day} {day} {level}{text if text.startswith(name) else f'{name}: {text}'}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """One object, with the fields of the step and the figures of the text."""
        instant = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        entry = {"timestamp": instant.replace("+00:00", "Z"), "level": record.levelname.lower()}
        return json.dumps({**entry, "event": record.getMessage(), **fields_of(record)}, ensure_ascii=False)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Collect what a record carries beside its text, as JSON values; the step's own fields win over figures."""
    figures: Mapping[str, Any] = getattr(record, "figures", {})
    fields = {name: value for name in (*FIELDS, "error") if (value := getattr(record, name, None)) is not None}
    return {name: _plain(value) for name, value in figures.items() if value is not None} | fields


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None  # JSON has no other
    return value if isinstance(value, bool | int | str | None) else str(value)


def log_to_stderr(kind: str | None, *, failures: bool = False) -> None:
    """Write the logger's records to standard error.

    Args:
        kind: `text` for people, `json` for programs, `warnings`: text, but only of what is not as it should be. None:
            nothing is asked for, and what steps say is not written until `log_everything` is called.
        failures: whether a step's error is written in text, too; commands print it themselves.

    Raises:
        MatineeError: it is none of them.
    """
    if kind is not None and kind not in KINDS:
        raise MatineeError(f"{VARIABLE}: found {kind!r}, expected {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    handler = _Standard()
    handler.setFormatter(_Json() if kind == "json" else _Text())
    handler.setLevel(logging.WARNING if kind in (None, "warnings") else logging.INFO)
    if kind is None:
        handler.addFilter(_not_of_a_step)
    if kind != "json" and not failures:
        handler.addFilter(lambda record: not hasattr(record, "error"))
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)


def log_in_worker() -> None:
    """Write what a worker process logs if the environment asks for it: else its lines would break a progress bar."""
    kind = os.environ.get(VARIABLE) or None
    log_to_stderr(kind, failures=kind is not None)  # no command prints the errors of a single day


def log_everything() -> None:
    """Write what steps say unless the environment asks for something else: for commands that run one."""
    for handler in log.handlers:
        if _not_of_a_step in handler.filters:
            handler.removeFilter(_not_of_a_step)
            handler.setLevel(logging.INFO)


def _not_of_a_step(record: logging.LogRecord) -> bool:
    return not hasattr(record, "figures")
