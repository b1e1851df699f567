"""The values of options: numbers and days within bounds, and files to write; each refusal says what is accepted."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import typer

from tasks.errors import quoted

MOST_DAYS = 3660
"""Ten years: longer than any page or list is read."""
MOST_HOURS = 24 * MOST_DAYS
MOST_ROWS = 1_000_000
MOST_AT_ONCE = 64
MOST_SECONDS = 86_400
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(2199, 12, 31)
"""The days that a pipeline file can name."""


def whole_number(least: int, most: int, *names: str, meaning: str) -> Any:
    """Declare an option for a whole number.

    Args:
        least: the least that is accepted.
        most: the most that is accepted; nothing is open, as clocks, calendars and lists have an end.
        names: of the option; derived from the parameter if absent.
        meaning: its help.
    """

    def parse(value: object) -> int:
        # ASCII: to Python the digits of every script are digits, and `1_000` and ` 7 ` are numbers.
        text = str(value)
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text) or not least <= int(text) <= most:
            raise typer.BadParameter(f"found {quoted(text)}, expected a whole number from {least} to {most}")
        return int(text)

    return typer.Option(*names, parser=parse, metavar=f"{least}..{most}", help=meaning)


def calendar_day(*names: str, meaning: str) -> Any:
    """Declare an option for a day, which a command gets as a `date`."""
    return typer.Option(*names, parser=_day, metavar="YYYY-MM-DD", help=meaning)


def _day(value: object) -> date:
    text = str(value)
    expected = f"expected a day from {FIRST_DAY} to {LAST_DAY}, like 2026-02-28"
    # Python reads 20260228 and 2026-W09-6 as days, too.
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise typer.BadParameter(f"found {quoted(text)}, {expected}")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"found {quoted(text)}, which is not in the calendar; {expected}") from None
    if not FIRST_DAY <= day <= LAST_DAY:
        raise typer.BadParameter(f"found {quoted(text)}, {expected}")
    return day


def file_to_write(*names: str, meaning: str) -> Any:
    """Declare an option for a file to be written, in a folder that exists."""
    return typer.Option(*names, parser=_file_to_write, metavar="FILE", help=meaning)


def _file_to_write(value: object) -> Path:
    path = Path(str(value))
    if path.is_dir():
        raise typer.BadParameter(f"found the folder {quoted(str(path))}, expected the name of a file to write")
    # A folder with a typo would be created, and the file looked for in vain.
    if not path.parent.is_dir():
        raise typer.BadParameter(f"found no folder {quoted(str(path.parent))}; create it, or name another one")
    return path
