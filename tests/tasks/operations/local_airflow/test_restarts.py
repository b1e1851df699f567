"""What `make run` keeps of days of which one failed, and what it runs again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any, cast

import pytest

from tasks.errors import BuildError
from tasks.operations.airflow_answers import DagRun, Task
from tasks.operations.local_airflow import restarts as module
from tasks.operations.local_airflow.airflow_api import Airflow, TaskId
from tasks.operations.local_airflow.make_run import _again
from tasks.operations.local_airflow.restarts import Restart, restarts, to_clear, whole_day, why_anew
from tasks.operations.plan import Reason, RunPlan
from tasks.operations.progress import Progress
from tasks.runs.attempts import attempt_of
from tasks.runs.run import Run
from tasks.sources.land import LandResult
from tasks.spec.populations import slug
from tasks.store.files import Home
from tests.tasks.handmade import day, sample_of, spec_of

DAYS = (day("02-20"), day("02-21"), day("02-22"))
BEFORE_TRAIN = ("land", "check_landed", "build", "check_features", "retrieve", "sample", "check_examples")
LANDED = LandResult(
    source="simulated", start=DAYS[0], end=DAYS[0], partitions={}, rows={}, rows_of_day={}, rejects=0, digest="d" * 64
)


def task(name: str, state: str | None = "success", index: int = -1, population: str | None = None) -> Task:
    return Task(task_id=name, state=state, map_index=index, rendered_map_index=population)


SUCCEEDED = [
    *map(task, (*BEFORE_TRAIN, "populations")), task("train", index=0, population="BR"),
    task("train", index=1, population="*"), *map(task, ("evaluate", "check_predictions", "gate", "publish", "monitor")),
    task("report"),
]  # fmt: skip
FAILED = [
    *map(task, (*BEFORE_TRAIN, "populations")), task("train", index=0, population="BR"),
    task("train", "failed", 1, "*"), task("evaluate", "upstream_failed"), task("check_predictions", "upstream_failed"),
    task("gate", "upstream_failed"), task("publish", "upstream_failed"), task("monitor"), task("report", "failed"),
]  # fmt: skip
REST: tuple[TaskId, ...] = ("evaluate", "check_predictions", "gate", "publish")


class Server:
    """An Airflow with runs of some days, which says what it is told to do."""

    def __init__(self, tasks: dict[date, list[Task]], canceled: tuple[date, ...] = ()) -> None:
        self.of, self.canceled, self.told = tasks, canceled, list[Any]()

    def runs(self, _pipeline: str, first: date, last: date) -> list[DagRun]:
        return [
            DagRun.model_validate({
                "dag_run_id": f"backfill__{one}",
                "state": "failed" if any(task.state == "failed" for task in tasks) else "success",
                "logical_date": f"{one}T00:00:00Z",
                "data_interval_start": f"{one}T00:00:00Z",
                "run_type": "backfill",
            })
            for one, tasks in sorted(self.of.items())
            if first <= one <= last
        ]  # fmt: skip

    def tasks(self, _pipeline: str, run_id: str) -> list[Task]:
        return self.of[date.fromisoformat(run_id.partition("__")[2])]

    def was_canceled(self, _pipeline: str, one: date) -> bool:
        return one in self.canceled

    def trigger(self, _pipeline: str, one: date) -> None:
        self._does("trigger", one, SUCCEEDED)

    def clear(self, _pipeline: str, run_id: str) -> None:
        self._does("clear", date.fromisoformat(run_id.partition("__")[2]), SUCCEEDED)

    def backfill(self, _pipeline: str, first: date, last: date, *, parallel: int) -> None:
        assert (first, parallel) == (last, 1)
        self._does("backfill", first, SUCCEEDED)

    def clear_tasks(self, _pipeline: str, run_id: str, tasks: tuple[TaskId, ...]) -> None:
        self._does(("clear", tasks), date.fromisoformat(run_id.partition("__")[2]), SUCCEEDED)

    def _does(self, what: Any, one: date, tasks: list[Task]) -> None:
        self.told.append((what, one))
        self.of[one] = tasks


def of(server: Server) -> Airflow:
    return cast(Airflow, server)


@pytest.fixture
def runs(home: Home, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Three days whose tasks, where they succeed, have left folders."""
    monkeypatch.setattr(module, "landing_digest", lambda run: LANDED.digest)
    monkeypatch.setattr(module, "plan_run", lambda run: RunPlan(run.as_of, (), None, published=False))
    runs = [Run(spec_of(), home, one, "") for one in DAYS]
    for run in runs:
        leave(replace(run, attempt=attempt_of(f"backfill__{run.as_of}")))
    return runs


@pytest.fixture
def home(tmp_path: Any) -> Home:
    return Home(tmp_path)


def leave(run: Run) -> None:
    names = [task.task_id for task in SUCCEEDED if task.map_index < 0 and task.task_id not in ("populations", "report")]
    for name in [*names, *(f"train/{slug(population)}" for population in ("BR", "*"))]:
        with run.write(name) as folder:
            folder.result = LANDED if name == "land" else sample_of({"BR": 20})


def attempt(run: Run) -> Run:
    return replace(run, attempt=attempt_of(f"backfill__{run.as_of}"))


def test_days_that_have_not_failed_are_run_as_they_were_asked_for(runs: list[Run]) -> None:
    assert restarts(of(Server({})), runs) == ()
    assert restarts(of(Server({DAYS[0]: SUCCEEDED, DAYS[1]: SUCCEEDED})), runs) == ()


def test_a_failed_day_goes_on_where_it_stopped_and_those_behind_it_compare_again(runs: list[Run]) -> None:
    server = Server({DAYS[0]: SUCCEEDED, DAYS[1]: FAILED, DAYS[2]: SUCCEEDED})
    planned = restarts(of(server), runs)
    assert [(one.tasks, one.anew) for one in planned] == [
        ((), None),
        ((("train", 1), *REST, "report"), None),
        (REST, None),
    ]
    assert [one.text.partition(" ")[2] for one in planned] == [
        "is kept: it succeeded, and nothing that it was made from has changed",
        "goes on with train, evaluate, check_predictions, gate, publish, report; what succeeded before is kept",
        "goes on with evaluate, check_predictions, gate, publish; what succeeded before is kept",
    ]
    days = _again(of(server), "tiny", planned, cast(Progress, Shown()))
    assert server.told == [(("clear", planned[1].tasks), DAYS[1]), (("clear", REST), DAYS[2])]
    assert [(one.as_of, one.succeeded) for one in days] == [(one, True) for one in DAYS]


class Shown:
    def show(self, _steps: Any) -> None:
        pass


def test_days_behind_one_that_fails_again_do_not_begin(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server({DAYS[0]: FAILED})
    monkeypatch.setattr(server, "_does", lambda what, one, tasks: server.told.append((what, one)))
    planned = restarts(of(server), runs)
    assert [one.text.partition(" ")[2] for one in planned[1:]] == ["has not run yet", "has not run yet"]
    assert [one.succeeded for one in _again(of(server), "tiny", planned, cast(Progress, Shown()))] == [False]
    assert [one for _, one in server.told] == [DAYS[0]]


def test_tasks_that_were_skipped_or_never_began_run_too() -> None:
    """An interrupted run is marked as failed, and Airflow then calls what had not begun skipped."""
    tasks = [
        task("land"),
        task("train", "removed", 2),
        task("train", "skipped"),
        task("gate", None),
        task("report", ""),
    ]
    assert list(to_clear(tasks)) == ["train", "gate", "report"]


def test_what_changed_since_is_named_and_the_day_begins_anew(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    other = [replace(run, spec=spec_of(description="Another one.")) for run in runs[:1]]
    (restart,) = restarts(of(Server({DAYS[0]: FAILED})), other)
    assert restart.text == f"{DAYS[0]} begins anew: changed since land: the pipeline file"
    server = Server({DAYS[0]: FAILED})
    restart.begin(of(server), "tiny")
    assert server.told == [("clear", DAYS[0])]
    monkeypatch.setattr(module, "landing_digest", lambda run: "e" * 64)
    assert why_anew(attempt(runs[0]), FAILED[:9]) == "other rows have been landed since"


@pytest.mark.parametrize(
    ("what", "finished", "why"),
    [
        ("features", ("land", "build"), "features of 2026-02-20 to be made: never built"),
        ("load events", ("land", "build"), "load events of 2026-02-20 to be made: never built"),
        ("features", ("land",), None),
        ("candidates", ("land", "build"), None),
        ("candidates", ("land", "build", "retrieve"), "candidates of 2026-02-20 to be made: never built"),
    ],
)
def test_tables_that_are_gone_are_made_by_the_day_itself(
    what: str, finished: tuple[str, ...], why: str | None, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = Reason(what, (DAYS[0],), "never built")
    monkeypatch.setattr(module, "plan_run", lambda run: RunPlan(run.as_of, (reason,), None, published=False))
    assert why_anew(attempt(runs[0]), [task(name) for name in finished]) == why


def test_results_that_are_gone_or_damaged_are_not_kept(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    run = attempt(runs[0])
    result = run.step_dir("sample") / "result.json"
    result.write_text(result.read_text().replace("20", "21"))
    assert why_anew(run, FAILED[:9]) == "what sample left is damaged (result.json was changed)"
    assert why_anew(run, [task("train", index=0, population="US")]) == "what train[US] left is gone"

    def broken(_run: Run) -> RunPlan:
        raise BuildError("the warehouse is damaged")

    monkeypatch.setattr(module, "plan_run", broken)
    assert why_anew(run, [task("land")]) == "the warehouse is damaged"


def test_a_run_of_a_canceled_backfill_is_run_by_a_new_one(runs: list[Run]) -> None:
    """Airflow starts no run of a canceled backfill, also when its tasks are cleared."""
    server = Server({DAYS[0]: FAILED}, canceled=(DAYS[0],))
    planned = restarts(of(server), runs[:1])
    assert planned[0].text.endswith("begins anew: the backfill that it belongs to was canceled")
    planned[0].begin(of(server), "tiny")
    whole_day(of(server), "tiny", DAYS[0]).begin(of(server), "tiny")
    assert server.told == [("backfill", DAYS[0]), ("backfill", DAYS[0])]


def test_a_whole_day_is_cleared_or_triggered() -> None:
    server, last = Server({DAYS[0]: SUCCEEDED}), DAYS[0] + timedelta(days=1)
    for one in (DAYS[0], last):
        whole_day(of(server), "tiny", one).begin(of(server), "tiny")
    assert server.told == [("clear", DAYS[0]), ("trigger", last)]
    assert whole_day(of(Server({})), "tiny", last) == Restart(last)
