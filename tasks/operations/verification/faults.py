"""A fault on disk, and how an error that was met on the way becomes one: a walk never ends at the first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from tasks.runs.failures import explained
from tasks.store.records import Record

FROM_BACKUP = "restore it from a backup"
AGAIN = "run the day again: equal inputs give the same version"
Part = Literal["landing", "quarantine", "registry", "retrieval", "runs", "warehouse"]
Progress = Callable[[str], None]
"""Called with the place that is looked at."""


class DiskFault(Record):
    """Something on disk that is not as it was written.

    Attributes:
        part: of the state folder.
        place: file or folder.
        problem: what was found, and what was expected.
        next: what to do.
    """

    part: Part
    place: str
    problem: str
    next: str


def fault_of(part: Part, place: Path | str, error: Exception, remedy: str) -> DiskFault:
    """Make a fault of an error; its message names the place and the remedy, too, which are said once.

    Raises:
        Exception: the error itself, if neither the disk nor bad input can cause it: a bug.
    """
    said = explained(error)
    if said is None:
        raise error
    text = str(said).removeprefix(f"{place}: ").removeprefix(f"{place}:")
    problem = text.removesuffix(remedy).rstrip(" :;,.")
    return DiskFault(part=part, place=str(place), problem=problem, next=remedy)


def collected(
    part: Part, place: Path | str, remedy: str, look: Callable[[], Iterable[DiskFault]]
) -> Iterator[DiskFault]:
    """Yield the faults that a look finds; an error that ends it is one more."""
    try:
        yield from look()
    except Exception as error:
        yield fault_of(part, place, error, remedy)
