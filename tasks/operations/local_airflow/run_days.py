"""Which as-of days a `make run` is for."""

from __future__ import annotations

import re
from datetime import date, timedelta

from tasks.errors import SpecError
from tasks.spec.spec import Spec
from tasks.spec.windows import first_as_of, last_whole_day
from tasks.store.files import Home

DAY = timedelta(days=1)


def published_days(home: Home, pipeline: str) -> list[date]:
    """List the as-of days of the published versions, oldest first."""
    folder = home.registry(pipeline) / "versions"
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    # Other names are temporary folders of a publication that was killed, or somebody's notes.
    days = {match[1] for name in names if (match := re.fullmatch(r"(\d{4}-\d\d-\d\d)\.\w+", name))}
    return sorted(date.fromisoformat(day) for day in days)


def days_to_run(spec: Spec, days: int, as_of: date | None, published: list[date]) -> list[date]:
    """Choose consecutive days, oldest first.

    With `as_of`: that day and the ones before it, `days` in all, none before the first day whose windows are
    filled. Without: the first `days` days if nothing is published, otherwise the day after the last published.

    Raises:
        SpecError: the pipeline does not cover such a day.
    """
    first, last = first_as_of(spec), min(spec.end or date.max, last_whole_day())
    if days < 1:
        raise SpecError(f"DAYS: found {days}, expected at least 1")
    if as_of is not None:
        if not first <= as_of <= last:
            raise SpecError(f"AS_OF: found {as_of}, but {spec.name} can be run for {first} to {last}")
        start = max(first, as_of - (days - 1) * DAY)
        return [start + n * DAY for n in range((as_of - start).days + 1)]
    start, count = (published[-1] + DAY, 1) if published else (first, days)
    if start > last:
        why = f"{spec.name} ends on {spec.end}" if last == spec.end else f"{last} is the last day that is over"
        raise SpecError(
            f"{why}, and {published[-1] if published else 'no day'} was the last one published; "
            "give AS_OF=YYYY-MM-DD to run a day again"
        )
    return [start + n * DAY for n in range(count) if start + n * DAY <= last]
