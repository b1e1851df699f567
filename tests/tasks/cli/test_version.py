"""What matinee says of itself: its version, and the completions of a shell."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tasks.cli import version
from tasks.cli.main import app


def test_the_version_is_that_of_the_project() -> None:
    declared = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"matinee {declared}\n")


def test_an_installed_wheel_knows_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "TOOL", tmp_path)
    monkeypatch.setattr(version, "version", lambda name: f"{name}-9")
    assert version.version_of_matinee() == "matinee-9"


def test_a_shell_completes_commands_and_options() -> None:
    def completed(words: str) -> list[str]:
        variables = {"_MATINEE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        return CliRunner().invoke(app, [], prog_name="matinee", env=variables).output.split()

    assert completed("matinee ver") == ["verify"]
    assert completed("matinee verify --js") == ["--json"]
