"""Cron expressions: which ones are read, and why others never come or do not mean what they seem to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

PRESETS = frozenset({"@daily", "@weekly", "@monthly"})
EXPECTED = "expected @daily, or a cron expression of five fields, like 0 3 * * *"
LONGEST = 200


@dataclass(frozen=True)
class Field:
    """One of the five fields: the numbers it can have, and the words for them, from the least on."""

    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()

    def number(self, text: str) -> int | None:
        """Read a number or a word; None if it is neither."""
        if text.upper() in self.words:
            return self.least + self.words.index(text.upper())
        return int(text) if re.fullmatch(r"[0-9]{1,4}", text) else None


FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31),
    Field("month", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")),
    Field("day of the week", 0, 7, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")),
)
# `L` and `#`: the last, or the n-th, such day of a month.
_ITEM = re.compile(r"(?P<first>\*|[0-9A-Za-z]+)(?:-(?P<last>[0-9A-Za-z]+))?(?:/(?P<step>[0-9]+))?")
_DAY_OF_A_MONTH = re.compile(rf"L[0-7]|(?:[0-7]|{'|'.join(FIELDS[4].words)})#[1-5]", re.IGNORECASE | re.ASCII)


def check_cron(text: str) -> str:
    """Let a cron expression pass that comes, at the times that it seems to say.

    Raises:
        ValueError: it does not; says which field, and why.
    """
    if text in PRESETS:
        return text
    parts = text.split(" ")
    if len(parts) != len(FIELDS) or len(text) > LONGEST or not text.isascii():
        raise ValueError(f"found {text[:LONGEST]!r}, {EXPECTED}")
    for field, part in zip(FIELDS, parts, strict=True):
        for item in part.split(","):
            if problem := _problem(field, item):
                raise ValueError(f"found {text!r}: the {field.name} {item!r} {problem}; {EXPECTED}")
    from croniter import CroniterError, croniter

    try:
        croniter(text, datetime(2026, 1, 1, tzinfo=UTC)).get_next()
        minutes, hours = croniter.expand(text)[0][:2]
    except CroniterError:  # each field by itself is right, as in 31 February
        raise ValueError(f"found {text!r}, which never comes: no month has such a day; {EXPECTED}") from None
    if len(minutes) > 1 or len(hours) > 1 or "*" in (minutes[0], hours[0]):
        raise ValueError(
            f"found {text!r}, which comes several times a day; expected one minute of one hour, like 0 3 * * *, since "
            "a run is for a whole day"
        )
    return text


def _problem(field: Field, item: str) -> str | None:
    """Say what is wrong with an item of a field's list; None if nothing is."""
    if item == "?" or (field is FIELDS[2] and item == "L"):
        return None
    if field is FIELDS[4] and _DAY_OF_A_MONTH.fullmatch(item):
        return None
    match = _ITEM.fullmatch(item)
    if match is None:
        return "is not one"
    return _range_problem(field, match)


def _range_problem(field: Field, match: re.Match[str]) -> str | None:
    any_value, single = match["first"] == "*", match["last"] is None
    first = field.least if any_value else field.number(match["first"])
    # `5/15` goes on to the end, `5` alone does not.
    last = (field.most if any_value or match["step"] else first) if single else field.number(match["last"])
    if first is None or last is None or (any_value and not single):
        return "is not one"
    if not field.least <= first <= field.most or not field.least <= last <= field.most:
        return f"lies outside {field.least} to {field.most}"
    if field is FIELDS[4] and last == 0 < first:
        last = 7  # the Sunday at the end of FRI-SUN
    # croniter reads 5-5 as every value there is.
    if last < first or (last == first and not single):
        return "is a range that does not go up"
    steps = last - first + 1
    # A longer step comes to nothing but the first value again: every 400 days of a month is not what it says.
    if match["step"] is not None and not 1 <= int(match["step"][:6]) <= steps:
        return f"steps by {match['step'][:6]}, expected 1 to {steps}"
    return None
