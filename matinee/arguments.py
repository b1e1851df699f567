"""Arguments as people type them into a notebook, and errors as they should read there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from numbers import Integral
from pathlib import Path
from typing import Any, TypeVar

from tasks.errors import MatineeError, WrongArgument, quoted

Value = TypeVar("Value")
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


def expect(what: str, value: object, kinds: type[Value] | tuple[type[Value], ...], expected: str) -> Value:
    """Let a value pass that is of one of some types; a text, only if it can be written to a file or to a library.

    Raises:
        WrongArgument: it is not; names what was found and what was expected.
    """
    # True is an int to Python, and a mistake to whoever reads the answer.
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise WrongArgument(f"{what}: found {quoted(value)}, expected {expected}")
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise WrongArgument(f"{what}: found {quoted(value)}, which has half of a character and cannot be encoded")
    return value


def as_number(what: str, value: object) -> int:
    """Read a whole number, also one of numpy's.

    Raises:
        WrongArgument: it is none.
    """
    return int(expect(what, value, Integral, "a whole number"))


def as_path(what: str, value: Any, expected: str = "the path of a folder") -> Path:
    """Read a path.

    Raises:
        WrongArgument: it is none, or one that no file can have.
    """
    expect(what, value, (str, Path), expected)
    if "\0" in expect(what, str(value), str, expected):
        raise WrongArgument(f"{what}: found {quoted(value)}, expected {expected}: no path has the character NUL")
    return Path(value)


def as_names(what: str, value: object) -> list[str]:
    """Read a list of names; a text alone is none, though Python would take its letters for one.

    Raises:
        WrongArgument: it is no list, or one of something else than text.
    """
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        example = f", such as [{quoted(value)}]" if isinstance(value, str) else ""
        raise WrongArgument(f"{what}: found {quoted(value)}, expected a list of texts{example}")
    return [expect(f"{what}[{place}]", name, str, "a text") for place, name in enumerate(value)]
