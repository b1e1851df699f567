"""Days that the schedule passed over, because they were too many to catch up on after an outage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from tasks.spec.spec import is_daily
from tasks.store import run_files
from tasks.store.files import Home

DAY = timedelta(days=1)
SCHEDULED = "scheduled__"
LOOKED_BACK = timedelta(days=90)


@dataclass(frozen=True)
class MissedDays:
    """Consecutive days without any run, between two days that the schedule ran.

    Attributes:
        pipeline: its name.
        first: the first of them.
        last: the last of them.
    """

    pipeline: str
    first: date
    last: date

    @property
    def text(self) -> str:
        """The days, for people."""
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"

    @property
    def command(self) -> str:
        """What runs them."""
        return f"matinee backfill {self.pipeline} --from {self.first} --to {self.last}"


def missed_days(home: Home, pipeline: str, schedule: str | None) -> list[MissedDays]:
    """List the days that a daily schedule passed over lately, oldest first, without those that were run since."""
    if not is_daily(schedule):
        return []
    ran = run_files.days(home, pipeline)
    recent = [day for day in ran if day >= ran[-1] - LOOKED_BACK]
    # Only between days that the schedule ran: days before it was switched on, or run by hand, are nobody's omission.
    scheduled = [day for day in recent if _was_scheduled(home, pipeline, day)]
    missing = [
        day
        for before, after in pairwise(scheduled)
        for day in (before + n * DAY for n in range(1, (after - before).days))
        if day not in ran
    ]
    spans: list[MissedDays] = []
    for day in missing:
        if spans and spans[-1].last == day - DAY:
            spans[-1] = MissedDays(pipeline, spans[-1].first, day)
        else:
            spans.append(MissedDays(pipeline, day, day))
    return spans


def _was_scheduled(home: Home, pipeline: str, day: date) -> bool:
    return any(attempt.name.startswith(SCHEDULED) for attempt in run_files.attempts(home, pipeline, day))
