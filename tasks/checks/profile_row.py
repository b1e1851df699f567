"""A profile: the numbers that SQL has measured of one table and day, and what the earlier days say about them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from tasks.checks.bands import History
from tasks.checks.profile_columns import ProfileColumn


@dataclass(frozen=True)
class Sketch:
    """The keys of a day with the smallest hashes: all hashes up to `below`."""

    below: int
    hashes: tuple[int, ...]


@dataclass(frozen=True)
class Profile:
    """What was measured of a table on a day."""

    table: str
    day: date
    measures: Mapping[str, Any]
    place: str | None = None
    """File or table that was measured."""
    closed: bool = False
    """Whether the day is declared closed, and has no rows."""
    histories: Mapping[str, History] = field(default_factory=dict)
    """What the trailing days say, by profile column."""

    def value(self, column: ProfileColumn) -> Any:
        """A measure, as Python and JSON have it; None where it was not measured."""
        value = self.measures.get(column.name)
        return None if isinstance(value, float) and math.isnan(value) else value

    def number(self, column: ProfileColumn) -> float | None:
        """A measure, if it is a finite number."""
        value = self.measures.get(column.name)
        return value if isinstance(value, int | float) and math.isfinite(value) else None

    def decided_by(self, column: ProfileColumn) -> str | None:
        """Column of a family that gave the value."""
        return self.measures.get(column.decided_by)

    def deviation(self, column: ProfileColumn) -> float:
        """Standard deviation of the single values behind a mean; 0 where it is none."""
        return float(self.measures.get(column.deviation) or 0)

    def mix(self, subject: str) -> Mapping[str, float]:
        """Share of the rows of each usual value of a column."""
        return self.measures.get(ProfileColumn(subject, "mix").name) or {}

    @property
    def mixes(self) -> list[str]:
        """Columns whose mix was measured."""
        columns = map(ProfileColumn.parse, self.measures)
        return [column.subject for column in columns if column.measure == "mix"]

    def sketch(self, subject: str) -> Sketch | None:
        """The smallest hashes of a key or a column."""
        kept = self.measures.get(ProfileColumn(subject, "sketch").name)
        return None if kept is None else Sketch(int(kept["below"]), tuple(kept["hashes"]))

    @property
    def rows(self) -> int | None:
        """Rows of the table on the day, if that is known."""
        return self.measures.get("rows")

    @property
    def units(self) -> float:
        """How many independent units (rows, if they come one by one) it was measured on."""
        return float(self.measures.get("units") or self.rows or 0)

    def with_measures(self, more: Mapping[str, Any]) -> Profile:
        """The profile with further measures."""
        return replace(self, measures={**self.measures, **more})


def measured(table: str, day: date, where: Path | str, measures: Mapping[str, Any]) -> Profile:
    """Say where something was measured."""
    return Profile(table, day, measures, str(where))
