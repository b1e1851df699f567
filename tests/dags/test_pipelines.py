"""The graph: which DAGs there are, which step follows which, and what happens to a file that is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tasks.operations.pools import pools

PROJECT = Path(__file__).resolve().parents[2]
Load = Callable[[Path], Any]
Make = Callable[..., Path]

FOLLOWS = {
    "land": {"check_landed"},
    "check_landed": {"build"},
    "build": {"check_features"},
    "check_features": {"retrieve"},
    "retrieve": {"sample"},
    "sample": {"check_examples", "monitor", "populations"},
    "populations": {"train"},
    "train": {"evaluate", "monitor"},
    "evaluate": {"check_predictions"},
    "check_predictions": {"gate"},
    "gate": {"publish"},
    "publish": {"report"},
    "check_examples": {"gate"},
    "monitor": {"report"},
    "report": set(),
}


TUNED = (
    (PROJECT / "pipelines" / "streaming.yaml")
    .read_text(encoding="utf-8")
    .replace("\nevaluate:", "\ntune: {trials: 4, metric: ndcg@10, space: {num_leaves: [7, 15, 31]}}\n\nevaluate:")
)


def test_every_bundled_pipeline_is_a_dag(bag: Load) -> None:
    found = bag(PROJECT / "pipelines")
    assert set(found.dags) == {path.stem for path in (PROJECT / "pipelines").glob("*.yaml")}
    assert {"streaming", "online_retail"} <= set(found.dags)
    assert found.import_errors == {}


def test_steps_follow_each_other(pipelines: Make, bag: Load) -> None:
    dag = bag(pipelines("streaming")).dags["streaming"]
    assert {task.task_id: set(task.downstream_task_ids) for task in dag.tasks} == FOLLOWS


def test_training_is_mapped_over_populations(pipelines: Make, bag: Load) -> None:
    train = bag(pipelines("streaming")).dags["streaming"].get_task("train")
    assert type(train).__name__ == "DecoratedMappedOperator"
    assert train.partial_kwargs["map_index_template"] == "{{ population }}"


def test_trials_are_shared_by_as_many_tasks_as_trainings_may_run(
    pipelines: Make, bag: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_TRAININGS", "3")
    dag = bag(pipelines(streaming=TUNED)).dags["streaming"]
    tune = dag.get_task("tune")
    assert tune.op_kwargs_expand_input.value["worker"] == [1, 2, 3]
    assert tune.pool == "trainings"
    assert set(tune.downstream_task_ids) == {"train"}
    assert dag.get_task("populations").downstream_task_ids == {"tune", "train"}


def test_one_task_at_a_time_opens_the_warehouse(pipelines: Make, bag: Load) -> None:
    dag = bag(pipelines("streaming")).dags["streaming"]
    used = {task.task_id: task.pool for task in dag.tasks}
    inside = {"build", "check_features", "retrieve", "sample", "monitor"}
    assert {name for name, pool in used.items() if pool == "streaming.tables"} == inside
    assert set(used.values()) - {"default_pool"} <= set(pools())


def test_so_many_models_are_trained_at_a_time_as_may_be(
    pipelines: Make, bag: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_TRAININGS", "3")
    dag = bag(pipelines("streaming")).dags["streaming"]
    assert {task.task_id for task in dag.tasks if task.pool == "trainings"} == {"train"}
    assert pools()["trainings"].slots == 3
    assert pools()["streaming.tables"].slots == 1


def test_tasks_show_their_day(pipelines: Make, bag: Load) -> None:
    for task in bag(pipelines("streaming")).dags["streaming"].tasks:
        arguments = task.op_kwargs_expand_input.value | task.partial_kwargs["op_kwargs"] if task.is_mapped else {}
        shown = [*getattr(task, "op_args", ()), *arguments.values()]
        assert any("data_interval_start" in str(value) for value in shown), task.task_id


def test_report_runs_whatever_happened(pipelines: Make, bag: Load) -> None:
    assert bag(pipelines("streaming")).dags["streaming"].get_task("report").trigger_rule == "all_done"


def test_dag_covers_the_days_of_the_file(pipelines: Make, bag: Load) -> None:
    folder = pipelines("streaming")
    path = folder / "streaming.yaml"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("end:")]
    path.write_text("\n".join(["end: 2026-03-31", *lines]), encoding="utf-8")
    dag = bag(folder).dags["streaming"]
    assert (dag.start_date, dag.end_date, dag.catchup) == (None, None, False)
    assert (dag.timetable.cron, dag.timetable.first, dag.timetable.last) == (
        "@daily",
        date(2026, 2, 25),
        date(2026, 3, 31),
    )


def test_history_without_schedule_needs_an_end(pipelines: Make, bag: Load) -> None:
    folder = pipelines("streaming")
    path = folder / "streaming.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("schedule:", "end:"))]
    path.write_text("\n".join(["schedule: null", *kept]), encoding="utf-8")
    found = bag(folder)
    assert found.dags == {}
    assert "schedule: found null, expected a cron expression or an `end`" in found.import_errors["streaming.py"]


def test_broken_file_is_named_and_stops_no_other(pipelines: Make, bag: Load) -> None:
    folder = pipelines("one", "two", broken="name: broken\nfeatures: 3\n")
    found = bag(folder)
    assert set(found.dags) == {"one", "two"}
    assert set(found.import_errors) == {"broken.py"}
    assert f"{folder / 'broken.yaml'}:2: features:" in found.import_errors["broken.py"]


def test_page_describes_the_pipeline(pipelines: Make, bag: Load) -> None:
    page = bag(pipelines("streaming")).dags["streaming"].doc_md
    assert "## streaming" in page
    assert "ndcg@10 beats best_baseline" in page
    assert "| grade 3 |" in page
    assert "| **Schedule** | `@daily` |" in page


def test_a_history_is_shown_as_run_by_hand(pipelines: Make, bag: Load) -> None:
    folder = pipelines("streaming")
    path = folder / "streaming.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("schedule:", "end:", "catch_up:"))]
    path.write_text("\n".join(["schedule: null", "end: 2026-03-31", *kept]), encoding="utf-8")
    dag = bag(folder).dags["streaming"]
    assert dag.timetable.summary == "none (by hand only)"
    assert "| **Schedule** | none (by hand only) |" in dag.doc_md


def test_owner_and_links_come_from_the_file(pipelines: Make, bag: Load) -> None:
    folder = pipelines("streaming")
    path = folder / "streaming.yaml"
    more = "owner: team-home\nlinks: {Dashboard: https://bi.example.org/home}\n"
    path.write_text(more + path.read_text(encoding="utf-8"), encoding="utf-8")
    dag = bag(folder).dags["streaming"]
    assert {task.owner for task in dag.tasks} == {"team-home"}
    assert dag.owner_links == {"team-home": "https://bi.example.org/home"}
    assert "[Dashboard](https://bi.example.org/home)" in dag.doc_md


@pytest.mark.parametrize("link", ["javascript:alert(1)", "https://x) [y](javascript:z", "/etc/passwd"])
def test_a_link_that_is_no_address_is_refused(link: str, pipelines: Make, bag: Load) -> None:
    folder = pipelines("streaming")
    path = folder / "streaming.yaml"
    path.write_text(f"links: {{x: '{link}'}}\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert "links.x" in bag(folder).import_errors["streaming.py"]


def test_two_parses_are_equal(pipelines: Make) -> None:
    """A value that differs between parses would make a new DAG version every half minute."""
    from airflow.serialization.serialized_objects import DagSerialization

    from dags.pipelines import pipeline_dag

    pipelines("streaming")
    first, second = (DagSerialization.to_dict(pipeline_dag("streaming")) for _ in range(2))
    assert first == second


def test_parsing_imports_nothing_heavy() -> None:
    """Every task process parses the file; the time is printed, not asserted."""
    code = (
        "import sys, time, airflow.sdk, airflow.sdk.exceptions\n"
        "from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, TaskGroup, TriggerRule, XComArg, chain, task\n"
        "begin = time.perf_counter()\n"
        "from dags.pipelines import pipeline_dag\n"
        "pipeline_dag('streaming')\n"
        "print(f'{(time.perf_counter() - begin) * 1000:.0f} ms beyond airflow')\n"
        "heavy = {'pandas', 'numpy', 'duckdb', 'pyarrow', 'dbt', 'great_expectations', 'lightgbm', 'sqlglot'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    time_taken, heavy = done.stdout.strip().splitlines()[-2:]
    print(time_taken)  # noqa: T201
    assert heavy == "[]"


@pytest.mark.parametrize("name", ["dags/bundle.py", "dags/pipelines.py"])
def test_wiring_stays_small(name: str) -> None:
    assert len((PROJECT / name).read_text(encoding="utf-8").splitlines()) < 80
