"""What a process may take of the machine, from the environment: read in one place, and refused by name where wrong.

A wrong value that reached DuckDB would come back as the failure of some database, with that database's advice.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable

from tasks.errors import MatineeError

THREADS = "MATINEE_THREADS"
TRAININGS = "MATINEE_TRAININGS"
MEMORY = "MATINEE_MEMORY_LIMIT"
DISK = "MATINEE_TEMP_LIMIT"
STATEMENT = "MATINEE_STATEMENT_TIMEOUT"

NAMES = frozenset(
    {
        *(THREADS, TRAININGS, MEMORY, DISK, STATEMENT),
        *("MATINEE_PROJECT", "MATINEE_HOME", "MATINEE_PIPELINES", "MATINEE_LOG", "MATINEE_ALERTS", "MATINEE_URL"),
        *("MATINEE_DATABASE", "MATINEE_COMMAND_PATH"),
        *("MATINEE_WAREHOUSE", "MATINEE_WAREHOUSE_FILE"),
        # The stack and the compose file set these for what they start.
        *(
            "MATINEE_STACK",
            "MATINEE_BIN",
            "MATINEE_PREFIX",
            "MATINEE_SOCKET",
            "MATINEE_POSTGRES",
            "MATINEE_POSTGRES_HERE",
        ),
        "MATINEE_ENV_FILE",
        *("MATINEE_ADMIN_PASSWORD", "MATINEE_PORT", "MATINEE_PIPELINE", "MATINEE_SERVING_PORT"),
        # The tests read these.
        *("MATINEE_DATA", "MATINEE_THOROUGH"),
    }
)
"""Every variable that something reads, but for a source's folder, `MATINEE_DATA_<SOURCE>`."""

_MOST_THREADS = 1024
_MOST_SECONDS = 86_400
_LEAST_MEMORY = 128 * 2**20
"""Below it, DuckDB fails in the middle of a statement for want of a single buffer."""
_UNITS = {
    **{unit: 1000**power for power, unit in enumerate(("kb", "mb", "gb", "tb"), start=1)},
    **{unit: 1024**power for power, unit in enumerate(("kib", "mib", "gib", "tib"), start=1)},
}
_SIZE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?([A-Za-z]{2,3})")


def unknown(names: Iterable[str]) -> list[str]:
    """Say of each of `names` that begins as ours do, and that nothing reads, so, with the nearest that is read."""
    mistyped = [
        name
        for name in sorted(names)
        if name.startswith("MATINEE_") and name not in NAMES and not name.startswith("MATINEE_DATA_")
    ]
    return [f"{name}: nothing reads this variable{_nearest(name)}" for name in mistyped]


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, sorted(NAMES), n=1, cutoff=0.8)
    return f"; did you mean {close[0]}?" if close else ""


def threads() -> int:
    """How many threads a step may use: `MATINEE_THREADS`, 2 if absent.

    Raises:
        MatineeError: it is no whole number from 1 to 1024.
    """
    return _some(THREADS, "2")


def trainings() -> int:
    """How many models may be trained at the same time on this machine: `MATINEE_TRAININGS`, 1 if absent.

    Airflow's pool of trainings has so many slots.

    Raises:
        MatineeError: it is no whole number from 1 to 1024.
    """
    return _some(TRAININGS, "1")


def training_threads() -> int:
    """How many threads a training may use, so that all that may run at the same time have a core for each thread.

    Raises:
        MatineeError: `MATINEE_THREADS` or `MATINEE_TRAININGS` is no whole number from 1 to 1024.
    """
    return max(1, min(threads(), (os.cpu_count() or 1) // trainings()))


def _some(name: str, default: str) -> int:
    text = os.environ.get(name) or default
    # `int` would take '1_0' and Arabic digits, too, which DuckDB does not.
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= _MOST_THREADS:
        raise MatineeError(f"{name}: found {text!r}, expected a whole number from 1 to {_MOST_THREADS}")
    return int(text)


def memory_limit() -> int:
    """How many bytes a database or a matrix may take: `MATINEE_MEMORY_LIMIT`, 4 GB if absent.

    Raises:
        MatineeError: it is no size with a unit, or less than anything can work with.
    """
    return _size(MEMORY, "4GB", _LEAST_MEMORY)


def disk_limit() -> int:
    """How many bytes of disk a build may take for what memory does not hold: `MATINEE_TEMP_LIMIT`, 32 GB if absent.

    Raises:
        MatineeError: it is no size with a unit.
    """
    return _size(DISK, "32GB", 0)


def statement_seconds() -> int:
    """How long a statement may take in a source's database: `MATINEE_STATEMENT_TIMEOUT`, 600 seconds if absent.

    Raises:
        MatineeError: it is no whole number of seconds from 1 to 86400.
    """
    text = os.environ.get(STATEMENT) or "600"
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= _MOST_SECONDS:
        raise MatineeError(f"{STATEMENT}: found {text!r}, expected a whole number of seconds from 1 to {_MOST_SECONDS}")
    return int(text)


def _size(name: str, default: str, least: int) -> int:
    text = os.environ.get(name) or default
    match = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise MatineeError(f"{name}: found {text!r}, expected a size with its unit, like {default} or 512MiB")
    size = int(float(match[1]) * unit)
    if size < least:
        raise MatineeError(f"{name}: found {text!r}, expected at least {least // 2**20}MiB")
    return size
