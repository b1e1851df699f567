"""Records of options are options on the command line, and renamed commands keep working for one version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from tasks.cli import options
from tasks.cli.main import app
from tasks.cli.options import example, grouped_options, renamed


@dataclass(frozen=True)
class Words:
    first: Annotated[str, typer.Option("--first", help="A word.")]
    more: Annotated[int, typer.Option(min=1)] = 1


def call(program: typer.Typer, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(program, list(words))
    return result.exit_code, result.output


@pytest.fixture
def program() -> typer.Typer:
    program = typer.Typer()

    @program.command()
    @grouped_options
    def say(name: Annotated[str, typer.Argument()], words: Words, loud: bool = False) -> None:
        """Say something."""
        typer.echo(f"{name} {words} {loud}")

    return program


def test_the_fields_of_a_record_are_options(program: typer.Typer) -> None:
    assert call(program, "ann", "--first", "a") == (0, "ann Words(first='a', more=1) False\n")
    assert call(program, "ann", "--more", "3", "--loud", "--first", "b") == (0, "ann Words(first='b', more=3) True\n")


@pytest.mark.parametrize("words", [["ann"], ["ann", "--first", "a", "--more", "0"], ["ann", "--last", "x"]])
def test_wrong_options_of_a_record_are_wrong_usage(program: typer.Typer, words: list[str]) -> None:
    assert call(program, *words)[0] == 2


def test_help_keeps_the_texts(program: typer.Typer) -> None:
    code, text = call(program, "--help")
    assert (code, "Say something." in text, "A word." in text) == (0, True, True)


def test_an_old_name_works_and_names_the_new_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(options, "errors", Console(stderr=True, width=200))
    called: list[Any] = []
    renamed("old", "new", lambda **values: called.append(values))(days=3)
    assert called == [{"days": 3}]
    assert capsys.readouterr().err == (
        "hint: `matinee old` is now `matinee new`; the old name goes away with the next version\n"
    )


def test_stack_drive_is_stack_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    requests: list[Any] = []
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(
        "tasks.operations.local_airflow.make_run.run_days", lambda request, *_: requests.append(request) or True
    )
    monkeypatch.setattr(options, "errors", Console(stderr=True, width=200))
    for name in ("run", "drive"):
        result = CliRunner().invoke(app, ["stack", name, "shop", "--days", "2", "--as-of", "2026-03-01"])
        assert result.exit_code == 0
        assert ("`matinee stack drive` is now `matinee stack run`" in result.stderr) == (name == "drive")
    assert requests[0] == requests[1]
    assert (requests[0].pipeline, requests[0].days, str(requests[0].as_of)) == ("shop", 2, "2026-03-01")
    assert "drive" not in call(app, "stack", "--help")[1]


def test_examples_are_listed() -> None:
    assert example("matinee a") == "Example: [bold]matinee a[/bold]"
    assert example("matinee a", "matinee b") == "Examples: [bold]matinee a[/bold] · [bold]matinee b[/bold]"
