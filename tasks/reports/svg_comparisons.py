"""Geometry of the plots that compare: contenders on a metric, features alone, and the two sides of a drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tasks.reports.svg_plots import Box

if TYPE_CHECKING:
    from engine.evaluation import EvaluationRecord
    from tasks.evaluation.leakage import FeaturePower
    from tasks.monitoring.distributions import Bin

ROW = 26.0
NARROW = 340.0
LEFT, RIGHT = 90.0, 60.0
PAIR_WIDTH, PAIR_HEIGHT = 300.0, 80.0


@dataclass(frozen=True)
class PairedBins:
    """Two histograms in one, on an axis from 0 to `top`."""

    top: float
    pairs: tuple[BarPair, ...]
    width: float = PAIR_WIDTH
    height: float = PAIR_HEIGHT


class PowerRow(NamedTuple):
    """A feature alone, and the length of its bar, at most 100."""

    power: FeaturePower
    width: float


@dataclass(frozen=True)
class Intervals:
    """Dots with intervals on one axis, which begins at `left`."""

    rows: tuple[IntervalRow, ...]
    height: float
    width: float = NARROW
    left: float = LEFT


class IntervalRow(NamedTuple):
    """A contender: its record, its dot (`x`, `y`), and the ends of its interval."""

    record: EvaluationRecord
    x: float
    y: float
    low: float
    high: float


class BarPair(NamedTuple):
    """The two bars of a bin, side by side."""

    bin: Bin
    reference: Box
    current: Box


def plot_intervals(records: Sequence[EvaluationRecord]) -> Intervals | None:
    """Draw a dot and its interval for each record with a value, on one axis from 0; None if none has a value."""
    known = [(record, record.value) for record in records if record.value is not None]
    if not known:
        return None
    # A record of too few lists has no interval: its dot is all that is drawn.
    top = max(value if record.high is None else record.high for record, value in known)
    scale = (NARROW - LEFT - RIGHT) / (top or 1.0)

    def place(value: float) -> float:
        return round(LEFT + scale * value, 2)

    rows = tuple(
        IntervalRow(
            record=record,
            x=place(value),
            y=ROW * n + ROW / 2,
            low=place(value if record.low is None else record.low),
            high=place(value if record.high is None else record.high),
        )
        for n, (record, value) in enumerate(known)
    )
    return Intervals(rows, ROW * len(rows))


def plot_powers(powers: Sequence[FeaturePower], top: float) -> tuple[PowerRow, ...]:
    """Draw a bar for the value of each feature, on an axis of 100 from 0 to `top`."""
    return tuple(PowerRow(power, round(100.0 / (top or 1.0) * (power.value or 0.0), 2)) for power in powers)


def place_marks(marks: Mapping[str, float | None], top: float) -> dict[str, float]:
    """Place lines on the axis of `plot_powers`, by name; a value of None has no line."""
    return {name: round(100.0 / (top or 1.0) * value, 2) for name, value in marks.items() if value is not None}


def plot_pairs(bins: Sequence[Bin]) -> PairedBins | None:
    """Draw two bars for each bin, the reference's share and the current one, on one axis; None without bins."""
    if not bins:
        return None
    top = max(max(bin_.reference, bin_.current) for bin_ in bins) or 1.0
    step = PAIR_WIDTH / len(bins)

    def bar(x: float, share: float) -> Box:
        height = PAIR_HEIGHT * share / top
        return Box(round(x, 2), round(PAIR_HEIGHT - height, 2), round(0.4 * step, 2), round(height, 2))

    pairs = tuple(
        # A tenth of the bin is left empty on both sides, and the bars of a pair touch.
        BarPair(bin_, bar(n * step + 0.1 * step, bin_.reference), bar(n * step + 0.5 * step, bin_.current))
        for n, bin_ in enumerate(bins)
    )
    return PairedBins(top, pairs)
