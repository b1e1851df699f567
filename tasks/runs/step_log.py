"""What a step says while it runs, in every log alike: that it begins, that it goes on, and a line of what came of it.

One logger, `matinee`, whose records carry pipeline, day, run and step as fields. Airflow's task logs show its text;
`MATINEE_LOG=json` (or `text`) makes the command line write it to standard error, too.
"""

from __future__ import annotations

import logging
import resource
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.errors import MatineeError
from tasks.store.records import Record

if TYPE_CHECKING:
    from tasks.runs.run import Run

VARIABLE = "MATINEE_LOG"
FIELDS = ("pipeline", "day", "run", "step")
EVERY = 10.0  # seconds after which somebody who watches wonders whether it still runs
LONGEST = 400

log = logging.getLogger("matinee")


@dataclass
class Narration:
    """What a step has returned, once it has."""

    result: Any = None


@contextmanager
def narrated(run: Run, step: str, *args: Any) -> Iterator[Narration]:
    """Log the beginning of a step, every ten seconds that it goes on, and its end.

    Args:
        run: the run.
        step: name of the step.
        args: its other arguments, such as a population.
    """
    fields = {"pipeline": run.spec.name, "day": run.as_of.isoformat(), "run": run.attempt, "step": step}
    name = " ".join([step, *(f"[{arg}]" for arg in args if isinstance(arg, str))])
    began, over, narration = time.monotonic(), threading.Event(), Narration()

    def go_on() -> None:
        while not over.wait(EVERY):
            log.info("%s goes on: %.0f s, %s", name, time.monotonic() - began, _memory(), extra=fields)

    log.info("%s begins, %s as of %s", name, run.spec.name, run.as_of, extra=fields)
    watch = threading.Thread(target=go_on, name=f"narration of {step}", daemon=True)
    watch.start()
    try:
        yield narration
    finally:
        over.set()
        watch.join()
    seconds = time.monotonic() - began
    log.info("%s done in %.1f s, %s: %s", name, seconds, _memory(), _line(narration.result), extra=fields)


def _memory() -> str:
    # Kilobytes on Linux, bytes on macOS; of the process so far, its children not included.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return f"at most {peak / 1e6:,.0f} MB"


def _line(result: Any) -> str:
    value = result.to_json() if isinstance(result, Record) else result
    text = "; ".join(_pairs(value)) if isinstance(value, Mapping) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _pairs(value: Mapping[str, Any]) -> Iterator[str]:
    for key, entry in value.items():
        words = ", ".join(_pairs(entry)) if isinstance(entry, Mapping) else str(entry)
        if entry not in (None, "", [], {}):
            yield f"{key.replace('_', ' ')} {words}"


def log_to_stderr(kind: str) -> None:
    """Write the logger's records to standard error.

    Args:
        kind: `text` for people or `json`, one object a line, for programs.

    Raises:
        MatineeError: it is neither.
    """
    import structlog

    renderers: dict[str, Any] = {
        "json": structlog.processors.JSONRenderer(),
        "text": structlog.dev.ConsoleRenderer(colors=False),
    }
    if kind not in renderers:
        raise MatineeError(f"{VARIABLE}: found {kind!r}, expected text or json")
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.ExtraAdder(allow=FIELDS),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderers[kind]],
        )
    )
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)
