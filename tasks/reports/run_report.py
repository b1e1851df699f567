"""The run report: one self-contained HTML page made from whatever a run has left on disk.

It needs no network and no script, is readable in light and dark and at phone width, and is written for failed runs
too: what is missing is named, and so is the step that did not get that far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.errors import MatineeError
from tasks.evaluation.notices import comparison_notices
from tasks.examples.sample import STRATA_FILE
from tasks.examples.sampling.draw import StratumDraw
from tasks.publishing.results import verdicts_if_valid
from tasks.reports.html import page
from tasks.reports.run_report_changes import Changes, changes
from tasks.reports.run_report_data import (
    DefenseLine,
    LabelMix,
    RejectedRow,
    defense_lines,
    label_mix,
    rejected_rows,
)
from tasks.reports.run_report_diagnostics import (
    CalibrationPanel,
    CandidatesSection,
    CoverageSection,
    ListsSection,
    diagnostic_sections,
)
from tasks.reports.run_report_drift import DriftSection, SkewSection, drift_section, skew_section
from tasks.reports.run_report_landed import LandedTable, landed_tables
from tasks.reports.run_report_lineage import Lineage, lineage
from tasks.reports.run_report_model import (
    FeaturesAlone,
    GateRow,
    LearningPanel,
    MetricPanel,
    ModelPanel,
    feature_powers,
    gate_rows,
    learning_panels,
    metric_panels,
    model_panels,
    rerank_texts,
)
from tasks.reports.run_report_tiles import (
    Tile,
    checks_tile,
    drift_tile,
    gates_tile,
    landed_tile,
    metric_tile,
    rejected_tile,
)
from tasks.reports.run_verdict import StepState, Verdict, step_states, verdict_on, why_missing
from tasks.runs.narration import say
from tasks.runs.outcome import ReportResult
from tasks.store.records import read_list_if_valid, warn_of_damage
from tasks.store.registry import Alias, alias
from tasks.training.sample_notices import sample_notices

if TYPE_CHECKING:
    from tasks.runs.run import Run


@dataclass(frozen=True)
class Section:
    """A part of the page: its anchor, and its name."""

    anchor: str
    name: str


SECTIONS = (
    Section("landed", "landed rows"),
    Section("checks", "checks"),
    Section("rejected", "rejected rows"),
    Section("labels", "labels"),
    Section("drift", "drift"),
    Section("sample", "sample"),
    Section("learning", "learning curve"),
    Section("candidates", "candidate recall"),
    Section("metrics", "metrics"),
    Section("gates", "gates"),
    Section("models", "training curves and features"),
    Section("calibration", "calibration"),
    Section("coverage", "coverage"),
    Section("lists", "lists of three users"),
    Section("alone", "features alone"),
    Section("lineage", "lineage"),
)
"""In the order of the page; each is named after the field of `RunReport` that it shows."""


@dataclass(frozen=True)
class RunReport:
    """Everything that the page shows; a section that is None or empty is missing."""

    run: Run
    steps: tuple[StepState, ...]
    verdict: Verdict
    served: Alias | None
    changes: Changes
    landed: tuple[LandedTable, ...]
    checks: tuple[DefenseLine, ...]
    rejected: tuple[RejectedRow, ...] | None
    labels: LabelMix | None
    drift: DriftSection | None
    skew: SkewSection | None
    sample: Sequence[StratumDraw] | None
    sample_notices: tuple[str, ...]
    learning: tuple[LearningPanel, ...]
    candidates: CandidatesSection | None
    metrics: tuple[MetricPanel, ...] | None
    notices: tuple[str, ...]
    rerank: tuple[str, ...]
    gates: tuple[GateRow, ...] | None
    models: tuple[ModelPanel, ...]
    calibration: tuple[CalibrationPanel, ...] | None
    coverage: CoverageSection | None
    lists: ListsSection | None
    alone: FeaturesAlone | None
    lineage: Lineage | None

    @property
    def sections(self) -> list[Section]:
        """The sections that the page has: landed rows always, because that nothing is landed is worth a section."""
        return [section for section in SECTIONS if section.anchor == "landed" or not self._is_missing(section)]

    @property
    def absent(self) -> list[str]:
        """Names of the sections that the page lacks."""
        # A learning curve is made when somebody asks for it: no run lacks it.
        return [one.name for one in SECTIONS if one not in self.sections and one.anchor != "learning"]

    def _is_missing(self, section: Section) -> bool:
        # An empty list of rejected rows is a section: it says that none was rejected.
        content = getattr(self, section.anchor)
        return content is None or (section.anchor != "rejected" and content in ((), []))

    @property
    def why_missing(self) -> str:
        """Why the page lacks sections."""
        return why_missing(self.steps)

    @property
    def tiles(self) -> list[Tile]:
        """The run in a few figures."""
        tiles = (
            landed_tile(self.landed),
            checks_tile(self.checks),
            rejected_tile(self.rejected),
            drift_tile(self.drift),
            metric_tile(self.metrics),
            gates_tile(self.gates),
        )
        return [tile for tile in tiles if tile is not None]


def report_step(run: Run) -> ReportResult:
    """Write `report.html`; never fails because an earlier step did."""
    report = collect_report(run)
    with run.write("report") as folder:
        html = render_report(report)
        (folder.path / "report.html").write_text(html, encoding="utf-8")
        say("{sections} sections, {kilobytes:,.0f} kB; missing: {missing}", sections=len(report.sections),
            kilobytes=len(html) / 1e3, missing=", ".join(report.absent) or "nothing")  # fmt: skip
        result = ReportResult(report="report/report.html", verdict=report.verdict.text, good=report.verdict.good)
        folder.result = result
    return result


def render_report(report: RunReport) -> str:
    """Render the page."""
    return page("report", {"report": report, "sections": {section.anchor for section in report.sections}})


def collect_report(run: Run, *, finished: bool = True) -> RunReport:
    """Gather what the page shows.

    Args:
        run: the run.
        finished: whether the run is over; if not, a step without a result may yet have one.
    """
    steps = step_states(run, finished=finished)
    diagnostics = diagnostic_sections(run)
    return RunReport(
        run=run,
        steps=steps,
        verdict=verdict_on(run, steps),
        served=live_version(run),
        changes=changes(run),
        landed=landed_tables(run),
        checks=defense_lines(run),
        rejected=rejected_rows(run),
        labels=label_mix(run),
        drift=drift_section(run),
        skew=skew_section(run),
        sample=read_list_if_valid(run.step_dir("sample") / STRATA_FILE, StratumDraw),
        sample_notices=tuple(sample_notices(run, run.spec)),
        learning=learning_panels(run),
        candidates=diagnostics.candidates,
        metrics=metric_panels(run),
        notices=comparison_notices(run, run.spec),
        rerank=rerank_texts(run),
        gates=gate_rows(verdicts_if_valid(run.dir)),
        models=model_panels(run),
        calibration=diagnostics.calibration,
        coverage=diagnostics.coverage,
        lists=diagnostics.lists,
        alone=feature_powers(run),
        lineage=lineage(run),
    )


def live_version(run: Run) -> Alias | None:
    """Read what the alias points at while the page is made; None if there is nothing, or it is damaged."""
    try:
        # A damaged pointer is a fault of the registry, and no reason for a run to have no report.
        return alias(run.home, run.spec.name, run.spec.publish.alias)
    except MatineeError as error:
        warn_of_damage(error)
        return None
