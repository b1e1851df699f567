"""The wheel: what it holds, that it is the same everywhere, and that its code is the clone's."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import subprocess
import sys
import sysconfig
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest

from distribution.wheel import ROOT, UnsupportedOperation, build_sdist, build_wheel, packed, write_wheel
from tasks.runs.import_root import PACKAGES
from tasks.runs.provenance import code_digest, source_digest
from tasks.spec.project import TOOL

LAND = "sources.land"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    return folder / build_wheel(str(folder))


@pytest.fixture(scope="module")
def files(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_one_package_and_nothing_else_is_installed(files: dict[str, bytes]) -> None:
    assert {name.split("/")[0] for name in files} == {"matinee", "matinee-0.1.0.dist-info"}
    assert {f"matinee/{name}/__init__.py" for name in PACKAGES} <= files.keys()
    assert {
        "matinee/transforms/dbt_project.yml", "matinee/transforms/models/marts/labels.sql", "matinee/supervisord.conf",
        "matinee/expectations/default.landed.json", "matinee/dags/plugins/matinee_plugin.py",
        "matinee/tasks/examples/sampling/sql/draw.sql", "matinee/pipelines/streaming.yaml",
        "matinee/docs/runbooks/gate-failed.md",
    } <= files.keys()  # fmt: skip
    assert not [name for name in files if name.endswith(".pyc") or "/." in name or "/target/" in name]


def test_every_import_of_ours_is_below_the_package(files: dict[str, bytes]) -> None:
    for name in (name for name in files if name.endswith(".py")):
        for node in ast.walk(ast.parse(files[name])):
            if isinstance(node, ast.ImportFrom) and not node.level:
                assert (node.module or "").split(".")[0] not in PACKAGES, name
            for alias in node.names if isinstance(node, ast.Import) else ():
                assert alias.name.split(".")[0] not in PACKAGES, name


def test_two_builds_are_equal_in_every_byte(wheel: Path, tmp_path: Path) -> None:
    name = write_wheel(TOOL, tmp_path)
    assert (tmp_path / name).read_bytes() == wheel.read_bytes()


def test_the_record_names_every_file_with_its_digest(files: dict[str, bytes]) -> None:
    lines = [line.split(",") for line in files["matinee-0.1.0.dist-info/RECORD"].decode().splitlines()]
    assert [line[0] for line in lines] == list(files)
    for name, digest, size in lines[:-1]:
        expected = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).decode().rstrip("=")
        assert (digest, int(size)) == (f"sha256={expected}", len(files[name]))


def test_it_asks_for_what_the_clone_asks_for_and_names_modules_that_it_has(files: dict[str, bytes]) -> None:
    metadata = BytesParser().parsebytes(files["matinee-0.1.0.dist-info/METADATA"])
    assert (metadata["Name"], metadata["Version"], metadata["License-Expression"]) == ("matinee", "0.1.0", "Apache-2.0")
    assert "duckdb==2.0.0" in metadata.get_all("Requires-Dist", [])
    points = files["matinee-0.1.0.dist-info/entry_points.txt"].decode()
    assert "[console_scripts]\nmatinee = matinee.tasks.cli.main:main" in points
    assert "[airflow.plugins]\nmatinee = matinee.dags.plugins.matinee_plugin:MatineePlugin" in points
    modules = [line.partition(" = ")[2].partition(":")[0] for line in points.splitlines() if " = " in line]
    assert all(f"{module.replace('.', '/')}.py" in files for module in modules)


def test_the_code_of_the_wheel_has_the_digests_of_the_clone(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = (
        "import importlib.util, json, sys\n"
        "sys.path += sys.argv[1:]\n"  # without the site module, no .pth file leads to the clone
        "from matinee.tasks.spec.project import PREFIX, TOOL\n"
        "light = not {'numpy', 'pandas', 'duckdb', 'pyarrow', 'airflow'} & set(sys.modules)\n"
        "from matinee.tasks.runs.provenance import code_digest, source_digest\n"
        f"print(json.dumps([code_digest(), source_digest('{LAND}'), PREFIX, str(TOOL), light,\n"
        f"    [name for name in {PACKAGES} if importlib.util.find_spec(name)]]))\n"
    )
    libraries = sysconfig.get_path("purelib")
    command = [sys.executable, "-S", "-I", "-c", code, str(tmp_path), libraries]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = [code_digest(), source_digest(LAND), "matinee.", str(tmp_path / ROOT), True, []]
    assert json.loads(done.stdout) == expected


def test_an_import_that_cannot_be_changed_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "wrong.py").write_text("import os\nimport tasks.errors\n")
    with pytest.raises(ValueError, match=r"^tasks/wrong\.py: line 2: import tasks\.errors: expected `from … import …`"):
        list(packed(tmp_path))


def test_there_is_no_source_archive() -> None:
    with pytest.raises(UnsupportedOperation, match="make wheel"):
        build_sdist("unused")
