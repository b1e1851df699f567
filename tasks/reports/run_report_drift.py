"""Parts of the run report about what shifted: features, labels and scores against their reference, and serving."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.monitoring import drift as drift_file
from tasks.monitoring import skew as skew_file
from tasks.monitoring.drift import (
    LEVELS,
    CurrentExamples,
    Drift,
    DriftRecord,
    FeatureDrift,
    Level,
    ReferenceExamples,
)
from tasks.monitoring.skew import FeatureSkew, Skew
from tasks.reports.svg_comparisons import PairedBins, plot_pairs
from tasks.store.run_files import RunFiles

SHIFTED: tuple[Level, ...] = ("shifted", "drifted")
REFERENCES = {"train": "the training window", "same_weekday": "the same weekdays before"}
MOST_HISTOGRAMS = 12


@dataclass(frozen=True)
class DriftRow:
    """A feature, the label or the scores: how far it shifted, and both distributions if there are any."""

    drift: DriftRecord
    plot: PairedBins | None

    @property
    def text(self) -> str | None:
        """What shifted; where that cannot be told, why not."""
        return self.drift.note if self.drift.level == "too_few" else self.drift.sentence


@dataclass(frozen=True)
class DriftSection:
    """All comparisons of a run, the worst first, and which examples were compared, in words."""

    rows: tuple[DriftRow, ...]
    reference: str
    current: str
    problem: str | None

    @property
    def unstable(self) -> list[DriftRow]:
        """Those that are shown at once."""
        return [row for row in self.rows if row.drift.level != "stable"]

    @property
    def stable(self) -> list[DriftRow]:
        """Those that are folded."""
        return [row for row in self.rows if row.drift.level == "stable"]

    @property
    def shifted(self) -> list[DriftRow]:
        """Those beyond noise."""
        return [row for row in self.rows if row.drift.level in SHIFTED]

    @property
    def histograms(self) -> list[DriftRow]:
        """Those whose distributions are drawn."""
        return [row for row in self.shifted if row.plot is not None][:MOST_HISTOGRAMS]

    def count(self, level: Level) -> int:
        """How many have a level."""
        return sum(row.drift.level == level for row in self.rows)


@dataclass(frozen=True)
class SkewSection:
    """Served features against the table: those that differ, and how many do not."""

    skew: Skew
    wrong: tuple[FeatureSkew, ...]

    @property
    def same(self) -> int:
        """Features without a difference."""
        return len(self.skew.features) - len(self.wrong)


def drift_section(run: RunFiles) -> DriftSection | None:
    """Read the drift of a run; None if it was not measured."""
    drift = Drift.read_if_valid(run.step_dir("monitor") / drift_file.FILE)
    if drift is None:
        return None
    rows = [DriftRow(record, _plot(record)) for record in drift.compared]
    # The worst first; the name decides last, so that the order is the same each time.
    rows.sort(key=lambda row: (-LEVELS.index(row.drift.level), -row.drift.psi, row.drift.feature))
    return DriftSection(tuple(rows), _side(drift.reference), _side(drift.current), drift.problem)


def _plot(record: DriftRecord) -> PairedBins | None:
    # The label is kept without its bins.
    return plot_pairs(record.bins) if isinstance(record, FeatureDrift) else None


def _side(side: ReferenceExamples | CurrentExamples | None) -> str:
    """Name the examples of one side of the comparison, with their days and their number of lists."""
    if side is None:
        return "nothing"
    name = REFERENCES[side.kind] if isinstance(side, ReferenceExamples) else f"the {side.part} window"
    return f"{name} ({side.first} to {side.last}, {side.groups:,} lists)"


def skew_section(run: RunFiles) -> SkewSection | None:
    """Read the comparison with what serving logged; None where it logged nothing."""
    skew = Skew.read_if_valid(run.step_dir("monitor") / skew_file.FILE)
    return None if skew is None else SkewSection(skew, tuple(row for row in skew.features if row.wrong))
