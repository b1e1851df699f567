"""The part of the run report about landed rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from typing import TYPE_CHECKING

from tasks.errors import MatineeError
from tasks.reports.svg_plots import Bars, plot_bars
from tasks.sources.datasets import load_dataset
from tasks.spec.parts import FilesSource
from tasks.store.partitions import read_manifests
from tasks.store.records import warn_of_damage

if TYPE_CHECKING:
    from tasks.runs.run import Run
    from tasks.spec.spec import Spec

DAYS_SHOWN = 45
USUAL_DAYS = 7


@dataclass(frozen=True)
class LandedTable:
    """Rows of a landed table by day.

    Attributes:
        table: its name.
        problem: why its manifests cannot be read; then there is nothing else.
        plot: rows by day.
        latest: rows of the as-of day; None if it has no partition.
        usual: median of the days before.
        once: for a table without days, the day on which it landed: it has no rows of the day, and none are missing.
    """

    table: str
    problem: str | None = None
    plot: Bars | None = None
    latest: int | None = None
    usual: float | None = None
    once: date | None = None

    @property
    def ratio(self) -> float | None:
        """The as-of day's rows relative to the usual ones."""
        return self.latest / self.usual if self.usual and self.latest is not None else None


def landed_tables(run: Run) -> tuple[LandedTable, ...]:
    """Read the rows of each landed table by day; of a table with a torn manifest, what is wrong with it."""
    folder = run.home.landing(run.spec.source_name)
    # A name with a dot is a landing that is being written.
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    static = _static_tables(run.spec)
    tables = (_landed_table(run, name, static) for name in names if not name.startswith("."))
    return tuple(table for table in tables if table is not None)


def _static_tables(spec: Spec) -> dict[str, date]:
    """Name the tables that have no days, with the day on which they land."""
    if not isinstance(spec.source, FilesSource):
        return {}
    try:
        dataset = load_dataset(spec.source.dataset)
    except MatineeError as error:  # a declaration that is being edited costs the page a word, not the page
        warn_of_damage(error)
        return {}
    return {name: dataset.first_day for name, table in dataset.tables.items() if table.static}


def _landed_table(run: Run, name: str, static: Mapping[str, date]) -> LandedTable | None:
    once = static.get(name)
    first, last = (once, once) if once else (run.as_of - timedelta(days=DAYS_SHOWN - 1), run.as_of)
    try:
        parts = read_manifests(run.home, run.spec.source_name, [name], first, last)
    except MatineeError as error:
        return LandedTable(name, problem=str(error))
    if once and parts:
        return LandedTable(name, latest=sum(part.rows for part in parts), once=once)
    return _volume(name, {part.ds: part.rows for part in parts}, run.as_of) if parts else None


def _volume(table: str, rows: Mapping[date, int], as_of: date) -> LandedTable:
    """Plot every day from the first to the as-of day, those without a partition as gaps."""
    first = min(rows)
    days = [first + timedelta(days=n) for n in range((as_of - first).days + 1)]
    before = [rows[day] for day in days[:-1] if day in rows][-USUAL_DAYS:]
    return LandedTable(
        table=table,
        plot=plot_bars([(day.isoformat(), rows.get(day)) for day in days]),
        latest=rows.get(as_of),
        # A median: one day of outage among the seven does not change what is usual.
        usual=median(before) if before else None,
    )
