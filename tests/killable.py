"""Runs in processes of their own that can be killed at every point where a run changes something that others can see.

A point is the start of a step, a flush or a rename of a file, or an SQL statement of dbt: everything that survives a
kill was written at one of them. A worker serves one run after another, because libraries take seconds to start, until
it is killed.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tasks.store.files import Home

# All steps that write data; checks, monitor and report only read it.
STEPS = ("land", "build", "retrieve", "sample", "train", "evaluate", "gate", "publish")
KILLED = "killed"
_LIBRARIES = ("dbt.cli.main", "dbt.adapters.duckdb", "lightgbm", "numba", "pyarrow.parquet", "scipy.sparse")
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([*_LIBRARIES, "tasks.operations.run_all", "tasks.publishing.publish", "engine.ranking"])


@dataclass(frozen=True)
class Job:
    """A day to run, and after how many points to die (None: never)."""

    file: Path
    home: Path
    data: Path | None
    as_of: date
    attempt: str
    together: tuple[date, ...] = ()
    dies_after: int | None = None


class Workers:
    """Processes that run a job each at a time."""

    def __init__(self) -> None:
        self.idle: list[_Worker] = []

    def run(self, jobs: Sequence[Job]) -> list[str]:
        """Run jobs in parallel; the outcome of each is `published`, `failed a gate`, `killed`, or an error message."""
        while len(self.idle) < len(jobs):
            self.idle.append(_Worker())
        busy = [self.idle.pop() for _ in jobs]
        for worker, job in zip(busy, jobs, strict=True):
            worker.pipe.send(job)
        said = [worker.answer() for worker in busy]
        self.idle += [worker for worker, words in zip(busy, said, strict=True) if words != KILLED]
        return said

    def close(self) -> None:
        """End the processes."""
        for worker in self.idle:
            worker.pipe.close()
            worker.process.join()


@dataclass
class _Worker:
    pipe: Connection = field(init=False)
    process: Any = field(init=False)

    def __post_init__(self) -> None:
        self.pipe, theirs = _FORKS.Pipe()
        self.process = _FORKS.Process(target=_work, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def answer(self) -> str:
        try:
            return str(self.pipe.recv())
        except EOFError:
            self.process.join()
            return KILLED if self.process.exitcode == -signal.SIGKILL else f"exit code {self.process.exitcode}"


def _work(pipe: Connection) -> None:
    """Run one job after the other until the pipe is closed."""
    import warnings

    warnings.simplefilter("ignore")  # dbt leaves its log open
    os.environ.update(MATINEE_THREADS="1", OPENBLAS_NUM_THREADS="1", DBT_WRITE_JSON="false")
    while True:
        try:
            job: Job = pipe.recv()
        except EOFError:
            return
        pipe.send(_outcome(job))


def _outcome(job: Job) -> str:
    from tasks.errors import GateFailed
    from tasks.features.build import build_step
    from tasks.runs.failures import call_step
    from tasks.runs.run import Run
    from tasks.runs.steps import sequence
    from tests.overlapping import lines_with_a_key

    functions = {**sequence(), "build": lambda run: build_step(run, job.together)}
    run = Run.create(job.file, job.as_of, job.attempt, home=Home(job.home), data=job.data)
    try:
        with lines_with_a_key(), _mortal(job.dies_after) as point:
            for name in STEPS:
                point()
                call_step(run, name, functions[name])
    except GateFailed:
        return "failed a gate"
    except Exception as error:  # the test prints it, whatever it is
        return f"{job.as_of}, attempt {job.attempt}, {name}: {type(error).__name__}: {error}"
    return "published"


@contextmanager
def _mortal(points: int | None) -> Iterator[Callable[[], None]]:
    """Die after so many points."""
    from dbt.cli.main import dbtRunner

    count = itertools.count()

    def point() -> None:
        if next(count) == points:
            os.kill(os.getpid(), signal.SIGKILL)

    class Dbt(dbtRunner):  # type: ignore[misc]
        """Without dbt's tests: the rows themselves are compared."""

        def __init__(self, callbacks: Sequence[Any] = ()) -> None:
            die = lambda event: point() if event.info.name == "SQLQuery" else None  # noqa: E731
            super().__init__(callbacks=[*callbacks, die])

        def invoke(self, args: list[str], **more: Any) -> Any:
            return super().invoke([*args, "--exclude-resource-type", "test"], **more)

    rename = Path.rename

    def rename_after_a_point(path: Path, target: Path) -> Path:
        point()
        return rename(path, target)

    with ExitStack() as patched:
        patched.enter_context(patch("dbt.cli.main.dbtRunner", Dbt))
        patched.enter_context(patch.object(os, "fsync", lambda _: point()))  # what is written survives a kill anyway
        patched.enter_context(patch.object(Path, "rename", rename_after_a_point))
        yield point
