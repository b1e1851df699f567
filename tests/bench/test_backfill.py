"""What the benchmark of backfills computes itself: without a scheduler, which it is about."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import cast

import pytest

from bench import _results
from bench import _through_airflow as scheduler
from tasks.operations.airflow_answers import DagRun
from tasks.operations.local_airflow.airflow_api import Airflow
from tasks.store.files import Home, write_json
from tasks.store.registry import move_alias
from tests.tasks.handmade import published

DAYS = [date(2026, 3, day) for day in (1, 2, 3)]


class Runs:
    """An Airflow whose runs end one at each poll."""

    def __init__(self, *days: date) -> None:
        self.all = {f"backfill__{day}": "queued" for day in days}
        self.most = 0

    def runs(self, _pipeline: str, _first: date, _last: date) -> list[DagRun]:
        waiting = [name for name, state in self.all.items() if state == "queued"]
        self.most = max(self.most, sum(name.startswith("manual") for name in waiting))
        self.all |= dict.fromkeys(waiting[:1], "success")
        return [
            DagRun(dag_run_id=name, state=state, logical_date=None, data_interval_start=None)
            for name, state in self.all.items()
        ]

    def trigger(self, _pipeline: str, day: date) -> None:
        self.all[f"manual__{day}"] = "queued"


def test_daily_runs_follow_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    airflow = Runs(DAYS[0])
    scheduler.follow(cast(Airflow, airflow), DAYS, DAYS[1:])
    assert set(airflow.all) == {"backfill__2026-03-01", "manual__2026-03-02", "manual__2026-03-03"}
    assert set(airflow.all.values()) == {"success"}
    assert airflow.most == 1


def test_runs_at_once_are_counted_by_time() -> None:
    assert scheduler.at_once([("08:00", "09:00"), ("08:30", "10:00"), ("09:00", "11:00")]) == 2


def test_lines_about_locks_are_found_in_all_logs(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "tasks" / "attempt=1.log"
    log.parent.mkdir(parents=True)
    log.write_text("unlocked the door\nIO Error: Could not set lock on file x\n")
    (tmp_path / "logs" / "scheduler.log").write_text("OperationalError: database is locked\n")
    assert scheduler.lines_about_locks(tmp_path) == [
        "logs/scheduler.log: OperationalError: database is locked",
        "logs/tasks/attempt=1.log: IO Error: Could not set lock on file x",
    ]


def test_what_a_component_says_of_locks_when_it_is_told_to_end_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    end = "Exiting gracefully upon receiving signal 15\ndatabase is locked\n"
    (tmp_path / "logs" / "dag-processor.log").write_text(f"{end}started again\nDatabase IS locked\n{end}")
    assert scheduler.lines_about_locks(tmp_path) == [
        "logs/dag-processor.log: database is locked",
        "logs/dag-processor.log: Database IS locked",
    ]


def test_registries_are_equal_whatever_the_order_of_days(tmp_path: Path) -> None:
    registries = []
    for name, days in (("forward", DAYS), ("backward", DAYS[::-1])):
        home = Home(tmp_path / name)
        for day in days:
            write_json(home.registry("streaming") / "versions" / f"{day}.aa" / "descriptor.json", {"as_of": str(day)})
            move_alias(home, "streaming", published(f"{day}.aa", day, why="all gates passed", content="0" * 64))
        registries.append(scheduler.published(home))
    assert registries[0] == registries[1]
    assert registries[0]["alias"] == {"version": "2026-03-03.aa", "as_of": "2026-03-03", "content": "0" * 64}
    assert len(registries[0]["versions"]) == len(registries[0]["timeline"]) == 3


def test_each_half_of_the_page_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_results, "FOLDER", tmp_path)
    for section, text in (("sql", "## B\n\n| old |"), ("scheduler", "## A\n\n| a |"), ("sql", "## B\n\n| b |")):
        _results.keep("backfill", "Backfills", ("scheduler", "sql"), section, text)
    assert (tmp_path / "backfill.md").read_text() == (
        "# Backfills\n\n<!-- scheduler -->\n## A\n\n| a |\n\n<!-- sql -->\n## B\n\n| b |\n"
    )
