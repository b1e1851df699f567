"""Data is printed as it is, in lines and in tables."""

from __future__ import annotations

import io

import pytest
from rich.table import Table
from rich.text import Text

from tasks.operations.terminal import plain_console

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
    from tasks.spec.project import PROJECT

    sources = [path for path in (PROJECT / "tasks").rglob("*.py") if "Console(" in path.read_text(encoding="utf-8")]
    names = {str(path.relative_to(PROJECT)) for path in sources}
    assert names == {"tasks/operations/terminal.py", "tasks/sources/download.py"}
