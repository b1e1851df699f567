"""The values of options: numbers, days, names, files and folders; each refusal says what is accepted."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import typer

from tasks.errors import MatineeError, quoted
from tasks.store.files import safe_name

MOST_DAYS = 3660
"""Ten years: longer than any page or list is read."""
MOST_HOURS = 24 * MOST_DAYS
MOST_ROWS = 1_000_000
MOST_AT_ONCE = 64
LONGEST_NAME = 200
"""Characters: file systems take 255 bytes, and unfinished folders have some more in their names."""
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


def share(*names: str, meaning: str) -> Any:
    """Declare an option for a share, which a command gets as a `float` from 0 to 1."""
    return typer.Option(*names, parser=_share, metavar="0..1", help=meaning)


def _share(value: object) -> float:
    text = str(value)
    # Not `float` alone: it takes `nan`, `1_0` and Arabic digits.
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,9})?|\.[0-9]{1,9}", text) or not 0 <= float(text) <= 1:
        raise typer.BadParameter(f"found {quoted(text)}, expected a share from 0 to 1, like 0.01")
    return float(text)


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


def folder_name(*names: str, meaning: str) -> Any:
    """Declare an option for a name that a folder of the state has: an attempt, a version."""
    return typer.Option(*names, parser=_folder_name, metavar="NAME", help=meaning)


def _folder_name(value: object) -> str:
    name = str(value)
    # Asked for at once: a landing of minutes would come before the folder.
    if len(name) > LONGEST_NAME:
        raise typer.BadParameter(f"found a name of {len(name)} characters, expected at most {LONGEST_NAME}")
    try:
        return safe_name(name)
    except MatineeError:
        raise typer.BadParameter(
            f"found {quoted(name)}, expected a name of letters, digits and . _ + = : @ - that begins with a letter or "
            "a digit"
        ) from None


def user_id(*names: str, meaning: str) -> Any:
    """Declare an option for the id of a user, as the engine takes it."""
    return typer.Option(*names, parser=_user_id, metavar="ID", help=meaning)


def _user_id(value: object) -> str:
    from pydantic import ValidationError

    from engine.descriptor import Request

    user, expected = str(value), "expected one of the user ids in the data"
    if not user:
        raise typer.BadParameter(f"found an empty id, {expected}")
    try:
        return Request(user_id=user, k=1).user_id
    except ValidationError as error:  # too long, or no text
        raise typer.BadParameter(f"found {quoted(user)}, {expected} ({error.errors()[0]['msg']})") from None


def folder_to_read(*names: str, meaning: str) -> Any:
    """Declare an option for a folder that exists, or the URL of one."""
    return typer.Option(*names, parser=_folder_to_read, metavar="FOLDER", help=meaning)


def _folder_to_read(value: object) -> Path:
    from tasks.sources.files.folders import url_of

    path = Path(str(value))
    if url_of(str(value)):
        return path  # whether there is such a bucket is known once it is asked
    # An empty text would be the folder one is in.
    if not str(value) or not path.is_dir():
        found = "a file" if path.is_file() else "no such folder"
        raise typer.BadParameter(f"found {found}: {quoted(str(value))}; expected a folder that exists")
    return path


def file_to_read(*names: str, meaning: str, advice: str) -> Any:
    """Declare an option for a file that exists; `advice` says where such a file comes from."""

    def parse(value: object) -> Path:
        path = Path(str(value))
        # Not `is_file`: the shell's `<(command)` is a pipe.
        if path.is_dir() or not path.exists():
            found = "a folder" if str(value) and path.is_dir() else "no such file"
            raise typer.BadParameter(f"found {found}: {quoted(str(value))}; {advice}")
        return path

    return typer.Option(*names, parser=parse, metavar="FILE", help=meaning)
