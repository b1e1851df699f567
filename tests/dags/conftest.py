"""Airflow reads its configuration when it is imported: the variables are set before anything imports it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.operations.local_airflow.environment import airflow_env, bin_dir
from tasks.operations.local_airflow.metadata import metadata

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Configure Airflow for this process as `make up` would, in a folder of its own, with an empty database."""
    assert "airflow" not in sys.modules, "airflow was imported before its configuration was set"
    home = tmp_path_factory.mktemp("home")
    patch = pytest.MonkeyPatch()
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        patch.delenv(name)
    database, env = metadata(home), airflow_env(home, 8080)
    # The variables stay until this process ends, and other tests choose the project by their working directory.
    for name, value in env.items():
        if name != "MATINEE_PROJECT":
            patch.setenv(name, value)
    patch.setenv("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
    database.create()
    with database.running(dict(os.environ)):
        subprocess.run([bin_dir() / "airflow", "db", "migrate"], check=True, capture_output=True)
        yield home
        from airflow import settings

        settings.dispose_orm()  # else sessions that are still open complain that their server has gone
    patch.undo()


@pytest.fixture
def pipelines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that makes a folder of pipeline files, copies of the bundled one, and points to it."""

    def make(*names: str, **texts: str) -> Path:
        folder = tmp_path / "pipelines"
        folder.mkdir(exist_ok=True)
        good = (PROJECT / "pipelines" / "streaming.yaml").read_text(encoding="utf-8")
        for name in names:
            text = good.replace("name: streaming", f"name: {name}")
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        for name, text in texts.items():
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        monkeypatch.setenv("MATINEE_PIPELINES", str(folder))
        return folder

    return make


@pytest.fixture
def bag(tmp_path: Path) -> Callable[[Path], Any]:
    """Return a function that loads a folder of pipeline files the way the DAG processor does."""

    def load(folder: Path) -> Any:
        from airflow.dag_processing.dagbag import DagBag

        from dags.bundle import write_stubs

        target = tmp_path / "bundle"
        write_stubs(folder, target)
        return DagBag(dag_folder=target, bundle_path=target, bundle_name="pipelines")

    return load
