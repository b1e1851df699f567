"""What a step says while it works: lines with figures, warnings with their reason, and how far it is.

A line is a template and its figures, `say("{rows:,} rows landed", rows=12_345)`: people read the text, and programs the
figures as fields. The caller of the step adds which step it is, and logs its progress (`tasks.runs.step_log`). Nothing
said here changes a result.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

Item = TypeVar("Item")

log = logging.getLogger("matinee")
# Else Python itself prints warnings where nobody asked for a log.
log.addHandler(logging.NullHandler())
MOST_NAMED = 5
"""Names in a line; a line is for people."""
MOST_WARNINGS = 8
"""Warnings of one kind that get a line each; the last line counts the others."""


@dataclass(eq=False)  # two counts of the same are two counts
class Count:
    """How far something is that takes its time.

    Attributes:
        what: the things that are counted, in the plural.
        total: how many there are; None if not known yet.
        done: how many are done.
        at: the one that is being done, if it has a name.
    """

    what: str
    total: int | None
    done: int = 0
    at: str = ""

    def __str__(self) -> str:
        if self.total is None:
            return self.at or self.what
        return f"{self.done:,} of {self.total:,} {self.what}" + (f" ({self.at})" if self.at else "")


@dataclass(eq=False)
class Narration:
    """What is known of the step that runs: which one it is, its progress, and what it returned.

    Attributes:
        fields: go with each of its lines.
        counts: what it is counting, the outermost first.
        result: what its function returned.
    """

    fields: dict[str, str] = field(default_factory=dict)
    counts: list[Count] = field(default_factory=list)
    result: Any = None

    @property
    def progress(self) -> str:
        """How far it is, in words; empty where nothing is counted."""
        return ", ".join(map(str, list(self.counts)))  # of a copy: threads count, too


CURRENT: ContextVar[Narration | None] = ContextVar("narration", default=None)
"""The step that runs. Threads that a step starts do not see it; they raise the `Count` that they were given."""


def say(template: str, **figures: Any) -> None:
    """Log a line.

    Args:
        template: in the syntax of `str.format`; never text from data.
        figures: fill the template, and are fields of the line, except words, whose names begin with `_`. Counts by name
            become one text and long lists are shortened in the template; as fields they are whole.
    """
    _log(logging.INFO, template, figures)


def warn(template: str, **figures: Any) -> None:
    """Log a warning: what is wrong and why, observed beside expected; arguments as for `say`."""
    _log(logging.WARNING, template, figures)


def warn_each(texts: Sequence[str], more: str) -> None:
    """Log a warning for each of some texts, and count those that are too many to read.

    Args:
        texts: complete sentences.
        more: where the others are.
    """
    for text in texts[:MOST_WARNINGS]:
        warn("{_text}", _text=text)
    if len(texts) > MOST_WARNINGS:
        warn("and {left} more warnings: {more}", left=len(texts) - MOST_WARNINGS, more=more)


def _log(level: int, template: str, figures: Mapping[str, Any]) -> None:
    if not log.isEnabledFor(level):
        return
    current = CURRENT.get()
    text = template.format(**{name: _shown(value) for name, value in figures.items()})
    kept = {name: value for name, value in figures.items() if not name.startswith("_")}
    # The third frame up is the caller of `say` or `warn`.
    log.log(level, text, extra={"figures": kept, **(current.fields if current else {})}, stacklevel=3)


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        return one_line(amounts(value))
    if isinstance(value, list | tuple):
        return one_line(named(value) or "none")
    return one_line(value) if isinstance(value, str) else value


def one_line(text: str) -> str:
    """Keep what data says from looking like lines of the log: control characters become blanks."""
    return "".join(char if char.isprintable() else " " for char in text)


@contextmanager
def counting(what: str, total: int | None) -> Iterator[Count]:
    """Count something that takes its time; the caller raises `done`, from whatever thread."""
    current, count = CURRENT.get(), Count(what, total)
    if current is not None:
        current.counts.append(count)
    try:
        yield count
    finally:
        if current is not None:
            current.counts.remove(count)


def counted(items: Collection[Item], what: str) -> Iterator[Item]:
    """Yield items, counting those that are done with."""
    with counting(what, len(items)) as count:
        for item in items:
            count.at = one_line(item) if isinstance(item, str) else ""
            yield item
            count.done += 1


def named(names: Sequence[Any], most: int = MOST_NAMED) -> str:
    """List the first few names, and count the others."""
    shown = ", ".join(map(str, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def amounts(counts: Mapping[str, int]) -> str:
    """List names with their counts: `events 1,200, titles 40`."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
