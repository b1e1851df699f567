"""Data is printed as it is, in lines and in tables."""

from __future__ import annotations

import io

import pytest
from rich.console import Group
from rich.table import Table
from rich.text import Text

from tasks.operations.terminal import one_line_rows, plain_console

HOSTILE = ["Song [live]", "[/b] Orders", "[link=file:///etc/passwd]x[/link]", "a :tv: b", "[red]not red[/red]", "\\[x]"]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_a_text_is_taken_for_markup(text: str) -> None:
    console = plain_console()
    console.file, console.width = io.StringIO(), 100
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    console.print(text)
    console.print(Text.assemble(("shop", "bold"), f": {text}"))
    console.print(table)
    printed = console.file.getvalue()
    assert printed.count(text) == 5


def test_every_terminal_is_opened_here() -> None:
    """A `Console()` elsewhere would drop words of titles, or end in a MarkupError."""
    from tasks.spec.project import TOOL

    sources = [path for path in (TOOL / "tasks").rglob("*.py") if "Console(" in path.read_text(encoding="utf-8")]
    names = {str(path.relative_to(TOOL)) for path in sources}
    assert names == {"tasks/operations/terminal.py", "tasks/sources/download.py"}


@pytest.mark.parametrize("grouped", [False, True])
def test_a_long_title_takes_one_line_and_leaves_the_id_whole(grouped: bool) -> None:
    table = Table()
    for name in ("rank", "item", "title"):
        table.add_column(name)
    table.add_row("1", "item-000000000017", "The Quite Long Title of a Film That Nobody Has Seen")
    console = plain_console()
    console.width = 44
    with console.capture() as captured:
        console.print(one_line_rows(Group("a line", table) if grouped else table, 44))
    rows = [line for line in captured.get().splitlines() if "item-000000000017" in line]
    assert len(rows) == 1
    assert "The Quite" in rows[0]
    assert "…" in rows[0]
    assert "Nobody" not in captured.get()
