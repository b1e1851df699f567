"""A day of a pipeline in short: what its latest attempt left, for the overview and the list of pipelines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from pydantic import ConfigDict

from engine.evaluation import MODEL, EvaluationRecord, select
from tasks.checks.verdicts import Check, read_checks
from tasks.evaluation import results as evaluation
from tasks.evaluation.results import records_if_valid
from tasks.monitoring import drift as drift_file
from tasks.monitoring.drift import Drift
from tasks.publishing.results import GATE_STEP, PUBLISH_STEP, GateResult, PublishResult
from tasks.reports.run_report_data import STEPS_WITH_CHECKS, rejected_counts, rejected_share
from tasks.runs.steps import BESIDE, WITH_RESULT
from tasks.sources.land import LandResult
from tasks.store.records import Record
from tasks.store.run_files import Attempt

STOPPING = frozenset(step.name for step in WITH_RESULT) - BESIDE
"""Steps without whose result nothing is published."""
LEVELS = ("ok", "info", "warning", "critical")
"""From good to bad; a day on which a check did not run has none."""


class Outcome(Enum):
    """How an attempt ended: the level of its cell, and the words for it."""

    PUBLISHED = ("ok", "published")
    REJECTED = ("warning", "not published: a gate failed")
    STOPPED = ("critical", "stopped by a check")
    FAILED = ("critical", "a step failed")
    UNFINISHED = ("info", "not finished")

    @property
    def level(self) -> str:
        """One of `LEVELS`."""
        return self.value[0]

    @property
    def text(self) -> str:
        """What people read."""
        return self.value[1]


@dataclass(frozen=True)
class DaySummary:
    """What an attempt left.

    Attributes:
        report: its page, if it has one.
        outcome: how it ended.
        failed_checks: the checks that failed, by step; a step that has no verdicts is not in it.
        landed: rows of the day, by table.
        rejected: share of the day's rows that were rejected.
        positive: share of positive examples at the last cut.
        metrics: the model's record of each metric.
        version: the version it published.
        is_live: whether that became champion.
    """

    report: Path | None
    outcome: Outcome
    failed_checks: Mapping[str, Sequence[Check]]
    landed: Mapping[str, int]
    rejected: float | None
    positive: float | None
    metrics: Mapping[str, EvaluationRecord]
    version: str | None
    is_live: bool

    @property
    def good(self) -> bool:
        """Whether it published, and nothing has failed since."""
        return self.outcome is Outcome.PUBLISHED


class FailedCounts(Record):
    """What the results of all check steps have in common, whatever else each has."""

    model_config = ConfigDict(extra="ignore")

    failed_critical: int
    failed_warning: int
    failed_info: int


def latest_reported(attempts: Sequence[Attempt]) -> Attempt | None:
    """Choose the attempt that represents a day: the latest that came to its report, or else the latest."""
    # An attempt that is still running has no report, and would show a finished day as unfinished.
    reported = [attempt for attempt in attempts if (attempt.step_dir("report") / "result.json").exists()]
    return next(iter([*reported, *attempts]), None)


def summarize_attempt(attempt: Attempt) -> DaySummary:
    """Read what an attempt left, in short."""
    checks = {step: _failed_checks(attempt, step) for step in STEPS_WITH_CHECKS}
    failed = {step: members for step, members in checks.items() if members is not None}
    published = PublishResult.read_if_valid(attempt.step_dir(PUBLISH_STEP) / "result.json")
    report = attempt.step_dir("report") / "report.html"
    counts = rejected_counts(attempt)
    land = LandResult.read_if_valid(attempt.step_dir("land") / "result.json")
    records = records_if_valid(attempt.step_dir(evaluation.STEP)) or []
    return DaySummary(
        report=report if report.exists() else None,
        outcome=_outcome(attempt, (check for members in failed.values() for check in members), published),
        failed_checks=failed,
        landed={} if land is None else land.rows_of_day,
        rejected=rejected_share(counts) if counts is not None else None,
        positive=_label_rate(attempt),
        metrics={record.metric: record for record in select(records, of=MODEL, is_overall=True)},
        version=None if published is None else published.version,
        is_live=published is not None and published.alias_moved,
    )


def _failed_checks(attempt: Attempt, step: str) -> list[Check] | None:
    """The checks of a step that failed; None if the step has no verdicts."""
    counts = FailedCounts.read_if_valid(attempt.step_dir(step) / "result.json")
    # A year of days is hundreds of large files of verdicts: where all passed, the small file of counts is enough.
    if counts == FailedCounts(failed_critical=0, failed_warning=0, failed_info=0):
        return []
    checks = read_checks(attempt.step_dir(step))
    return None if checks is None else [check for check in checks if not check.success]


def _outcome(attempt: Attempt, failed: Iterable[Check], published: PublishResult | None) -> Outcome:
    # Of each population a file of its own. A day that is run again in the same attempt has what the try before left.
    with_errors = {path.stem.partition("-")[0] for path in (attempt.dir / "errors").glob("*.txt")}
    if published and not with_errors & STOPPING:
        return Outcome.PUBLISHED
    # In this order, because a gate that failed and a check that stops a run leave an error, too.
    gate = GateResult.read_if_valid(attempt.step_dir(GATE_STEP) / "result.json")
    if gate is not None and not gate.passed:
        return Outcome.REJECTED
    if any(check.failed_critical for check in failed):
        return Outcome.STOPPED
    return Outcome.FAILED if with_errors else Outcome.UNFINISHED


def _label_rate(attempt: Attempt) -> float | None:
    """The label rate of the last cut."""
    drift = Drift.read_if_valid(attempt.step_dir("monitor") / drift_file.FILE)
    return drift.label_rate[-1].rate if drift and drift.label_rate else None
