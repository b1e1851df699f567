"""A project of one's own and an installed wheel, in an environment with modules of others called `tasks` and `dags`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from distribution.wheel import FOLDERS, build_wheel, write_wheel
from tasks.runs.import_root import PACKAGES
from tasks.runs.provenance import code_digest
from tasks.runs.steps import STEPS
from tasks.spec.project import TOOL

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
FIRST, DAYS = date(2025, 1, 1), 100
LAST = FIRST + timedelta(days=DAYS - 1)
BUNDLES = [
    {"name": "dags-folder", "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {}},
    {"name": "matinee", "classpath": "matinee.dags.bundle.PipelineBundle", "kwargs": {"refresh_interval": 10}},
]
THEIR_DAG = """
from airflow.sdk import dag, task
from tasks import WHOSE
import dags

@dag(schedule=None)
def theirs():
    @task
    def say():
        assert (WHOSE, dags.WHOSE) == ("theirs", "theirs")
    say()

theirs()
"""
SUITE = {
    "name": "films.ratings",
    "meta": {"about": "Ratings.", "next": "ask us", "measure": {"rules": {"low": "rating < 0"}}},
    "expectations": [
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "low__rate", "max_value": 0},
            "severity": "critical",
            "meta": {"why": "Nobody rates below nothing."},
        }
    ],
}


class Installed:
    """An environment with the wheel, and the libraries of this one, but for the clone."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
        self.bin = folder / "env" / "bin"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = folder / "env" / "lib" / version / "site-packages"
        # A folder that a .pth file names has its own .pth files left unread: the clone is not importable.
        (packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
        for name in ("tasks", "dags"):
            (packages / name).mkdir()
            (packages / name / "__init__.py").write_text('WHOSE = "theirs"\n')
        wheel = folder / build_wheel(str(folder))
        self.run("pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel), cwd=folder)

    def run(self, program: str, *words: str, cwd: Path, **variables: str) -> str:
        """Run a program, and return what it prints; a failure shows all that it said."""
        kept = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
        env = {"PATH": f"{self.bin}:/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1", **kept, **variables}
        command = [str(self.bin / program), *words]
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def python(self, code: str, cwd: Path) -> Any:
        """Run code that prints JSON."""
        return json.loads(self.run("python", "-c", f"import json\n{code}", cwd=cwd))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty users who rate films of their own shelf every third day, and popular ones otherwise."""
    folder = tmp_path_factory.mktemp("data")
    rows = [
        f"{100 + user},{500 + (user % 5) * 6 + (day * 7 + user) % 6 if day % 2 else 530 + day % 7},5,{when}T10:00:00"
        for day in range(DAYS)
        for when in [FIRST + timedelta(days=day)]
        for user in range(30)
        if (day + user) % 3 == 0
    ]
    (folder / "ratings.csv").write_text("\n".join(["userId,movieId,rating,ratedAt", *rows, ""]))
    return folder


@pytest.fixture(scope="module")
def project(installed: Installed, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder in which `init` has begun, with a macro, a model and a suite of its own."""
    folder = tmp_path_factory.mktemp("project")
    said = installed.run("matinee", "init", "films", "--from", str(data), "--yes", cwd=folder)
    assert said.rstrip().endswith(f"matinee run films --as-of {LAST} --data {data}")
    assert {path.name for path in folder.iterdir()} == {"pipelines", "transforms"}
    sql = folder / "transforms"
    for path, text in {
        "macros/own.sql": "{% macro films_to_ignore() %}select cast(null as varchar) as item_id{% endmacro %}",
        "models/own/ignored_films.sql": "{{ config(materialized='view') }}\n{{ films_to_ignore() }}\n",
    }.items():
        (sql / path).parent.mkdir(parents=True)
        (sql / path).write_text(text)
    staging = sql / "models" / "staging" / "films" / "stg_interactions.sql"
    staging.write_text(f"-- depends_on: {{{{ ref('ignored_films') }}}}\n{staging.read_text()}")
    (folder / "expectations").mkdir()
    (folder / "expectations" / "films.ratings.json").write_text(json.dumps(SUITE))
    (folder / ".env").write_text(f"MATINEE_DATA_FILMS={data}\n")
    return folder


@pytest.fixture(scope="module")
def said(installed: Installed, project: Path) -> str:
    """What the run of the last day says in that folder, whose `.env` names the data."""
    return installed.run("matinee", "run", "films", "--as-of", str(LAST), cwd=project)


def test_modules_of_others_keep_their_names(installed: Installed, tmp_path: Path) -> None:
    code = (
        "import importlib.util, tasks, dags\n"
        "from matinee.tasks.runs.provenance import code_digest\n"
        "found = [name for name in ('engine', 'serving') if importlib.util.find_spec(name)]\n"
        "print(json.dumps([tasks.WHOSE, dags.WHOSE, found, code_digest()]))"
    )
    assert installed.python(code, tmp_path) == ["theirs", "theirs", [], code_digest()]


def test_an_example_of_matinee_runs_where_there_is_no_project(installed: Installed, tmp_path: Path) -> None:
    assert "streaming is valid" in installed.run("matinee", "validate", "streaming", "--quick", cwd=tmp_path)


def test_a_run_in_a_folder_of_ones_own_publishes_a_list(installed: Installed, project: Path, said: str) -> None:
    assert re.search(rf"^published +{LAST}\.[0-9a-f]{{8}}$", said, re.MULTILINE)
    dbt = project / "var" / "dbt" / "films" / "project"
    assert (dbt / "models" / "own" / "ignored_films.sql").is_file()
    assert (dbt / "macros" / "own.sql").is_file()
    checked = project / "var" / "runs" / "films" / str(LAST) / "cli" / "check_landed" / "checks.json"
    assert [(one["column"], one["success"]) for one in json.loads(checked.read_text())] == [("low__rate", True)]
    ranked = json.loads(installed.run("matinee", "rank", "films", "--user", "100", "-k", "3", "--json", cwd=project))
    assert len(ranked["items"]) == 3
    own = project / "transforms" / "macros" / "own.sql"
    text = own.read_text()
    own.write_text(text.replace("null", "'none'"))
    plan = installed.run("matinee", "plan", "films", "--as-of", str(LAST), cwd=project)
    own.write_text(text)
    assert "transforms/macros/own.sql" in plan


def test_an_airflow_of_others_has_the_pipelines_beside_its_own_dags(
    installed: Installed, project: Path, tmp_path: Path
) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "theirs.py").write_text(THEIR_DAG)
    variables = {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(BUNDLES),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(tmp_path / "bundles"),
        "MATINEE_PROJECT": str(project),
        "MATINEE_HOME": str(tmp_path / "state"),
    }

    def airflow(*words: str) -> str:
        return installed.run("python", "-P", "-W", "ignore", "-m", "airflow", *words, cwd=tmp_path, **variables)

    airflow("db", "migrate")
    airflow("dags", "reserialize")
    listed = json.loads(airflow("dags", "list", "--output", "json").splitlines()[-1])
    assert {dag["dag_id"]: dag["bundle_name"] for dag in listed} == {"films": "matinee", "theirs": "dags-folder"}
    airflow("pools", "set", "films.tables", "1", "matinee")
    # One process runs the tasks one by one, as `dag.test()` does.
    airflow("dags", "test", "films", str(LAST))
    attempts = tmp_path / "state" / "runs" / "films" / str(LAST)
    (attempt,) = (path for path in attempts.iterdir() if not path.name.startswith("."))
    assert {step.name for step in STEPS if step.has_result} - {path.name for path in attempt.iterdir()} == set()
    assert not (attempt / "errors").exists() or list((attempt / "errors").iterdir()) == []
    assert len(list((tmp_path / "state" / "registry" / "films" / "versions").iterdir())) == 1
    airflow("dags", "test", "theirs")


def next_wheel(folder: Path) -> Path:
    """A wheel of the next version, in which a page of the reports is another one."""
    changed = folder / "changed"
    for name in (*PACKAGES, *FOLDERS):
        shutil.copytree(TOOL / name, changed / name, ignore=shutil.ignore_patterns("__pycache__", "target", "logs"))
    for path in (path for path in TOOL.iterdir() if path.is_file()):
        shutil.copy(path, changed / path.name)
    for name, old, new in (
        ("pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"'),
        ("tasks/reports/html.py", "from __future__", "# Another one.\nfrom __future__"),
    ):
        text = (changed / name).read_text()
        assert old in text
        (changed / name).write_text(text.replace(old, new, 1))
    return folder / write_wheel(changed, folder)


@pytest.mark.usefixtures("said")
def test_an_upgrade_makes_nothing_again_that_it_does_not_change(
    installed: Installed, project: Path, tmp_path: Path
) -> None:
    """Tables, cuts and versions are of the code that makes them; the last test here, as it replaces the wheel."""

    def matinee(*words: str) -> str:
        return installed.run("matinee", *words, cwd=project)

    assert matinee("--version") == "matinee 0.1.0\n"
    (version,) = (project / "var" / "registry" / "films" / "versions").iterdir()
    written = {path: path.read_bytes() for path in version.rglob("*") if path.is_file()}
    wheel = next_wheel(tmp_path)
    installed.run("pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel), cwd=tmp_path)
    assert matinee("--version") == "matinee 0.2.0\n"
    plan = json.loads(matinee("plan", "films", "--as-of", str(LAST), "--json"))
    assert (plan["make"], plan["version"], plan["published"]) == ([], version.name, True)
    matinee("run", "films", "--as-of", str(LAST), "--attempt", "2")
    assert list(version.parent.iterdir()) == [version]
    assert {path: path.read_bytes() for path in written} == written
    assert "all whole" in matinee("verify")
