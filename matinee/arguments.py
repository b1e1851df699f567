"""Arguments as people type them into a notebook, and errors as they should read there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime

from tasks.errors import MatineeError, WrongArgument, quoted

Day = date | str
"""A UTC calendar day: a `date`, or a text like `2026-02-25`."""


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn errors of the engine, of libraries and of the machine into a `MatineeError`; bugs keep their traceback."""
    from tasks.runs.failures import explained

    try:
        yield
    except MatineeError:
        raise
    except Exception as error:
        said = explained(error)
        if said is None:
            raise
        # Without its cause: forty frames of a library would hide the sentence that helps.
        raise said from None


def as_day(value: Day) -> date:
    """Read a day.

    Raises:
        WrongArgument: it is no calendar day, or an instant within one.
    """
    # A pandas Timestamp is a datetime, and a datetime is a date: one at midnight is meant as its day.
    if isinstance(value, datetime):
        if (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0):
            return value.date()
    elif isinstance(value, date):
        return value
    elif isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise WrongArgument(f"day: found {quoted(value)}, which is not in the calendar") from None
    raise WrongArgument(f"day: found {quoted(value)}, expected a date, or a text like '2026-02-25'")


def one_of(what: str, name: str, known: Iterable[str]) -> str:
    """Let a name pass that is known.

    Raises:
        WrongArgument: it is none of them; names the nearest, and all there are.
    """
    from engine.errors import nearest

    names = list(known)
    if name not in names:
        there = ", ".join(names) or "none"
        raise WrongArgument(f"{what}: found {quoted(name)}{nearest(str(name), names)}; expected one of: {there}")
    return name
