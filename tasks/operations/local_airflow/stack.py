"""Start, stop and inspect the local Airflow stack, through a supervisor; airflow is never imported.

The supervisor (supervisord.conf) keeps api-server, scheduler and dag-processor alive.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tasks.alerts.airflow_health import StackState
from tasks.errors import StackError
from tasks.operations.airflow_answers import ComponentHealth
from tasks.operations.local_airflow.airflow_api import Airflow
from tasks.operations.local_airflow.environment import USER, bin_dir, full_env, password
from tasks.operations.local_airflow.interrupted import settle_interrupted
from tasks.operations.local_airflow.keeper import supervisor_command
from tasks.operations.local_airflow.metadata import metadata
from tasks.operations.local_airflow.processes import cpu_seconds, supervisor_of, sweep
from tasks.operations.local_airflow.sockets import airflow_home, state_file
from tasks.spec.project import TOOL, project, stack_command

PORTS = range(8080, 8180)
# A start takes about 30 CPU seconds. Components that have had three times as much, and are not healthy, will not be.
START_CPU = 90.0
LONGEST_START = 900.0
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
Say = Callable[[str], None]


def _silent(_: str) -> None:
    return


@dataclass(frozen=True)
class Stack:
    """A running stack.

    Attributes:
        home: state folder.
        port: port of UI and API.
        started: whether the call that returned this started it.
    """

    home: Path
    port: int
    started: bool = False

    @property
    def url(self) -> str:
        """Address of the UI."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def login(self) -> str:
        """User and password, for people."""
        return f"{USER} / {password(self.home)}"


@dataclass(frozen=True)
class Status:
    """Whether a stack runs, and the state of each component as Airflow reports it."""

    port: int | None
    components: dict[str, str] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Whether the supervisor is alive."""
        return self.port is not None

    @property
    def healthy(self) -> bool:
        """Whether every component answers or has a recent heartbeat."""
        return self.running and all(state == "healthy" for state in self.components.values())


def up(
    home: Path,
    port: int | None = None,
    *,
    scheduled: bool = True,
    extra: dict[str, str] | None = None,
    timeout: float = 120,
    say: Say = _silent,
) -> Stack:
    """Start the stack, or find it running, and wait until it is healthy and its pools exist.

    Args:
        home: state folder.
        port: port on 127.0.0.1; None: the one it runs on, or the first free one from 8080.
        scheduled: whether due runs start by themselves.
        extra: more environment for the components and the tasks, if they are started.
        timeout: seconds to wait for health; on a busy machine, where the components get little of it, longer.
        say: prints a line of text at each stage.

    Raises:
        StackError: a component does not come up, or the port is taken; with the end of its log.
    """
    home = home.resolve()
    if "%" in f"{home}{TOOL}{project()}":
        folders = f"{home} (MATINEE_HOME), {project()} (MATINEE_PROJECT) or {TOOL}"
        raise StackError(f"{folders}: supervisord takes '%' for a variable; expected folders without it")
    running = find(home)
    if running is not None:
        if port not in (None, running.port):
            raise StackError(
                f"the stack of {home} runs on port {running.port}, not {port}; `{stack_command('down')}` ends it"
            )
        say(f"Airflow is already running: {running.url}")
        _wait(running, timeout, say)
        return running
    chosen = _free_port(port)
    return _start(
        Stack(home, chosen, started=True), full_env(home, chosen, scheduled=scheduled) | (extra or {}), timeout, say
    )


def _start(stack: Stack, env: dict[str, str], timeout: float, say: Say) -> Stack:
    home = stack.home
    sweep(home)  # what a killed supervisor left behind would fight over the database
    prepare(home, stack.port, say)
    say(f"starting Airflow on {stack.url} …")
    StackState(port=stack.port).write(state_file(home))
    _checked(supervisor_command(), env)
    try:
        _wait(stack, timeout, say)
    except BaseException:  # Ctrl-C, too: a half-started Airflow must not stay behind
        down(home)
        raise
    return stack


def prepare(home: Path, port: int, say: Say = _silent) -> None:
    """Create the folders, the secrets and the metadata database, unless they exist.

    Raises:
        StackError: the database could not be created.
    """
    (home / "logs").mkdir(parents=True, exist_ok=True)
    airflow_home(home).mkdir(mode=0o700, exist_ok=True)
    env, database = full_env(home, port), metadata(home)
    if database.warning is not None:
        say(f"warning: {database.warning}")
    version = _checked([str(bin_dir() / "python"), "-c", _VERSION], env).strip()
    # `db migrate` takes 6 to 8 s: it runs again only for another version of Airflow, or another database.
    key = f"{version} {database.url}"
    stamp = airflow_home(home) / f"migrated-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    if not database.create() and stamp.exists():
        return
    say("preparing Airflow's database …")
    with database.running(env):
        _checked([str(bin_dir() / "airflow"), "db", "migrate"], env)
    stamp.touch()


_VERSION = "from importlib.metadata import version; print(version('apache-airflow-core'))"


def down(home: Path, *, say: Say = _silent) -> bool:
    """Stop the stack and everything it started, and say whether there was anything to stop."""
    home = home.resolve()
    # First of all: from here on, an end of the supervisor is no accident that the keeper should mend.
    state_file(home).unlink(missing_ok=True)
    supervisor = supervisor_of(home)
    if supervisor is not None:
        say("stopping Airflow …")
        supervisor.terminate()  # it ends its children itself, which takes up to `stopwaitsecs`
        try:
            supervisor.wait(30)
        except psutil.TimeoutExpired:
            supervisor.kill()
    orphans = sweep(home)
    return supervisor is not None or orphans > 0


def find(home: Path) -> Stack | None:
    """Find the running stack of `home`, if there is one."""
    home = home.resolve()
    if supervisor_of(home) is None or not state_file(home).exists():
        return None
    return Stack(home, StackState.read(state_file(home)).port)


def status(home: Path) -> Status:
    """Ask the supervisor and Airflow how they are."""
    stack = find(home)
    if stack is None:
        return Status(None)
    api = Airflow(stack.home, stack.port)
    try:
        return Status(stack.port, _components(api.health()))
    finally:
        api.close()


def _components(health: dict[str, ComponentHealth]) -> dict[str, str]:
    if not health:
        return dict.fromkeys(COMPONENTS, "does not answer")
    # The server that answers is alive; what can still be wrong with it is its database.
    keys = {name: "metadatabase" if name == "api-server" else name.replace("-", "_") for name in COMPONENTS}
    states = {name: health.get(key, ComponentHealth()).status for name, key in keys.items()}
    return {name: state or "no heartbeat yet" for name, state in states.items()}


def _wait(stack: Stack, timeout: float, say: Say) -> None:
    api, began, reported, warm = Airflow(stack.home, stack.port), time.monotonic(), 0.0, False
    try:
        while True:
            health = api.health()
            if health and not warm:
                api.warm_up()  # while the others are still starting
                warm = True
            states = _components(health)
            if all(state == "healthy" for state in states.values()):
                # Here, as only a healthy server can be asked.
                api.ensure_pools()
                return settle_interrupted(api, stack.home, say)
            if supervisor_of(stack.home) is None:
                raise StackError(f"the supervisor ended; see {stack.home / 'logs' / 'supervisord.log'}")
            waited = time.monotonic() - began
            if waited > LONGEST_START or (waited > timeout and cpu_seconds(stack.home) > START_CPU):
                raise StackError(_diagnosis(stack.home, states, waited))
            if waited - reported > 20:
                reported = waited
                missing = ", ".join(f"{name} ({state})" for name, state in states.items() if state != "healthy")
                say(f"  {waited:.0f} s, load {os.getloadavg()[0]:.1f}: waiting for {missing}")
            time.sleep(0.3)
    finally:
        api.close()


def _diagnosis(home: Path, states: dict[str, str], timeout: float) -> str:
    unhealthy = {name: state for name, state in states.items() if state != "healthy"}
    parts = [f"Airflow is not healthy after {timeout:.0f} s: {', '.join(f'{n} {s}' for n, s in unhealthy.items())}"]
    for name in unhealthy:
        log = home / "logs" / f"{name}.log"
        if log.exists():
            tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
            parts.append("\n".join([f"--- end of {log}", *tail]))
    return "\n".join(parts)


def _free_port(port: int | None) -> int:
    for candidate in PORTS if port is None else [port]:
        with socket.socket() as probe:
            # As the server does: a port whose connections have just ended counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return candidate
    wanted = f"port {port} is" if port is not None else f"ports {PORTS.start} to {PORTS.stop - 1} are"
    raise StackError(f"{wanted} taken on 127.0.0.1; choose another one with --port, or PORT=… of make")


def _checked(command: list[str], env: dict[str, str]) -> str:
    """Run a program, and return what it printed.

    Raises:
        StackError: it is missing, or it failed; with the end of its output.
    """
    if shutil.which(command[0]) is None:
        raise StackError(f"{command[0]} is missing; install what requirements.lock names (`make run` does)")
    done = subprocess.run(command, env=env, cwd=project(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        output = (done.stderr.strip() or done.stdout.strip()).splitlines()[-12:]
        raise StackError("\n".join([f"{' '.join(command)} failed with exit code {done.returncode}:", *output]))
    return done.stdout
