"""What counts as the code of a result."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tasks import revision, run
from tasks.errors import MatineeError
from tasks.home import Home
from tasks.revision import STEPS, modules
from tasks.run import Run
from tests.tasks.handmade import spec_of


def test_modules_are_followed_wherever_they_are_imported(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "engine").mkdir()
    (tmp_path / "tasks" / "fit.py").write_text("import json\nfrom tasks import part\n")
    (tmp_path / "tasks" / "part.py").write_text("def f() -> None:\n    from engine.deep import x\n")
    (tmp_path / "engine" / "deep.py").write_text("x = 1\n")
    (tmp_path / "tasks" / "show.py").write_text("from tasks import fit\n")
    assert list(modules(("tasks.fit",), tmp_path)) == ["engine.deep", "tasks.fit", "tasks.part"]


def test_what_makes_results_counts_and_what_shows_them_does_not() -> None:
    found = modules(tuple(f"tasks.{step}" for step in STEPS))
    assert {"tasks.sample", "tasks.fit_retrieval", "engine.metrics", "engine.trees", "tasks.windows"} <= found.keys()
    assert not {"tasks.cli", "tasks.report", "tasks.plots", "tasks.stack", "tasks.summary"} & found.keys()


def test_steps_of_one_attempt_by_other_code_or_another_file_do_not_mix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Run(spec_of(), Home(tmp_path), date(2026, 2, 20), "1")
    with made.step("sample", {"rows": 3}):
        pass
    assert made.result("sample") == {"rows": 3}
    edited = Run(spec_of(sample={"groups": 7}), Home(tmp_path), date(2026, 2, 20), "1")
    with pytest.raises(MatineeError, match="changed since the step 'sample'"):
        edited.result("sample")
    monkeypatch.setattr(run, "code_digest", lambda: "edited")
    with pytest.raises(MatineeError, match="run the steps again from it on"):
        made.result("sample")
    assert revision.code_digest() != "edited"
