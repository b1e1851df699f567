"""What counts as the code of a result."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import MatineeError
from tasks.runs.provenance import makers, modules


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
