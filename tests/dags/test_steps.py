"""What a task does around its step, and a whole DAG run in process with steps that only write down their names."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tasks.errors import BuildError, CheckFailed, TrainingError
from tasks.runs import steps
from tasks.runs.run import Run
from tasks.spec.project import TOOL
from tasks.store.files import Home
from tests.dags.test_pipelines import TUNED
from tests.tasks.handmade import spec_of

Make = Callable[..., Path]
DAY = datetime(2026, 3, 1, tzinfo=UTC)
CONTEXT = {"run_id": "r", "data_interval_start": DAY, "dag": SimpleNamespace(dag_id="streaming")}
FIRST_TRY = SimpleNamespace(try_number=1, max_tries=5, task=SimpleNamespace(retry_delay=timedelta(seconds=10)))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, ...]]:
    """Replace every step by one that notes what it was called with; return the notes."""
    import dags.steps

    made: list[tuple[str, ...]] = []
    module = types.ModuleType("steps_of_the_test")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def note(what: str) -> Callable[..., Any]:
        def step(run: Run, *args: Any) -> Any:
            made.append((what, str(run.as_of), run.attempt, *(str(arg) for arg in args)))
            return ["*", "BR"] if what == "populations" else {"rows": 3, "paths": ["a"]}

        return step

    monkeypatch.setattr(steps, "ROOT", module.__name__)
    for what, step in dags.steps.BY_NAME.items():
        monkeypatch.setitem(sys.modules, step.module, module)
        setattr(module, step.function.partition(":")[2], note(what))

    def create(path: str, as_of: date, attempt: str) -> Run:
        return Run(spec_of(name=Path(path).stem), Home(tmp_path), as_of, attempt)

    monkeypatch.setattr(Run, "create", create)
    return made


# dag.test() starts Airflow's own API server in this process, which uses deprecated parts of its libraries.
in_process = pytest.mark.filterwarnings("default")


def run_dag(name: str) -> Any:
    from airflow.sdk import DAG

    from dags.pipelines import pipeline_dag

    dag: DAG = pipeline_dag(name)
    return dag.test(logical_date=DAY)


@in_process
def test_every_step_is_called_once_for_the_day(calls: list[tuple[str, ...]], pipelines: Make) -> None:
    pipelines("streaming")
    assert run_dag("streaming").state == "success"
    names = [call[0] for call in calls]
    assert sorted(names) == sorted(
        [
            "land",
            "check_landed",
            "build",
            "check_features",
            "retrieve",
            "sample",
            "check_examples",
            "populations",
            "train",
            "train",
            "evaluate",
            "check_predictions",
            "gate",
            "publish",
            "monitor",
            "report",
        ]
    )
    assert {call[1] for call in calls} == {"2026-03-01"}
    assert {call[3] for call in calls if call[0] == "train"} == {"*", "BR"}
    assert names[-1] == "report"


@in_process
def test_trials_are_a_step_of_pipelines_that_tune(
    calls: list[tuple[str, ...]], pipelines: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_TRAININGS", "2")
    pipelines(streaming=TUNED)
    assert run_dag("streaming").state == "success"
    assert sorted(call[3] for call in calls if call[0] == "tune") == ["1", "2"]
    names = [call[0] for call in calls]
    assert names.index("populations") < names.index("tune") < names.index("train")


def break_step(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(sys.modules["steps_of_the_test"], name, fail)


@in_process
def test_failed_check_stops_what_follows_and_turns_the_run_red(
    calls: list[tuple[str, ...]], pipelines: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_step(monkeypatch, "check_features", CheckFailed("prices: found -1, expected at least 0"))
    pipelines("streaming")
    assert run_dag("streaming").state == "failed"
    assert [call[0] for call in calls] == ["land", "check_landed", "build", "report"]


@in_process
def test_drift_is_measured_even_if_a_training_fails(
    pipelines: Make, monkeypatch: pytest.MonkeyPatch, calls: list[tuple[str, ...]]
) -> None:
    break_step(monkeypatch, "train_step", TrainingError("no rows"))
    pipelines("streaming")
    assert run_dag("streaming").state == "failed"
    names = {call[0] for call in calls}
    assert {"monitor", "report"} <= names
    assert "evaluate" not in names


def test_a_run_without_an_interval_fails() -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from dags.context import day_of

    with pytest.raises(AirflowFailException, match="run manual__x has no data interval, so it has no as-of day"):
        day_of({"run_id": "manual__x"})


def test_day_is_the_start_of_the_interval() -> None:
    from dags.context import day_of

    assert day_of({"run_id": "r", "data_interval_start": DAY}) == date(2026, 3, 1)


@pytest.mark.parametrize(("chosen", "refused"), [("2026-03-01", False), ("2026-03-02", False), ("2026-02-10", True)])
def test_an_interval_that_the_chosen_date_does_not_mean_is_refused(chosen: str, refused: bool) -> None:
    """Today's date means yesterday; `airflow dags trigger` gives every date yesterday's interval."""
    from airflow.sdk.exceptions import AirflowFailException

    from dags.context import day_of

    logical = datetime.fromisoformat(f"{chosen}T09:30:00+00:00")
    dag = SimpleNamespace(dag_id="tiny")
    context = {"run_id": "r", "dag": dag, "data_interval_start": DAY, "logical_date": logical}
    if refused:
        with pytest.raises(AirflowFailException, match=r"or with `matinee stack run tiny --days 1 --as-of 2026-02-10`"):
            day_of(context)
    else:
        assert day_of(context) == date(2026, 3, 1)


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("America/New_York", "2026-03-08"),  # the clocks change
        ("Europe/Berlin", "2026-03-29"),
        ("Europe/Berlin", "2026-10-25"),
        ("Asia/Kathmandu", "2028-02-29"),
        ("Pacific/Auckland", "2027-01-01"),
    ],
)
def test_the_day_is_the_utc_day_wherever_the_scheduler_thinks_it_is(zone: str, day: str) -> None:
    from dags.context import day_of

    start = datetime.fromisoformat(f"{day}T00:00:00+00:00").astimezone(ZoneInfo(zone))
    assert day_of({"run_id": "r", "data_interval_start": start}) == date.fromisoformat(day)


def test_intervals_are_utc_days_under_a_scheduler_of_another_time_zone() -> None:
    """New York's clocks change on 2026-03-08; an interval that followed them would begin at 05:00 UTC, then 04:00."""
    script = """
import datetime
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction
from dags.pipelines import pipeline_dag

table = DagSerialization.from_dict(DagSerialization.to_dict(pipeline_dag("streaming"))).timetable
first = datetime.datetime(2026, 3, 8, tzinfo=datetime.UTC)
last = None
for _ in range(3):
    last = table.next_dagrun_info(
        last_automated_data_interval=last, restriction=TimeRestriction(first, None, True)
    ).data_interval
    print(last.start.isoformat(), last.end.isoformat())
"""
    zone = {"TZ": "America/New_York", "AIRFLOW__CORE__DEFAULT_TIMEZONE": "America/New_York"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **zone},
        cwd=TOOL,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-3:] == [
        f"2026-03-{day:02}T00:00:00+00:00 2026-03-{day + 1:02}T00:00:00+00:00" for day in (8, 9, 10)
    ]


@pytest.mark.parametrize(("error", "retried"), [(CheckFailed("bad"), False), (BuildError("busy"), True)])
def test_only_failures_that_may_pass_are_retried(
    error: Exception,
    retried: bool,
    monkeypatch: pytest.MonkeyPatch,
    calls: list[tuple[str, ...]],
    pipelines: Make,
    tmp_path: Path,
) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    import dags.steps

    def fail(*_: Any) -> None:
        raise error

    pipelines("streaming")
    monkeypatch.setattr(sys.modules["steps_of_the_test"], "build_step", fail)
    ti = SimpleNamespace(try_number=1, max_tries=1, task=SimpleNamespace(retry_delay=timedelta(seconds=10)))
    context = {**CONTEXT, "ti": ti}
    monkeypatch.setattr(dags.steps, "get_current_context", lambda: context)
    with pytest.raises(AirflowException, match=f"^{type(error).__name__}: {error}$") as caught:
        dags.steps.call("build")
    assert isinstance(caught.value, AirflowFailException) is not retried
    kept = tmp_path / "runs" / "streaming" / "2026-03-01" / "r" / "errors" / "build.txt"
    assert kept.read_text() == f"{error}\n"


@pytest.mark.parametrize("error", [BuildError, ZeroDivisionError])
def test_an_error_that_says_the_same_twice_is_final(
    error: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
    calls: list[tuple[str, ...]],
    pipelines: Make,
    tmp_path: Path,
) -> None:
    """Tries are for tasks that are killed: those have no words, and an older try's words are not theirs."""
    from airflow.sdk.exceptions import AirflowFailException

    import dags.steps

    words = iter(["busy: 1", "busy: 2", "broken", "broken"])

    def fail(*_: Any) -> None:
        raise error(next(words))

    pipelines("streaming")
    monkeypatch.setattr(sys.modules["steps_of_the_test"], "build_step", fail)
    monkeypatch.setattr(dags.steps, "get_current_context", lambda: {**CONTEXT, "ti": FIRST_TRY})
    final = []
    for said in ("busy: 1", "busy: 2", "broken", "broken"):
        with pytest.raises(Exception, match=said) as caught:
            dags.steps.call("build")
        final.append(isinstance(caught.value, AirflowFailException))
    assert final == [False, False, False, True]


def test_a_step_that_takes_too_long_twice_is_final(
    monkeypatch: pytest.MonkeyPatch, calls: list[tuple[str, ...]], pipelines: Make, tmp_path: Path
) -> None:
    """Airflow ends it with an exception that is no `Exception`; six tries of two hours would be half a day."""
    from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout

    import dags.steps

    def fail(*_: Any) -> None:
        raise AirflowTaskTimeout

    pipelines("streaming")
    task = SimpleNamespace(execution_timeout=timedelta(hours=2))
    context = {**CONTEXT, "task": task, "ti": FIRST_TRY}
    monkeypatch.setattr(sys.modules["steps_of_the_test"], "build_step", fail)
    monkeypatch.setattr(dags.steps, "get_current_context", lambda: context)
    with pytest.raises(AirflowTaskTimeout):
        dags.steps.call("build")
    kept = tmp_path / "runs" / "streaming" / "2026-03-01" / "r" / "errors" / "build.txt"
    assert kept.read_text() == "the step build ran longer than 2:00:00, the limit of a task\n"
    with pytest.raises(AirflowFailException):
        dags.steps.call("build")


def test_green_run_stays_green() -> None:
    from dags.steps import raise_if_red

    raise_if_red({}, {"land": "success", "train_0": "success", "monitor": "skipped", "report": "running"})


def test_report_names_what_failed_and_what_was_stopped(calls: list[tuple[str, ...]]) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from dags.steps import raise_if_red

    with pytest.raises(AirflowFailException, match=r"^failed: build; not run: publish, sample$"):
        raise_if_red(CONTEXT, {"build": "failed", "sample": "upstream_failed", "publish": "upstream_failed"})


def test_a_build_gets_the_days_that_wait_for_the_same() -> None:
    from types import SimpleNamespace

    import pendulum

    from dags.context import waiting_days

    counted: list[int] = []
    queued = {datetime(2026, 2, 27, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)}

    def count(*, dag_id: str, logical_dates: list[datetime], states: list[str]) -> int:
        assert (dag_id, states) == ("streaming", ["queued", "running"])
        assert all(instant.tzinfo is not None for instant in logical_dates)  # Airflow refuses others
        counted.append(len(logical_dates))
        return len(queued & set(logical_dates))

    context = {
        "data_interval_start": pendulum.instance(DAY),  # as Airflow has it
        "dag": SimpleNamespace(dag_id="streaming"),
        "ti": SimpleNamespace(get_dr_count=count),
    }
    assert waiting_days(context) == [date(2026, 2, 27), date(2026, 3, 4)]
    queued.update(DAY + timedelta(days=n) for n in range(1, 30))
    counted.clear()
    assert waiting_days(context) == [date(2026, 2, 27), *(date(2026, 3, 1 + n) for n in range(1, 30))]
    assert len(counted) < 25  # a range costs a few more, not one a day
    queued.clear()
    counted.clear()
    assert waiting_days(context) == []
    assert counted == [62]  # a day that runs alone costs one question


def test_xcoms_and_extras_are_short() -> None:
    from dags.steps import short

    result = {
        "version": "2026-03-01.aaaa",
        "rows": {"events": 10, "users": 2},
        "folders": {str(n): f"retrieval/{n}" for n in range(40)},
        "judged": [1, 2],
        "why": "x" * 500,
        "new": True,
        "empty": "",
        "none": None,
    }
    assert short(result) == {"version": "2026-03-01.aaaa", "rows": {"events": 10, "users": 2}, "new": True}
