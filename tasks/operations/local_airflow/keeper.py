"""Brings the supervisor back when it is killed, as the supervisor brings back this process: they keep each other.

Without the supervisor nobody restarts what dies, and a new one could not take over the components of the old one: the
database refuses a second server, and ports are taken. So what is left is killed, and all of it is started again; to
runs that is one more component that was killed. `make down` says beforehand that the end is wanted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tasks.operations.local_airflow.environment import bin_dir
from tasks.operations.local_airflow.processes import sweep
from tasks.operations.local_airflow.sockets import state_file
from tasks.spec.project import TOOL, project

TRIES = 5
PAUSE = 2.0  # seconds between two tries: a full disk or a busy machine may be over by then


def supervisor_command() -> list[str]:
    """Command line that starts the supervisor, which puts itself into the background."""
    return [str(bin_dir() / "supervisord"), "--configuration", str(TOOL / "supervisord.conf")]


def bring_back(home: Path, command: list[str], tries: int = TRIES) -> bool:
    """Start the supervisor again, unless its end was wanted.

    Args:
        home: state folder.
        command: command line that starts the supervisor.
        tries: how often it may fail.

    Returns:
        Whether it runs; False, too, if it is not to run.
    """
    # The supervisor tells its programs who started them; the next one is told by the next supervisor.
    env = {name: value for name, value in os.environ.items() if not name.startswith("SUPERVISOR_")}
    for attempt in range(tries):
        if not state_file(home).exists():
            return False
        ended = sweep(home)
        _say(home, f"the supervisor was killed: {ended} processes of its stack are ended, all is started again")
        done = subprocess.run(command, env=env, cwd=project(), capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return True
        _say(home, f"try {attempt + 1} of {tries}: {' '.join(command)} failed: {done.stderr.strip()}")
        time.sleep(PAUSE)
    return False


def _say(home: Path, text: str) -> None:
    # A file of our own: the one that the supervisor gave us went with it.
    with (home / "logs" / "keeper.log").open("a", encoding="utf-8") as log:
        log.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}\n")


def main() -> None:
    """Wait for the end of the supervisor, then start it again."""
    # Its other end is the supervisor's, who never writes: reading ends when that process does, however it does.
    sys.stdin.buffer.read()
    bring_back(Path(os.environ["MATINEE_STACK"]), supervisor_command())


if __name__ == "__main__":
    main()
