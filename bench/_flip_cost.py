"""What reading with checks costs: the same run with and without them, in turns, and the seconds spent in them.

The product has no switch; here the functions that hash and compare are replaced. DuckDB's own block checksums cannot be
left out. Figures are CPU seconds of this process, all its threads included, and wall-clock seconds.
"""

from __future__ import annotations

import importlib
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from bench._results import table
from engine.sealed import CHECKSUM
from tasks.runs.failures import call_step
from tasks.runs.run import Run
from tasks.runs.steps import sequence
from tasks.store.files import Home

MADE = ("warehouse", "runs", "retrieval", "registry", "profiles", "quarantine", "alerts")
BUILD, WHOLE = "`build`, from an empty warehouse", "the whole run, `check_landed` to `publish`"


def _nothing(*_: Any) -> None:
    return


def _plain(folder: Path, name: str) -> Path:
    return folder / name


def _read(path: Path, *_: Any) -> bytes:
    return path.read_bytes()


def _opened(value: Any) -> Any:
    return {key: entry for key, entry in value.items() if key != CHECKSUM} if isinstance(value, dict) else value


def _whole(_: Path) -> None:
    return None


CHECKS: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("tasks.store.partitions", "check_content", _nothing),
    ("tasks.store.files", "checked_bytes", _read),
    ("tasks.store.files", "checked_file", _plain),
    ("tasks.store.files", "write_digests", _nothing),
    ("tasks.store.damage", "damage_of", _whole),
    ("tasks.features.parse_cache", "drop_if_changed", _nothing),
    ("tasks.features.parse_cache", "note", _nothing),
    ("engine.sealed", "unsealed", _opened),
    ("engine.descriptor", "check_artifacts", _nothing),
)
"""Module, name, and what stands there in a run without checks."""


@dataclass
class Meter:
    """Seconds spent in checks; one that is called by another counts once."""

    seconds: float = 0.0
    depth: int = 0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a check."""

        def call(*given: Any, **more: Any) -> Any:
            self.depth += 1
            began = time.thread_time()
            try:
                return function(*given, **more)
            finally:
                self.depth -= 1
                if not self.depth:
                    self.seconds += time.thread_time() - began

        return call


def _users(check: Callable[..., Any], name: str) -> list[ModuleType]:
    """The modules that call a function by this name: where it is written, and who has imported it."""
    ours = [module for key, module in sys.modules.items() if key.split(".")[0] in ("tasks", "engine")]
    return [module for module in ours if vars(module).get(name) is check]


@contextmanager
def checks(*, on: bool) -> Iterator[Meter]:
    """Replace every check, by one that is timed or by one that does nothing."""
    meter = Meter()
    with ExitStack() as stack:
        for module, name, off in CHECKS:
            check = getattr(importlib.import_module(module), name)
            substitute = meter.timed(check) if on else off
            for user in _users(check, name):
                stack.enter_context(patch.object(user, name, substitute))
        yield meter


@dataclass(frozen=True)
class Measured:
    """What one run took: by what was run, CPU seconds, wall-clock seconds, and CPU seconds in checks."""

    cpu: dict[str, float] = field(default_factory=dict)
    wall: dict[str, float] = field(default_factory=dict)
    inside: dict[str, float] = field(default_factory=dict)


def measure(run: Run, meter: Meter) -> Measured:
    """Run a landed day from an empty state."""
    for name in MADE:
        shutil.rmtree(run.home.root / name, ignore_errors=True)
    measured = Measured()
    whole = time.process_time(), time.monotonic()
    for name, step in sequence().items():
        if name == "land":
            continue
        began, inside = (time.process_time(), time.monotonic()), meter.seconds
        call_step(run, name, step)
        if name == "build":
            _enter(measured, BUILD, began, meter.seconds - inside)
    _enter(measured, WHOLE, whole, meter.seconds)
    return measured


def _enter(measured: Measured, what: str, began: tuple[float, float], inside: float) -> None:
    measured.cpu[what] = time.process_time() - began[0]
    measured.wall[what] = time.monotonic() - began[1]
    measured.inside[what] = inside


def pairs_of(run: Run, pairs: int) -> list[tuple[Measured, Measured]]:
    """Measure with and without checks in turns, after one run that pays for imports and compiled kernels."""
    call_step(run, "land", sequence()["land"])
    # Nothing is replaced in it: a module that it imports late would keep the substitute.
    measure(run, Meter())
    measured = []
    for number in range(pairs):
        # Who goes first alternates: the second finds warmer caches.
        first, second = (_measure(run, on=on) for on in ((True, False) if number % 2 else (False, True)))
        measured.append((first, second) if number % 2 else (second, first))
        print(f"  {run.spec.name}, {number + 1} of {pairs}: {measured[-1]}", flush=True)
    return measured


def _measure(run: Run, *, on: bool) -> Measured:
    with checks(on=on) as meter:
        return measure(run, meter)


def cost(home: Path, days: Sequence[str], data: Path | None, pairs: int) -> str:
    """Lay out the table: a row for the build and one for the whole run of each pipeline."""
    rows = []
    for one in days:
        pipeline, _, day = one.partition("=")
        run = Run.create(pipeline, date.fromisoformat(day), "cost", home=Home(home / Path(pipeline).stem), data=data)
        measured = pairs_of(run, pairs)
        rows += [_row(run, what, measured) for what in (BUILD, WHOLE)]
    header = ("run", "with, CPU s", "without, CPU s", "ratio CPU", "ratio wall", "in the checks")
    return "\n".join(
        [
            "## The cost of the checks",
            "",
            f"{pairs} pairs of runs with and without the checks, from a landed day and an empty state. Medians; ratios "
            "are of pairs, smallest to largest in brackets; `in the checks`: CPU seconds inside of them, as a share of "
            "the run's. DuckDB's block checksums are on in both. Made by "
            f"`python -m bench.bit_flips cost --pairs {pairs} --write`.",
            "",
            table(header, rows),
        ]
    )


def _row(run: Run, what: str, measured: Sequence[tuple[Measured, Measured]]) -> tuple[str, ...]:
    def ratio(values: Sequence[float]) -> str:
        return f"{statistics.median(values):.3f} [{min(values):.3f}, {max(values):.3f}]"

    return (
        f"{run.spec.name}, {run.as_of}: {what}",
        f"{statistics.median(on.cpu[what] for on, _ in measured):.2f}",
        f"{statistics.median(off.cpu[what] for _, off in measured):.2f}",
        ratio([on.cpu[what] / off.cpu[what] for on, off in measured]),
        ratio([on.wall[what] / off.wall[what] for on, off in measured]),
        f"{statistics.median(100 * on.inside[what] / on.cpu[what] for on, _ in measured):.2f} %",
    )
