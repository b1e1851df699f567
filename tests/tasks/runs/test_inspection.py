from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tasks.cli.main import app
from tasks.runs.inspection import latest_attempt, run_to_inspect
from tasks.runs.run import Run
from tasks.store.files import Home, write_json
from tests.tiny_pipelines import SHOWN, SHOWN_DAY, pipeline_file


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path / "home"))
    return Run.create(pipeline_file(tmp_path, SHOWN), SHOWN_DAY, "x", home=Home(tmp_path / "home"))


def sampled(run: Run, attempt: str, at: int) -> None:
    path = run.home.run_dir("shown", SHOWN_DAY, attempt) / "sample" / "result.json"
    write_json(path, {})
    os.utime(path, (at, at))


def test_the_latest_sample_is_inspected(run: Run) -> None:
    assert latest_attempt(run) == "cli"
    sampled(run, "b", 100)
    sampled(run, "a", 200)

    assert latest_attempt(run) == "a"


def test_an_inspection_leaves_the_results_of_the_run_alone(run: Run, tmp_path: Path) -> None:
    sampled(run, "a", 100)

    inspected = run_to_inspect(str(tmp_path / "shown.yaml"), SHOWN_DAY, None, run.home)

    assert inspected.step_dir("sample").parent.name == "a"
    assert inspected.step_dir("check_landed").parent.name == "cli"
    assert (
        run_to_inspect(str(tmp_path / "shown.yaml"), SHOWN_DAY, "b", run.home).step_dir("check_landed").parent.name
        == "b"
    )


def test_nothing_landed_fails_and_says_so(run: Run, tmp_path: Path) -> None:
    run.home.root.mkdir(exist_ok=True)
    result = CliRunner().invoke(app, ["check", str(tmp_path / "shown.yaml"), "--as-of", str(SHOWN_DAY)])

    assert result.exit_code == 1
    assert "nothing is landed there" in " ".join(result.output.split())
    assert "Nothing to check yet: features, examples, predictions." in " ".join(result.output.split())


def test_something_else_cannot_be_checked(run: Run, tmp_path: Path) -> None:
    command = ["check", str(tmp_path / "shown.yaml"), "--as-of", str(SHOWN_DAY), "--what", "everything"]

    assert CliRunner().invoke(app, command).exit_code == 2
