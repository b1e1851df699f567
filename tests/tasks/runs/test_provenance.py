"""What counts as the code of a result."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.errors import MatineeError
from tasks.runs.provenance import code_digest, digest_of_steps, makers, modules, room_digest, source_digest
from tasks.runs.steps import ROOT, STEPS, Step
from tasks.spec.project import TOOL


def test_modules_are_followed_wherever_they_are_imported(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "engine").mkdir()
    (tmp_path / "tasks" / "fit.py").write_text("import json\nfrom tasks import part\n")
    (tmp_path / "tasks" / "part.py").write_text("def f() -> None:\n    from engine.deep import x\n")
    (tmp_path / "engine" / "deep.py").write_text("x = 1\n")
    (tmp_path / "tasks" / "show.py").write_text("from tasks import fit\n")
    assert list(modules(("tasks.fit",), tmp_path)) == ["engine.deep", "tasks.fit", "tasks.part"]


def test_a_package_brings_its_init_and_its_parents(tmp_path: Path) -> None:
    room = tmp_path / "tasks" / "room"
    room.mkdir(parents=True)
    (tmp_path / "tasks" / "__init__.py").write_text("from tasks.room import part\n")
    (room / "__init__.py").write_text("from .fit import learn\n")
    (room / "fit.py").write_text("from . import part\n")
    (room / "part.py").write_text("")
    assert list(modules(("tasks.room",), tmp_path)) == ["tasks", "tasks.room", "tasks.room.fit", "tasks.room.part"]


def test_a_root_that_is_not_found_is_an_error_not_a_smaller_digest(tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match=r"the code of 'tasks\.nothing_here' is not found below"):
        modules(("tasks.nothing_here",), tmp_path)
    with pytest.raises(MatineeError, match=r"tasks\.errors\.nothing_here"):
        modules(("tasks.errors.nothing_here",))


@pytest.mark.parametrize(
    ("reader", "parts", "others"),
    [
        (
            "files.file_source",
            {"declared_source", "files.csv_lines", "files.parquet_files", "files.folders", "row_days", "sent_before"},
            {"database.relation", "land", "registry", "excel", "simulation.world"},
        ),
        ("database.database_source", {"declared_source", "database.relation", "typed_values"}, {"files.csv_lines"}),
        ("simulation.source", {"simulation.world", "simulation.service"}, {"declared_source"}),
    ],
)
def test_a_reader_is_what_it_imports_of_its_room(reader: str, parts: set[str], others: set[str]) -> None:
    room = f"{ROOT}.sources."
    found = {name.removeprefix(room) for name in modules((f"{room}{reader}",), within=room)}
    assert {reader, *parts} <= found
    assert not others & found
    assert room_digest(f"sources.{reader}") == source_digest(*(f"sources.{name}" for name in sorted(found)))


def test_what_makes_results_counts_and_what_shows_them_does_not() -> None:
    found = modules(makers())
    assert {
        "tasks.examples.sample",
        "tasks.examples.retrieval_models",
        "engine.metrics",
        "engine.trees",
        "tasks.spec.windows",
    } <= found.keys()
    assert (
        not {
            "tasks.cli.main",
            "tasks.reports.run_report",
            "tasks.reports.svg_plots",
            "tasks.operations.local_airflow.stack",
            "tasks.operations.summary",
        }
        & found.keys()
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project's code, to edit."""
    for name in ("tasks", "engine"):
        shutil.copytree(TOOL / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_the_table_of_steps_says_is_not_in_the_digest(copy: Path) -> None:
    assert digest_of_steps(STEPS, copy) == code_digest()

    edit(copy / "tasks/runs/steps.py", "Draws the stratified sample of groups, with its weights.", "Draws.")

    assert digest_of_steps(STEPS, copy) == code_digest()
    reworded = [replace(step, does="Otherwise.", line="", group="data", runs="all_done") for step in STEPS]
    assert digest_of_steps(reworded) == code_digest()


@pytest.mark.parametrize("name", ["tasks/examples/sample.py", "tasks/runs/run.py", "engine/trees.py"])
def test_what_a_step_does_is_in_the_digest(copy: Path, name: str) -> None:
    with (copy / name).open("a") as file:
        file.write("# another line\n")
    assert digest_of_steps(STEPS, copy) != code_digest()


def test_a_statement_of_a_step_is_in_the_digest(copy: Path) -> None:
    statement = next((copy / "tasks/examples/sql").glob("*.sql"))
    statement.write_text(statement.read_text() + "-- another line\n")
    assert digest_of_steps(STEPS, copy) != code_digest()


@pytest.mark.parametrize("step", [step for step in STEPS if step.makes_version], ids=lambda step: step.name)
def test_which_steps_make_a_version_is_in_the_digest(step: Step) -> None:
    assert step.module in modules(makers())
    without = [replace(other, makes_version=other.makes_version and other != step) for other in STEPS]
    assert digest_of_steps(without) != code_digest()
    moved = [replace(other, function="runs.run:another") if other == step else other for other in STEPS]
    assert digest_of_steps(moved) != code_digest()


def test_a_further_step_that_makes_a_version_is_in_the_digest() -> None:
    land = next(step for step in STEPS if step.name == "land")
    assert not land.makes_version
    more = [replace(step, makes_version=True) if step == land else step for step in STEPS]
    assert digest_of_steps(more) != code_digest()
