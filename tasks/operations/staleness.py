"""Which days a change of landed partitions makes stale, before it is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from tasks.evaluation.champion import champion_by_day
from tasks.features.build import code_of_tables, needed_by
from tasks.features.engines import warehouse_of
from tasks.features.ledger import CODE, plan_build
from tasks.operations.plan import placeholders
from tasks.spec.windows import landing_start

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.sources.source import Source
    from tasks.spec.spec import Spec
    from tasks.store.files import Home


@dataclass(frozen=True)
class StaleDays:
    """What exists, and would come out differently.

    Attributes:
        runs: as-of days that were run.
        features: feature days that are built.
        labels: label cuts that are built.
        other_code: the tables were built by other SQL, so that all of them are stale anyway.
    """

    runs: tuple[date, ...]
    features: tuple[date, ...]
    labels: tuple[date, ...]
    other_code: bool


def stale_after(
    spec: Spec, home: Home, source: Source, parts: Sequence[tuple[str, date]], data: Path | None = None
) -> StaleDays:
    """Find what becomes stale when some partitions, (table, day), are landed with other rows."""
    runs = tuple(day for day in _days_run(spec, home) if any(_reads(spec, source, day, *part) for part in parts))
    ledger = warehouse_of(home, spec.name).ledger()
    code = code_of_tables(spec)
    other_code = bool(ledger) and ledger.get(CODE) != code.digest
    if not runs or not ledger or other_code:
        # Without a ledger nothing is built, so no other code has built it.
        return StaleDays(runs, (), (), other_code=other_code)
    # What the change adds to the next build: the same plan twice, the second time with the parts' content unknown.
    before = plan_build(needed_by(spec, home, runs, data), ledger, code)
    unknown = placeholders(dict.fromkeys(parts, True))
    after = plan_build(needed_by(spec, home, runs, data, unknown), ledger, code)
    return StaleDays(
        runs,
        tuple(sorted(after.features.keys() - before.features.keys())),
        tuple(sorted(after.labels.keys() - before.labels.keys())),
        other_code=False,
    )


def _days_run(spec: Spec, home: Home) -> list[date]:
    """List the as-of days whose tables were built by a run, or that were published."""
    # Old runs are deleted one day; what they published stays in the timeline.
    built = {path.parents[2].name for path in (home.root / "runs" / spec.name).glob("*/*/build/result.json")}
    return sorted({*map(date.fromisoformat, built), *champion_by_day(home, spec)})


def _reads(spec: Spec, source: Source, as_of: date, table: str, ds: date) -> bool:
    """Whether a run reads a partition; of entities it reads all days, as their newest row counts."""
    return ds <= as_of and (table in source.entities or ds >= landing_start(spec, as_of))
