"""The terminal: it shows data as it is."""

from __future__ import annotations

from rich.console import Console


def plain_console(*, stderr: bool = False) -> Console:
    """Open a terminal that takes nothing in a text for its own: neither `[live]` in a title nor `:tv:`.

    What is to be styled is given as `rich.text.Text`.
    """
    return Console(stderr=stderr, markup=False, emoji=False)
