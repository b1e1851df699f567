"""The overview of a pipeline across days: outcomes, a heat map of checks, volumes, rates, metrics.

It is made on request from the JSON that each day's latest attempt has left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from tasks.checks.profile_columns import ProfileColumn, shown
from tasks.checks.verdicts import Check
from tasks.errors import MatineeError
from tasks.reports.html import figure, link, page
from tasks.reports.overview_days import LEVELS, DaySummary, Outcome, latest_reported, summarize_attempt
from tasks.reports.run_report_data import LINES, line_of
from tasks.reports.svg_plots import Bars, Course, Reading, plot_bars, plot_course
from tasks.runs.missed_days import MissedDays, missed_days
from tasks.spec.load import load_shape
from tasks.spec.project import pipeline_path
from tasks.store.files import Home
from tasks.store.registry import alias
from tasks.store.run_files import attempts, days
from tasks.store.timeline import timeline

DEFAULT_DAYS = 90
Summaries = Mapping[str, DaySummary]
"""By day, in ISO form; days that were not run are missing."""


class Cell(NamedTuple):
    """A day in a row of the heat map: its level, and its tooltip."""

    level: str
    text: str

    @property
    def rank(self) -> int:
        """Place of its level, from good to bad."""
        return LEVELS.index(self.level)


@dataclass(frozen=True)
class HeatRow:
    """A row of the heat map; a day without a cell did not run."""

    name: str
    cells: Mapping[str, Cell]

    @property
    def worst(self) -> int:
        """Rank of its worst cell."""
        return max(cell.rank for cell in self.cells.values())

    @property
    def bad_days(self) -> int:
        """Days on which it was not good."""
        return sum(cell.rank > 0 for cell in self.cells.values())


@dataclass(frozen=True)
class HeatMap:
    """Rows for the lines of defense, for checks that ever failed, and for those that were only ever noted."""

    lines: tuple[HeatRow, ...]
    checks: tuple[HeatRow, ...]
    noted: tuple[HeatRow, ...]


@dataclass(frozen=True)
class Overview:
    """Everything that the page shows.

    Attributes:
        pipeline: its name.
        days: the axis, in ISO form, days without a run among them.
        summaries: what ran.
        links: the report of each day that has one.
        heat: the heat map of checks.
        volumes: landed rows, by table.
        rates: rejected rows and label rate, by name.
        metrics: the model's metrics, by name, marked where its version became champion.
        missed: days that the schedule passed over.
    """

    pipeline: str
    days: tuple[str, ...]
    summaries: Summaries
    links: Mapping[str, str]
    heat: HeatMap
    volumes: Mapping[str, Bars]
    rates: Mapping[str, Course]
    metrics: Mapping[str, Course]
    missed: Sequence[MissedDays] = ()

    @property
    def latest(self) -> DaySummary | None:
        """The last day of the axis, which is always one that ran."""
        return self.summaries[self.days[-1]] if self.days else None

    @property
    def counts(self) -> dict[str, int]:
        """How many days ended in each way."""
        outcomes = [summary.outcome for summary in self.summaries.values()]
        return {outcome.name.lower(): outcomes.count(outcome) for outcome in Outcome if outcome in outcomes}


@dataclass(frozen=True)
class PipelineRow:
    """A pipeline in the list of all: its latest day, how that ended, and the version that is served."""

    pipeline: str
    day: str | None
    level: str
    outcome: str
    served: str | None


def overview(home: Home, pipeline: str, here: Path, last: int = DEFAULT_DAYS) -> str:
    """Render the overview page of a pipeline.

    Args:
        home: the state.
        pipeline: its name.
        here: file that the page will be: its links lead from there.
        last: how many days to show, up to the latest that has run.
    """
    return page("overview", {"overview": collect_overview(home, pipeline, here, last)})


def collect_overview(home: Home, pipeline: str, here: Path, last: int = DEFAULT_DAYS) -> Overview:
    """Gather what the page shows."""
    ran = days(home, pipeline)[-last:]
    axis = [ran[0] + timedelta(days=n) for n in range((ran[-1] - ran[0]).days + 1)] if ran else []
    axis = axis[-last:]  # with gaps between them, `last` runs are spread over more than `last` days
    summaries = {
        day.isoformat(): summarize_attempt(attempt)
        for day in axis
        if (attempt := latest_reported(attempts(home, pipeline, day)))
    }
    names = tuple(day.isoformat() for day in axis)
    return Overview(
        pipeline=pipeline,
        days=names,
        summaries=summaries,
        links={day: link(summary.report, here) for day, summary in summaries.items() if summary.report},
        heat=heat_map(summaries),
        volumes=_volumes(summaries, names),
        rates=_rates(summaries, names),
        metrics=_metrics(summaries, names),
        missed=_missed(home, pipeline),
    )


def _missed(home: Home, pipeline: str) -> list[MissedDays]:
    try:
        schedule = load_shape(pipeline_path(pipeline)).schedule
    except MatineeError:  # the file is wrong, or gone: its days are shown all the same
        return []
    return missed_days(home, pipeline, schedule)


def heat_map(summaries: Summaries) -> HeatMap:
    """Arrange the verdicts of all days: one row for each line of defense, one for each check that ever failed."""
    lines: dict[str, dict[str, Cell]] = {}
    checks: dict[tuple[str, str, str], dict[str, Cell]] = {}
    ran: dict[str, set[str]] = {}
    for day, summary in summaries.items():
        for step, failed in summary.failed_checks.items():
            # Also the line of the step itself: that all of its checks passed is worth a cell.
            for line in {line_of(step), *(line_of(step, check) for check in failed)}:
                ran.setdefault(line, set()).add(day)
                members = [check for check in failed if line_of(step, check) == line]
                _keep_worse(lines.setdefault(line, {}), day, _line_cell(members))
            for check in failed:
                key = (line_of(step, check), check.table, check.column)
                cell = Cell(check.severity, f"{check.shown_value}, expected {check.expected}")
                _keep_worse(checks.setdefault(key, {}), day, cell)
    rows = [
        _heat_row(f"{table}: {ProfileColumn.parse(column).title}", cells, ran[line])
        for (line, table, column), cells in checks.items()
    ]
    # The name decides last, so that the order is the same each time the page is made.
    rows.sort(key=lambda row: (-row.worst, -row.bad_days, row.name))
    noted = LEVELS.index("info")
    return HeatMap(
        lines=tuple(_heat_row(title, lines[line], ran[line]) for line, title in LINES.items() if line in lines),
        checks=tuple(row for row in rows if row.worst > noted),
        noted=tuple(row for row in rows if row.worst == noted),
    )


def _heat_row(name: str, cells: Mapping[str, Cell], ran: set[str]) -> HeatRow:
    """Fill in the days on which the line ran and nothing failed."""
    # Not on all days: a check that did not run has not passed.
    return HeatRow(name, dict.fromkeys(ran, Cell("ok", "passed")) | dict(cells))


def _keep_worse(cells: dict[str, Cell], day: str, cell: Cell) -> None:
    # Checks of several days of data, or suites, can fall into one cell.
    if day not in cells or cell.rank > cells[day].rank:
        cells[day] = cell


def _line_cell(failed: Sequence[Check]) -> Cell:
    severities = [check.severity for check in failed]
    if not severities:
        return Cell("ok", "all passed")
    counts = [f"{severities.count(level)} {level}" for level in ("critical", "warning", "info") if level in severities]
    return Cell(max(severities, key=LEVELS.index), ", ".join(counts))


def _volumes(summaries: Summaries, names: Sequence[str]) -> dict[str, Bars]:
    tables = sorted({table for summary in summaries.values() for table in summary.landed})
    return {
        table: plot_bars([(day, summaries[day].landed.get(table) if day in summaries else None) for day in names])
        for table in tables
    }


def _rates(summaries: Summaries, names: Sequence[str]) -> dict[str, Course]:
    rates = {
        "rejected rows": {day: summary.rejected for day, summary in summaries.items()},
        "positive examples at the last cut": {day: summary.positive for day, summary in summaries.items()},
    }
    readings = {
        name: [Reading(day, share, text=shown(share, rate=True)) for day, share in shares.items()]
        for name, shares in rates.items()
    }
    return _courses(readings, names)


def _metrics(summaries: Summaries, names: Sequence[str]) -> dict[str, Course]:
    metrics = dict.fromkeys(metric for summary in summaries.values() for metric in summary.metrics)
    readings = {
        metric: [_reading(day, summary, metric) for day, summary in summaries.items() if metric in summary.metrics]
        for metric in metrics
    }
    return _courses(readings, names)


def _courses(readings: Mapping[str, Sequence[Reading]], names: Sequence[str]) -> dict[str, Course]:
    plots = {name: plot_course(members, names) for name, members in readings.items()}
    return {name: plot for name, plot in plots.items() if plot is not None}


def _reading(day: str, summary: DaySummary, metric: str) -> Reading:
    record = summary.metrics[metric]
    interval = f" [{figure(record.low)}, {figure(record.high)}]" if record.low is not None else ""
    became = "became champion" if summary.is_live else None
    text = ", ".join(filter(None, [figure(record.value) + interval, summary.version, became]))
    return Reading(day, record.value, record.low, record.high, text, summary.is_live)


def index(home: Home, names: Sequence[str]) -> str:
    """Render the page that leads to those of each pipeline."""
    return page("index", {"rows": [_pipeline_row(home, name) for name in names]})


def _pipeline_row(home: Home, pipeline: str) -> PipelineRow:
    latest = next(iter(days(home, pipeline)[::-1]), None)
    attempt = latest_reported(attempts(home, pipeline, latest)) if latest else None
    outcome = summarize_attempt(attempt).outcome if attempt else None
    events = timeline(home, pipeline)
    # The name in the last event, since the pipeline file may be gone, or name another one meanwhile.
    served = alias(home, pipeline, events[-1].alias) if events else None
    return PipelineRow(
        pipeline=pipeline,
        day=latest.isoformat() if latest else None,
        level=outcome.level if outcome else "info",
        outcome=outcome.text if outcome else "not run",
        served=served.version if served else None,
    )
