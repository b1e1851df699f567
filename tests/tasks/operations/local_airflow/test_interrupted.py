"""What is left of a `make run` that did not end: nothing that goes on unasked."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import cast

import psutil
import pytest

from tasks.operations.airflow_answers import Dag, DagRun
from tasks.operations.local_airflow.airflow_api import Airflow
from tasks.operations.local_airflow.interrupted import Driven, driven, settle_interrupted

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 3)


class Server:
    """An Airflow with one run that has ended and one that has not."""

    def __init__(self, *, paused: bool = True, states: tuple[str, ...] = ("success", "running")) -> None:
        self.paused, self.states, self.failed = paused, list(states), list[str]()

    def dag(self, _pipeline: str) -> Dag:
        return Dag(is_paused=self.paused)

    def pause(self, _pipeline: str, paused: bool) -> None:
        self.paused = paused

    def runs(self, _pipeline: str, first: date, last: date) -> list[DagRun]:
        assert (first, last) == (FIRST, LAST)
        return [
            DagRun(dag_run_id=str(number), state=state, logical_date=None, data_interval_start=None)
            for number, state in enumerate(self.states)
        ]

    def fail(self, _pipeline: str, run_id: str) -> None:
        self.failed.append(run_id)
        self.states[int(run_id)] = "failed"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "airflow").mkdir()
    return tmp_path


def of(server: Server) -> Airflow:
    return cast(Airflow, server)


def marker(home: Path) -> Path:
    return home / "airflow" / "make-run.json"


@pytest.mark.parametrize("paused", [True, False])
def test_after_days_that_ended_the_dag_is_as_before(paused: bool, home: Path) -> None:
    server = Server(paused=paused, states=("success", "failed"))
    with driven(of(server), home, "tiny", (FIRST, LAST)):
        assert server.paused is False
        assert marker(home).exists()
    assert (server.paused, server.states, server.failed) == (paused, ["success", "failed"], [])
    assert not marker(home).exists()


def test_an_interrupted_run_leaves_nothing_that_goes_on(home: Path) -> None:
    server = Server(states=("success", "running", "queued"))
    with pytest.raises(KeyboardInterrupt), driven(of(server), home, "tiny", (FIRST, LAST)):
        raise KeyboardInterrupt
    assert (server.paused, server.states) == (True, ["success", "failed", "failed"])
    assert server.failed == ["2", "1"], "else the waiting one would begin as soon as the running one has ended"
    assert not marker(home).exists()


def left_by(process: psutil.Process, home: Path) -> None:
    Driven(pipeline="tiny", first=FIRST, last=LAST, was_paused=True, pid=process.pid, born=process.create_time()).write(
        marker(home)
    )


def test_what_a_killed_run_left_is_ended_by_the_next_start(home: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    left_by(psutil.Process(process.pid), home)
    server, said = Server(paused=False), list[str]()
    settle_interrupted(of(server), home, said.append)
    assert (said, server.states) == ([], ["success", "running"]), "it is alive, and drives its days itself"
    process.kill()
    process.wait()
    settle_interrupted(of(server), home, said.append)
    assert said == ["an earlier run of tiny, 2026-03-01 to 2026-03-03, was interrupted: ending what is left"]
    assert (server.paused, server.states) == (True, ["success", "failed"])
    settle_interrupted(of(server), home, said.append)
    assert len(said) == 1


def test_another_process_of_the_same_number_is_not_taken_for_it(home: Path) -> None:
    me = psutil.Process()
    left_by(me, home)
    record = Driven.read(marker(home))
    assert record.is_alive
    assert not record.model_copy(update={"born": record.born - 100}).is_alive
