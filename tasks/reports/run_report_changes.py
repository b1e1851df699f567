"""Part of the run report about what changed since the last green run: inputs, models and figures.

The last green run is that of the latest earlier day that published. Not an earlier attempt at the same day, so that a
report is the same whichever attempts there were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from engine.evaluation import MODEL, EvaluationRecord, select
from tasks.evaluation import results as evaluation
from tasks.evaluation.results import records_if_valid
from tasks.publishing.results import PUBLISH_STEP, PublishResult
from tasks.reports.html import link
from tasks.reports.run_report_lineage import published_version
from tasks.reports.run_report_model import feature_gains, trained_models
from tasks.runs.made_by import FILE as MADE_BY_FILE
from tasks.runs.made_by import MadeBy
from tasks.sources.land import LandResult
from tasks.spec.changes import Change, changed_keys
from tasks.store.run_files import Attempt, RunFiles, attempts, days

if TYPE_CHECKING:
    from tasks.runs.run import Run

HEADLINES = 3
"""Metrics that are compared, the primary one first."""
MOST_MOVERS = 5


@dataclass(frozen=True)
class GreenRun:
    """The run that is compared with: its day, attempt and version, and its report if it has one."""

    day: date
    attempt: str
    version: str
    report: str | None


@dataclass(frozen=True)
class Digests:
    """A digest then and now; None where it is not known."""

    before: str | None
    now: str | None

    @property
    def same(self) -> bool:
        """Whether both are known and equal."""
        return self.before is not None and self.before == self.now


@dataclass(frozen=True)
class RowCount:
    """Landed rows of a table that the run reads, then and now; None where the table was not landed."""

    table: str
    before: int | None
    now: int | None


@dataclass(frozen=True)
class Mover:
    """A feature whose share of the gain moved."""

    population: str
    feature: str
    before: float
    now: float


@dataclass(frozen=True)
class MetricChange:
    """The evaluated models' values of a metric, each on the held-out window of its own run."""

    before: EvaluationRecord
    now: EvaluationRecord

    @property
    def difference(self) -> float | None:
        """How much it rose; None where one has no value."""
        if self.before.value is None or self.now.value is None:
            return None
        return self.now.value - self.before.value


@dataclass(frozen=True)
class Changes:
    """What changed; a part that is None is not known of one of the two runs.

    Attributes:
        since: the last green run; None if there is none on disk, and nothing else.
        spec: keys of the pipeline file.
        code: of the steps and the SQL.
        libraries: versions.
        data: of the landing.
        rows: landed rows that the run reads, by table.
        populations: models that came or went.
        movers: features whose share of the gain moved most.
        metrics: headlines.
    """

    since: GreenRun | None
    spec: tuple[Change, ...] | None = None
    code: Digests = Digests(None, None)
    libraries: tuple[Change, ...] | None = None
    data: Digests = Digests(None, None)
    rows: tuple[RowCount, ...] = ()
    populations: tuple[Change, ...] = ()
    movers: tuple[Mover, ...] | None = None
    metrics: tuple[MetricChange, ...] | None = None

    @property
    def split(self) -> bool:
        """Whether features of more than one population moved."""
        return len({mover.population for mover in self.movers or ()}) > 1

    @property
    def unchanged(self) -> list[str]:
        """Names of the inputs that are known to be what they were."""
        same = {
            "spec": self.spec == (),
            "code": self.code.same,
            "libraries": self.libraries == (),
            "data": self.data.same,
        }
        return [name for name, is_same in same.items() if is_same]


def changes(run: Run) -> Changes:
    """Compare a run with the last green one."""
    found = last_green(run)
    if found is None:
        return Changes(None)
    attempt, published = found
    before, now = published_version(run.home, published).lineage, _lineage(run)
    landed, landing = _landed(attempt), _landed(run)
    report = attempt.step_dir("report") / "report.html"
    return Changes(
        since=GreenRun(
            day=attempt.as_of,
            attempt=attempt.name,
            version=published.version,
            report=link(report, run.step_dir("report") / "report.html") if report.exists() else None,
        ),
        spec=_keys(before.get("spec"), now.get("spec")),
        code=Digests(_digest(before), _digest(now)),
        libraries=_keys(before.get("libraries"), now.get("libraries")),
        data=Digests(None if landed is None else landed.digest, None if landing is None else landing.digest),
        rows=_rows(landed, landing),
        populations=_populations(attempt, run),
        movers=_movers(attempt, run),
        metrics=_metrics(attempt, run),
    )


def last_green(run: Run) -> tuple[Attempt, PublishResult] | None:
    """Find the run of the latest earlier day that published; of its attempts, the one that last did something."""
    for day in reversed(days(run.home, run.spec.name)):
        for attempt in attempts(run.home, run.spec.name, day) if day < run.as_of else ():
            published = PublishResult.read_if_valid(attempt.step_dir(PUBLISH_STEP) / "result.json")
            if published is not None:
                return attempt, published
    return None


def _lineage(run: Run) -> Mapping[str, Any]:
    """What the run was made from, whether it published or not; empty where nobody can tell any more."""
    from tasks.publishing.publish import lineage

    published = PublishResult.read_if_valid(run.step_dir(PUBLISH_STEP) / "result.json")
    if published is not None:
        return published_version(run.home, published).lineage
    # A page of an unfinished run may be made by other code, or of another pipeline file, than its steps were.
    now = run.made_by
    if any(MadeBy.read_if_valid(path) != now for path in run.dir.rglob(MADE_BY_FILE)):
        return {}
    return lineage(run, "")


def _digest(lineage: Mapping[str, Any]) -> str | None:
    code = lineage.get("code")
    return code if isinstance(code, str) else None


def _landed(run: RunFiles) -> LandResult | None:
    return LandResult.read_if_valid(run.step_dir("land") / "result.json")


def _rows(before: LandResult | None, now: LandResult | None) -> tuple[RowCount, ...]:
    if now is None:
        return ()
    earlier = {} if before is None else before.rows
    return tuple(RowCount(table, earlier.get(table), now.rows.get(table)) for table in sorted({*earlier, *now.rows}))


def _keys(before: Any, now: Any) -> tuple[Change, ...] | None:
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return None
    return tuple(changed_keys(before, now))


def _shares(run: RunFiles) -> dict[str, dict[str, float]]:
    return {
        result.population: {gain.name: gain.share for gain in feature_gains(result)}
        for _, result in trained_models(run)
    }


def _populations(before: RunFiles, now: RunFiles) -> tuple[Change, ...]:
    """Which populations have a model of their own now, or have none any more."""
    old, new = _shares(before), _shares(now)
    if not new:
        return ()
    came = [Change(name, "has a model of its own now") for name in sorted(new.keys() - old.keys())]
    return (*came, *(Change(name, "has no model of its own any more") for name in sorted(old.keys() - new.keys())))


def _movers(before: RunFiles, now: RunFiles) -> tuple[Mover, ...] | None:
    old, new = _shares(before), _shares(now)
    if not new:
        return None
    moved = [
        Mover(population, feature, old[population].get(feature, 0.0), new[population].get(feature, 0.0))
        for population in sorted(old.keys() & new.keys())
        for feature in sorted(old[population].keys() | new[population].keys())
    ]
    # A stable sort: equals stay in the order of their names.
    moved.sort(key=lambda mover: -abs(mover.now - mover.before))
    return tuple(mover for mover in moved[:MOST_MOVERS] if mover.now != mover.before)


def _metrics(before: RunFiles, now: RunFiles) -> tuple[MetricChange, ...] | None:
    old, new = (
        select(records_if_valid(run.step_dir(evaluation.STEP)) or (), of=MODEL, is_overall=True)
        for run in (before, now)
    )  # fmt: skip
    if not new:
        return None
    # Two figures may be compared only if they are defined alike.
    earlier = {(record.metric, record.definition): record for record in old}
    pairs = [(earlier.get((record.metric, record.definition)), record) for record in new]
    return tuple(MetricChange(then, record) for then, record in pairs if then is not None)[:HEADLINES]
