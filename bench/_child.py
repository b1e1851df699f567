"""A measured process: what a benchmark runs apart, so that its memory is its own."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TWO_THREADS = {"MATINEE_THREADS": "2", "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}


def run_child(module: str, arguments: Sequence[str], folder: Path) -> tuple[dict[str, Any], float]:
    """Run a module with two threads.

    Args:
        module: prints a JSON object on its last line.
        arguments: of its command line.
        folder: where its output may lie.

    Returns:
        The object, and the peak of the process in 10^9 bytes.

    Raises:
        SystemExit: it ended with an error.
    """
    command = [sys.executable, "-m", module, *arguments]
    with (folder / "out").open("w+") as out:
        child = subprocess.Popen(command, stdout=out, cwd=ROOT, env={**TWO_THREADS, **os.environ})
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{module} {' '.join(arguments)}: exit code {child.returncode}")
        out.seek(0)
        printed: dict[str, Any] = json.loads(out.read().splitlines()[-1])
    return printed, used.ru_maxrss * 1024 / 1e9


def cpu_so_far() -> float:
    """CPU seconds (user and system) of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_so_far() -> float:
    """The most memory that this process has had, in 10^9 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
