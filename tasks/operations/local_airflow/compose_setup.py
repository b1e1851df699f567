"""The set-up job of docker-compose.yml: database, pools, password file. It can be run again."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tasks.errors import StackError
from tasks.operations.local_airflow.environment import USER
from tasks.operations.pools import pools


def commands() -> list[list[str]]:
    """List the Airflow commands that set up an empty database."""
    wanted = [["airflow", "pools", "set", name, str(pool.slots), pool.text] for name, pool in pools().items()]
    return [["airflow", "db", "migrate"], *wanted]


def write_passwords(path: Path, password: str) -> None:
    """Write the password file of Airflow's simple auth manager, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A file that exists keeps its mode: it is made anew, so that nobody else can read it for a moment.
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        json.dump({USER: password}, stream)


def main() -> None:
    """Set up the database, the pools and the password file.

    Raises:
        StackError: a variable of .env is missing, or a command failed.
    """
    names = ("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", "MATINEE_ADMIN_PASSWORD")
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        raise StackError(f"not set: {', '.join(missing)}; see .env.example")
    write_passwords(Path(os.environ[names[0]]), os.environ[names[1]])
    for command in commands():
        done = subprocess.run(command, check=False)
        if done.returncode != 0:
            raise StackError(f"{' '.join(command)} failed with exit code {done.returncode}")


if __name__ == "__main__":
    main()
