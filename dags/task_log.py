"""The log of an Airflow task: what a step says as its lines, and on failure what broke in front.

A task's log is in the order of time, and people open it at its end. So once a step fails, what it did before is folded,
and so is what Airflow adds: only the error, what was expected and what to do next stay visible. Airflow's pages fold
what stands between `::group::` and `::endgroup::`, and sort lines by their time. So the heading of a fold can be
written afterwards, when it is known to be needed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import structlog

from tasks.runs.step_log import VARIABLE, fields_of

NAME = "matinee"
AFTERWARDS = "Airflow's own account of the failure, with its traceback"


class TaskLog(logging.Handler):
    """Hands the lines of a step over to Airflow.

    Airflow's pages show every field of a line beside its text. The text has the figures already, and the page is about
    one pipeline, day, run and step, so fields are written only with `MATINEE_LOG=json`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._began: datetime | None = None
        self._with_fields = os.environ.get(VARIABLE) == "json"

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; before a step's error, fold what the step has said."""
        if hasattr(record, "step") and self._began is None:
            self._began = datetime.fromtimestamp(record.created, UTC)
        if hasattr(record, "error") and self._began is not None:
            fold(f"What {getattr(record, 'step', 'the step')} did until it failed", self._began)
        # Data that is quoted must not fold anything.
        text = record.getMessage().replace("::group::", "::group ::").replace("::endgroup::", "::endgroup ::")
        fields: dict[str, Any] = fields_of(record) if self._with_fields else {}
        structlog.get_logger(logger_name=NAME).log(record.levelno, text, **fields)


def fold(heading: str, since: datetime) -> None:
    """Fold the lines between an instant and now under a heading."""
    log = structlog.get_logger(logger_name=NAME)
    # In front of the first of them: lines of the same millisecond keep the order in which they were written.
    first = datetime.fromtimestamp(since.timestamp() - 0.001, UTC)
    log.info(f"::group::{heading}", timestamp=first.isoformat().replace("+00:00", "Z"))
    log.info("::endgroup::")


def fold_what_follows() -> None:
    """Fold everything that comes after: Airflow's lines about an error that has been explained."""
    structlog.get_logger(logger_name=NAME).info(f"::group::{AFTERWARDS}")


@contextmanager
def task_log() -> Iterator[None]:
    """Let the logger `matinee` write to the log of the running task; inside another such block, change nothing."""
    log = logging.getLogger(NAME)
    if any(isinstance(installed, TaskLog) for installed in log.handlers):
        yield
        return
    handlers, propagate, level = log.handlers, log.propagate, log.level
    log.handlers, log.propagate = [TaskLog()], False
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.handlers, log.propagate = handlers, propagate
        log.setLevel(level)
