"""Which processes of a live stack are killed, and how to tell that everything is back."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil

from bench._live_stack import LiveAirflow, LiveTask
from tasks.alerts.airflow_health import read_health
from tasks.errors import StackError
from tasks.operations.local_airflow.processes import processes_of, supervisor_of

PROGRAMS = 8
"""The supervisor and its programs: the database, four components, the watch and the keeper."""
WORKER, EXECUTOR = "airflow worker -- ", "airflow worker -- LocalExecutor: "
IDLE = "a worker without a task"
Find = Callable[[Path], list[psutil.Process]]


def title(process: psutil.Process) -> str:
    """What a process calls itself; nothing if it has ended."""
    try:
        return " ".join(process.cmdline()).strip() if process.status() != psutil.STATUS_ZOMBIE else ""
    except psutil.Error:
        return ""


def programs(home: Path) -> list[psutil.Process]:
    """List the live processes that the supervisor has started, and itself."""
    supervisor = supervisor_of(home)
    try:
        children = supervisor.children() if supervisor else []
    except psutil.Error:
        return []
    return [process for process in (supervisor, *children) if process and title(process)]


def _program(words: str) -> Find:
    return lambda home: [process for process in programs(home)[1:] if words in title(process)]


def backends(home: Path) -> list[psutil.Process]:
    """List the processes of the database server that answer a client."""
    servers = _program("bin/postgres ")(home)
    return [child for server in servers for child in server.children() if "[local]" in title(child)]


def workers(home: Path, *, idle: bool) -> list[psutil.Process]:
    """List the processes of the scheduler that wait for a task, or for the end of the one they have started."""
    titles = {process: title(process) for process in processes_of(home)}
    return [
        process for process, name in titles.items() if name.startswith(EXECUTOR) and name.endswith("<idle>") is idle
    ]


def running_tasks(home: Path) -> list[psutil.Process]:
    """List the processes in which a task runs."""
    return [
        process
        for process in processes_of(home)
        if title(process).startswith(WORKER) and not title(process).startswith(EXECUTOR)
    ]


VICTIMS: dict[str, Find] = {
    "PostgreSQL, the server": _program("bin/postgres "),
    "PostgreSQL, one connection": backends,
    "scheduler": _program("airflow scheduler"),
    "API server": _program("api_server"),
    "DAG processor": _program("airflow dag-processor"),
    "a task": running_tasks,
    "a task's supervisor": lambda home: workers(home, idle=False),
    IDLE: lambda home: workers(home, idle=True),
    "the stack's supervisor": lambda home: programs(home)[:1],
}


def kill(home: Path, victim: str, draw: random.Random) -> datetime | None:
    """Kill a process, one by chance where there are several, and return when; None if there is none at the moment."""
    candidates = sorted(VICTIMS[victim](home), key=lambda process: process.pid)
    if not candidates:
        return None
    at = datetime.now(UTC)
    try:
        draw.choice(candidates).kill()
    except psutil.NoSuchProcess:  # it has ended by itself
        return None
    return at


def what_is_missing(api: LiveAirflow, home: Path, victim: str, since: datetime) -> str | None:
    """Say what is not back yet after a kill; None if everything is.

    Args:
        api: the stack.
        home: its state folder.
        victim: what was killed.
        since: when that was.
    """
    alive = len(programs(home))
    if alive < PROGRAMS:
        return f"{PROGRAMS - alive} programs"
    health = read_health(api.url)
    if not health.answers or not health.database:
        return "the API" if not health.answers else "the database"
    for name, beat in health.heartbeats.items():
        if beat is None or datetime.fromisoformat(beat) <= since:
            return f"a heartbeat of the {name}"
    try:
        tasks = api.live_tasks()
    except StackError:
        return "the API"
    # Tasks that run have a worker already: what such a kill breaks shows when the next one is to begin.
    if victim == IDLE and not any(task.start_date and task.start_date > since for task in tasks):
        return "a task that begins"
    return _unmoved(tasks, since)


def _unmoved(tasks: list[LiveTask], since: datetime) -> str | None:
    """Say which task nobody works on, or that nothing is worked on and nothing has begun or ended."""
    for task in tasks:
        if task.state == "running" and not is_worked_on(task.pid):
            return f"{task.name} of {task.dag_run_id}, which nobody works on"
        if task.state == "queued" and task.queued_when and task.queued_when < since:
            return f"{task.name} of {task.dag_run_id}, which is queued"
    moved = (moment for task in tasks for moment in (task.start_date, task.end_date))
    if any(task.state == "running" for task in tasks) or any(moment and moment > since for moment in moved):
        return None
    return "a task that begins or ends"


def is_worked_on(pid: int | None) -> bool:
    """Whether the process of a task lives, and another one that waits for it and reports what comes of it."""
    try:
        parent = psutil.Process(pid).parent() if pid else None
    except psutil.NoSuchProcess:
        return False
    return parent is not None and title(parent).startswith(EXECUTOR)
