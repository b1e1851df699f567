"""The keeper starts a killed supervisor again, and leaves one alone whose end was wanted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tasks.operations.local_airflow.environment import full_env
from tasks.operations.local_airflow.keeper import bring_back
from tasks.operations.local_airflow.processes import processes_of
from tasks.operations.local_airflow.sockets import state_file
from tasks.spec.project import TOOL

# Stands for supervisord: says what of its environment the keeper must not pass on, and fails as often as asked for.
SUPERVISOR = """
import os, pathlib, sys
starts = pathlib.Path(sys.argv[1])
starts.open("a").write(f"{os.environ.get('SUPERVISOR_ENABLED')}\\n")
sys.exit("no space left" if len(starts.read_text().splitlines()) <= int(sys.argv[2]) else 0)
"""
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def wanted(tmp_path: Path) -> Path:
    """A state folder whose stack is to run."""
    for name in ("airflow", "logs"):
        (tmp_path / name).mkdir()
    state_file(tmp_path).write_text('{"port": 8080}', encoding="utf-8")
    return tmp_path


def supervisor(home: Path, failures: int = 0) -> list[str]:
    return [sys.executable, "-c", SUPERVISOR, str(home / "starts"), str(failures)]


def starts(home: Path) -> list[str]:
    path = home / "starts"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_what_a_killed_supervisor_left_is_ended_before_another_one_starts(
    wanted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERVISOR_ENABLED", "1")
    left = subprocess.Popen(SLEEP, env=full_env(wanted, 8080), start_new_session=True)
    assert bring_back(wanted, supervisor(wanted))
    left.wait()
    assert not psutil.pid_exists(left.pid)
    assert starts(wanted) == ["None"]
    assert "the supervisor was killed" in (wanted / "logs" / "keeper.log").read_text(encoding="utf-8")


def test_nothing_is_started_after_the_end_was_wanted(wanted: Path) -> None:
    state_file(wanted).unlink()
    assert not bring_back(wanted, supervisor(wanted))
    assert starts(wanted) == []


@pytest.mark.parametrize(("failures", "back"), [(2, True), (3, False)])
def test_a_start_that_fails_is_tried_again_and_its_error_kept(
    wanted: Path, failures: int, back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.operations.local_airflow.keeper.PAUSE", 0)
    assert bring_back(wanted, supervisor(wanted, failures), tries=3) is back
    assert len(starts(wanted)) == 3
    assert "no space left" in (wanted / "logs" / "keeper.log").read_text(encoding="utf-8")


def test_the_keeper_waits_for_the_end_of_the_process_that_holds_its_input(wanted: Path) -> None:
    """Killed as the supervisor is; and with nothing to be kept, the keeper ends with it."""
    keeper = [sys.executable, "-m", "tasks.operations.local_airflow.keeper"]
    parent = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE); print(child.pid, flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", parent, *keeper],
        env=full_env(wanted, 8080),
        cwd=TOOL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    child = psutil.Process(int(holder.stdout.readline()))
    assert child.is_running()
    state_file(wanted).unlink()
    holder.kill()
    holder.wait()
    holder.stdout.close()
    psutil.wait_procs([child], timeout=30)
    assert list(processes_of(wanted)) == []
