"""The commands of single steps."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tasks.cli import main as command_line
from tasks.cli.main import app
from tasks.runs.run import Run
from tasks.store.files import Home
from tests.tasks.handmade import day, spec_of

MODULES = {
    "build": "features.build",
    "evaluate": "evaluation.evaluate",
    "gate": "publishing.gates",
    "monitor": "monitoring.monitor",
    "publish": "publishing.publish",
    "report": "reports.run_report",
    "retrieve": "examples.candidates",
    "sample": "examples.sample",
}


@pytest.mark.parametrize("name", MODULES)
def test_the_command_of_a_step_runs_its_function(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(spec_of(), Home(tmp_path), day("02-20"), "7")
    created = []
    monkeypatch.setattr(Run, "create", lambda *given, data: created.append((*map(str, given), data)) or run)
    monkeypatch.setattr(f"tasks.{MODULES[name]}.{name}_step", lambda given: {"is_the_run": given is run})

    done = CliRunner().invoke(app, [name, "tiny", "--as-of", "2026-02-20", "--attempt", "7"])

    assert done.exit_code == 0, done.output
    assert created == [("tiny", "2026-02-20", "7", None)]
    assert done.output.split() == ["is", "the", "run", "True"]


def test_a_mistyped_variable_is_said_and_is_no_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_THREAD", "4")
    monkeypatch.setattr("sys.argv", ["matinee", "--help"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 0
    assert "MATINEE_THREAD: nothing reads this variable; did you mean MATINEE_THREADS?" in capsys.readouterr().err
