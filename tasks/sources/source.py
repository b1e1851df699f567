"""What a source is: something that has tables, a day at a time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


class Source(Protocol):
    """Something that has tables, a day at a time."""

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
        """Return the days of a table that a reader of the days [start, end] needs.

        For tables of changes (members, titles) that is every day since the source began.
        """

    def inputs(self, table: str, day: date) -> str:
        """Return a digest of everything a partition is made from; equal digests mean equal bytes."""

    def read(self, day: date, tables: Iterable[str]) -> dict[str, pa.Table]:
        """Return the rows of the tables that arrived on a day, in their landed order."""
