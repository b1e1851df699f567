"""What a source is: tables that arrive a day at a time.

To add one, see `tasks.sources.registry`. A source reads; whether, when and where its rows land is decided in
`tasks.sources.land`. `inputs` makes landing cheap and repeatable: it is asked for every day of a run's past, so it
must not read the rows, and it must change whenever `read` would return other bytes: a new file, another declaration,
other code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Protocol

from tasks.store.partitions import Rows


class Source(Protocol):
    """Tables that arrive a day at a time."""

    @property
    def name(self) -> str:
        """Folder in the landing."""

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of all its tables."""

    @property
    def entities(self) -> frozenset[str]:
        """Tables of changes since the source began: every partition counts, however old."""

    def partitions(self, table: str, start: date, end: date) -> Iterable[date]:
        """List the days of a table that a reader of the days [start, end] needs.

        For tables of changes (members, titles) that is every day since the source began.
        """

    def inputs(self, table: str, day: date) -> str:
        """Hash everything a partition is made from; equal digests mean equal bytes.

        Raises:
            SourceError: input is missing; landing then writes nothing at all.
        """

    def read(self, day: date, tables: Iterable[str]) -> Mapping[str, Rows]:
        """Read the rows of the tables that arrived on a day, in their landed order.

        Raises:
            SourceError: input is missing or unreadable.
        """
