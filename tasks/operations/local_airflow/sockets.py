"""Airflow's folder, and in it that of Unix sockets: private, and with a name that is short enough."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from tasks.errors import StackError


def airflow_home(home: Path) -> Path:
    """Locate Airflow's own folder in the state folder."""
    return home / "airflow"


def state_file(home: Path) -> Path:
    """Locate the file that says where the stack listens; it is there as long as the stack is to run."""
    return airflow_home(home) / "stack.json"


def socket_path(home: Path) -> Path:
    """Locate the supervisor's control socket."""
    return sockets(home) / "supervisor.sock"


def sockets(home: Path) -> Path:
    """Create the folder of a state folder's sockets."""
    return private_folder(airflow_home(home) / "sockets", home)


def private_folder(path: Path, home: Path) -> Path:
    """Create a folder for sockets that only its owner can enter: `path`, or one with a shorter name.

    Socket addresses hold 104 (macOS) to 108 (Linux) bytes; the names of the sockets take 16 of them, and the supervisor
    adds up to ten while it binds.

    Raises:
        StackError: a folder of that name belongs to somebody else.
    """
    if len(os.fsencode(path)) > 75:
        key = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
        path = Path(tempfile.gettempdir()) / f"matinee-{os.getuid()}-{key}"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_uid != os.getuid() or path.stat().st_mode & 0o077:
        raise StackError(f"{path} belongs to somebody else or is open to others; remove it, or set MATINEE_HOME")
    return path
