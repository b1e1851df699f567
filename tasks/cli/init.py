"""The command that begins a pipeline from data of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from tasks.errors import visible
from tasks.operations.terminal import plain_console

console = plain_console()


def init(
    name: Annotated[str, typer.Argument(help="Of the pipeline and of the data set.")],
    place: Annotated[
        str,
        typer.Option("--from", help="A folder of files, a file, an Excel workbook, or postgresql://… or sqlite:///…"),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Take the best guess instead of asking.")] = False,
) -> None:
    """Look at data, and write what a first run of them needs: dataset file, staging models, pipeline file, README."""
    from tasks.operations.own_data.begin import begin
    from tasks.operations.own_data.project_texts import in_project
    from tasks.spec.load import load_spec
    from tasks.spec.project import pipeline_path
    from tasks.spec.windows import first_as_of

    own = begin(name, place, _best_guess if yes else _prompt)
    for sentence in own.left_out:
        console.print(Text(f"left out: {visible(sentence)}"), soft_wrap=True)
    for path in own.paths:
        console.print(f"written: {in_project(path)}", soft_wrap=True, highlight=False)
    spec = load_spec(pipeline_path(name))
    console.print(Text.assemble((f"{name} is valid", "green"), f": {spec.description}"), soft_wrap=True)
    first = f"First day that can be run: {first_as_of(spec)}. Read what was assumed in the README, then:"
    console.print(first, soft_wrap=True, highlight=False)
    if own.url_env:
        needed = f"(with the database's URL in {own.url_env}, which is written nowhere)"
        console.print(needed, soft_wrap=True, highlight=False)
    console.print(own.next_command, soft_wrap=True, highlight=False)


def _best_guess(question: str, choices: Sequence[str], guess: str) -> str:
    console.print(f"{question} Taken: {guess}", soft_wrap=True, highlight=False)
    return guess


def _prompt(question: str, choices: Sequence[str], guess: str) -> str:
    answer = ""
    while answer not in choices:
        answer = typer.prompt(f"{question} ({', '.join(choices)})", default=guess)
    return answer
