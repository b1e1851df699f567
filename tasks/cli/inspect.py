"""The command that looks into a published version: what it learned, and why an item stands where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from tasks.cli.options import Json, Pipeline, grouped_options
from tasks.cli.values import folder_name, user_id, whole_number
from tasks.operations.terminal import one_line_rows, plain_console

console = plain_console()


@dataclass(frozen=True)
class Look:
    """What is looked at beside the summary."""

    user: Annotated[str | None, user_id(meaning="Explain the list of this user; with --item, that item.")] = None
    item: Annotated[str | None, typer.Option(help="Show which items are most alike to this one.")] = None
    feature: Annotated[str | None, typer.Option(help="Show how scores depend on this feature.")] = None
    trees: Annotated[
        int | None, whole_number(1, 1_000, meaning="Show so many trees of each model, the first ones.")
    ] = None
    k: Annotated[int, whole_number(1, 100, "-k", meaning="Items of the user's list.")] = 5


@grouped_options
def inspect(
    pipeline: Pipeline,
    look: Look,
    version: Annotated[str | None, folder_name(meaning="A version; the champion if absent.")] = None,
    as_json: Json = False,
) -> None:
    """Say what a published version learned: what each feature contributes, what its retrievers hold.

    Contributions are Shapley values over candidates of 50 users: those of an item add up to its score less that of a
    typical candidate. They are the same for every kind of ranker, and say what the model does, not what causes what.
    """
    from tasks.cli.answers import write_answer
    from tasks.cli.render.inspected import render_inspection
    from tasks.publishing.inspection import Question, inspect_version

    answer = inspect_version(pipeline, version, Question(look.user, look.item, look.feature, look.k, look.trees))
    if as_json:
        write_answer(answer)
        return
    for part in render_inspection(answer):
        console.print(one_line_rows(part, console.width))
