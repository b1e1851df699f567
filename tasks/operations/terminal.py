"""The terminal: it shows data as it is, and acts on nothing in it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Span, Text

from tasks.errors import WrongArgument, quoted, visible

LEAST_LAST = 5
"""Characters of the last column, however narrow the terminal is."""


def plain_console(*, stderr: bool = False) -> Console:
    """Open a terminal that takes nothing in a text for its own: neither `[live]` in a title nor an escape code.

    What is to be styled is given as `rich.text.Text`.
    """
    return _PlainConsole(stderr=stderr, markup=False, emoji=False)


class _PlainConsole(Console):
    """A console on which the control characters of texts are seen, and only those of styles act."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Take a text before Rich drops some control characters of it without a word."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Lay out with control characters in sight: those of a text before it is wrapped, of all else in the end."""
        if isinstance(renderable, Text):
            renderable = _visible_text(renderable)
        for segment in super().render(renderable, options):
            # Rich moves the cursor by segments that say so themselves.
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def _visible_text(text: Text) -> Text:
    """Escape what a styled text hides; an escape has the style of what it stands for."""
    hidden = [place for place, character in enumerate(text.plain) if visible(character) != character]
    if not hidden:
        return text
    shown = text.blank_copy()
    for part in text.divide(sorted({cut for place in hidden for cut in (place, place + 1)})):
        escaped = visible(part.plain)
        # Longer than the part, so that its spans have to grow along.
        spans = [Span(0, len(escaped), span.style) for span in part.spans] if escaped != part.plain else part.spans
        shown.append_text(Text(escaped, part.style, spans=spans))
    return shown


def one_line_rows(renderable: RenderableType, width: int) -> RenderableType:
    """Let each row of a table take one line, also of tables in a group: the last column is cut where it is too long.

    Args:
        renderable: a table, or a group of tables and texts.
        width: columns of the terminal.
    """
    for table in tables_in(renderable):
        *others, last = table.columns
        taken = sum(max(cell_len(str(cell)) for cell in (column.header, *column.cells)) for column in others)
        # A border before each column and behind the last, and a blank on either side of a cell. Rich itself would take
        # from all columns alike, and cut ids in half.
        last.max_width = max(LEAST_LAST, width - taken - 3 * len(table.columns) - 1)
        for column in table.columns:
            column.no_wrap, column.overflow = True, "ellipsis"
    return renderable


def tables_in(renderable: RenderableType) -> list[Table]:
    """List the tables of a group, or the one that this is."""
    parts = renderable.renderables if isinstance(renderable, Group) else [renderable]
    return [part for part in parts if isinstance(part, Table)]


def write_data(text: str) -> None:
    """Write data to standard output: to a file or a program as it is, to people with control characters in sight."""
    sys.stdout.write(visible(text) if sys.stdout.isatty() else text)


def refuse_hidden_characters(arguments: Sequence[str]) -> None:
    """Refuse what no id, name or path is meant to have, and what messages could not show as it is.

    Raises:
        WrongArgument: an argument is no text, or has a control character other than a line break or a tab.
    """
    for number, argument in enumerate(arguments, start=1):
        if visible(argument) != argument:
            # Python makes such halves of characters of bytes that are no UTF-8.
            what = (
                "bytes that are no UTF-8" if any("\ud800" <= c <= "\udfff" for c in argument) else "control characters"
            )
            raise WrongArgument(f"argument {number}: found {what} in {quoted(argument)}; expected text without them")
