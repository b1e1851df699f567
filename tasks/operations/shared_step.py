"""A step whose work is shared, done by several processes of this machine, as Airflow's tasks do it."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from tasks.errors import MatineeError
from tasks.runs.failures import call_step
from tasks.runs.step_log import log_in_worker
from tasks.runs.steps import BY_NAME
from tasks.store.settings import TRAININGS

if TYPE_CHECKING:
    from tasks.runs.run import Run


def share(run: Run, step: str, workers: int) -> None:
    """Run a step in so many processes, until all of its work is done.

    Raises:
        MatineeError: the step failed in one of them, or a process was killed; what is done is kept.
    """
    # Fresh processes: a forked one would inherit locks of this one's threads in whatever state they are.
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare, initargs=(workers,)
    )
    try:
        for done in [pool.submit(_work, run, step, worker) for worker in range(1, workers + 1)]:
            done.result()
    except BrokenProcessPool:
        raise MatineeError(
            f"{run.spec.name} {run.as_of}: a process of the step {step} was killed (by the system, if memory ran out); "
            "what is done is kept. Run the same command again, with fewer --workers if memory ran out"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepare(workers: int) -> None:
    log_in_worker()
    os.environ[TRAININGS] = str(workers)  # they share the cores


def _work(run: Run, step: str, worker: int) -> None:
    call_step(run, step, BY_NAME[step].load(), worker)
