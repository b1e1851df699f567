"""The processes of a local Airflow stack, found by their environment.

Every process of the stack carries `MATINEE_STACK=<state folder>`: that is how `down` finds what a component left
behind, also after the supervisor itself was killed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from tasks.operations.local_airflow.sockets import airflow_home

SWEEPS = 5  # a process that is about to be killed may have started another one meanwhile


def supervisor_of(home: Path) -> psutil.Process | None:
    """Find the live supervisor; its pid file may be old, and the pid another process's by now."""
    try:
        process = psutil.Process(int((airflow_home(home) / "supervisord.pid").read_text(encoding="utf-8")))
        mine = process.environ().get("MATINEE_STACK") == str(home)
        return process if mine and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, psutil.Error):
        return None


def processes_of(home: Path) -> Iterable[psutil.Process]:
    """Find the processes of the stack of `home`, but for this one."""
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("MATINEE_STACK") == str(home):
                yield process
        except (psutil.Error, OSError):  # it has ended meanwhile, or is another user's
            continue


def cpu_seconds(home: Path) -> float:
    """Sum the CPU seconds, user and system, of the stack's live processes."""
    total = 0.0
    for process in processes_of(home):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def idle_orphans(home: Path) -> list[psutil.Process]:
    """List the workers of a killed scheduler that have nothing to do.

    A worker outlives its scheduler: it finishes its task, which is wanted, and then waits for ever for another one.
    """
    idle, others = _idle_workers(home)
    return [worker for worker in idle if worker.ppid() not in others]


def schedulers_with_idle_workers(home: Path) -> list[psutil.Process]:
    """List the live schedulers that have a worker without a task."""
    idle, others = _idle_workers(home)
    parents = {worker.ppid() for worker in idle}
    return [process for pid, process in sorted(others.items()) if pid in parents]


def _idle_workers(home: Path) -> tuple[list[psutil.Process], dict[int, psutil.Process]]:
    """Find the workers without a task, and the other processes of the stack."""
    idle, others = [], {}
    for process in processes_of(home):
        try:
            title = " ".join(process.cmdline()).strip()
        except psutil.Error:
            continue
        # A worker shows what it does in its title; nothing else in the stack is called so.
        if "LocalExecutor" in title and title.endswith("<idle>"):
            idle.append(process)
        else:
            others[process.pid] = process
    return idle, others


def end_idle_orphans(home: Path) -> int:
    """End the workers of a killed scheduler that have nothing to do, and count them."""
    orphans = idle_orphans(home)
    for process in orphans:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return len(orphans)


def sweep(home: Path) -> int:
    """Kill every process that belongs to the stack of `home`, and count them.

    Airflow's tasks lead process groups of their own, so ending the components' groups does not end them.
    """
    ended: set[int] = set()
    for _ in range(SWEEPS):
        processes = list(processes_of(home))
        if not processes:
            break
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=10)
        ended |= {process.pid for process in processes}
    return len(ended)
