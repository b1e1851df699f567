"""The plugin: it loads in Airflow, adds tabs and links, and costs the other processes nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DESTINATIONS = {
    "Report": ("dag_run", "/matinee/run/{DAG_ID}/{RUN_ID}"),
    "Days": ("dag", "/matinee/pages/{DAG_ID}/overview.html"),
    "Champion": ("dag", "/matinee/pages/{DAG_ID}/champion.html"),
    "matinee": ("nav", "/matinee/"),
}


def test_airflow_loads_the_plugin_without_errors() -> None:
    from airflow import plugins_manager

    plugins, problems = plugins_manager._get_plugins()
    assert problems == {}
    assert "matinee" in {plugin.name for plugin in plugins}
    apps, _ = plugins_manager.get_fastapi_plugins()
    assert [app["url_prefix"] for app in apps if app["name"] == "matinee"] == ["/matinee"]


def test_every_view_has_a_place_and_a_route_of_its_own() -> None:
    from airflow import plugins_manager

    views, _ = plugins_manager._get_ui_plugins()
    own = [view for view in views if view["url_route"].startswith("matinee")]
    assert {view["name"]: (view["destination"], view["href"]) for view in own} == DESTINATIONS
    assert len({view["url_route"] for view in own}) == len(DESTINATIONS)


@pytest.mark.parametrize("task", ["land", "train", "report"])
def test_every_task_links_to_the_report_in_the_api_servers_view_of_the_dag(
    pipelines: Callable[..., Path], bag: Callable[[Path], Any], task: str
) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    dag = bag(pipelines("streaming")).dags["streaming"]
    seen = DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task(task)
    key = SimpleNamespace(dag_id="streaming", run_id="manual__2026-02-25T00:00:00+00:00")
    link = seen.get_extra_links(SimpleNamespace(key=key), "Run report")
    assert "Run report" in seen.extra_links
    assert link == "/dags/streaming/runs/manual__2026-02-25T00%3A00%3A00%2B00%3A00/plugin/matinee-report"


def test_loading_the_plugin_imports_no_application() -> None:
    code = (
        "import runpy, sys\n"
        "runpy.run_path('dags/plugins/matinee_plugin.py')\n"
        "print(sorted({'dags.pages', 'tasks.reports.run_report', 'jinja2', 'duckdb', 'pandas'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert not {"dags.pages", "tasks.reports.run_report", "duckdb", "pandas"} & set(
        done.stdout.strip().strip("[]").split("'")
    )
