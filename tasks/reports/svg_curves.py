"""Geometry of the plots of a model: the training curve by round, and grades by score."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tasks.reports.svg_plots import Box

if TYPE_CHECKING:
    from tasks.evaluation.calibration import CalibrationBin
    from tasks.training.curve import TrainingCurve
    from tasks.training.learning_curve import CurvePoint, LearningCurve

WIDTH, HEIGHT = 600.0, 110.0
ROOM = 0.08
"""Share of the height that is left empty above and below a line."""


class RoundBox(NamedTuple):
    """A round: its number, value and standard error, and the strip of the plot that shows them as its tooltip."""

    number: int
    value: float
    error: float
    box: Box


class CurveMark(NamedTuple):
    """A point of the curve: the round, its value, and its place."""

    number: int
    value: float
    x: float
    y: float


@dataclass(frozen=True)
class CurvePlot:
    """A line over rounds with a band of one standard error, on an axis from `lowest` to `highest`.

    `chosen` is None where the trees ended before that round.
    """

    path: str
    band: str
    rounds: tuple[RoundBox, ...]
    chosen: CurveMark | None
    best: CurveMark
    lowest: float
    highest: float
    width: float = WIDTH
    height: float = HEIGHT


class GroupPoint(NamedTuple):
    """A point of a learning curve: its place, and the ends of its interval."""

    point: CurvePoint
    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class LearningPlot:
    """A metric by groups, on a logarithmic axis that ends at twice as many as there are, with its fitted law."""

    points: tuple[GroupPoint, ...]
    law: str
    lowest: float
    highest: float
    width: float = WIDTH
    height: float = HEIGHT


class ScorePoint(NamedTuple):
    """A bin of scores: its dot (`x`, `y`), and the ends of the interval of its grade."""

    bin: CalibrationBin
    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class ScorePlot:
    """Mean grade over mean score, on axes from the lowest to the highest score and from 0 to `top`."""

    path: str
    points: tuple[ScorePoint, ...]
    top: float
    width: float = WIDTH
    height: float = HEIGHT


def plot_learning(curve: LearningCurve) -> LearningPlot:
    """Draw a learning curve."""
    law, first, last = curve.saturation, curve.points[0].groups, 2 * curve.points[-1].groups
    low, high = min(point.low for point in curve.points), max(point.high for point in curve.points)
    room = ROOM * ((high - low) or abs(high)) or ROOM
    bottom, top = low - room, high + room

    def place(groups: float, value: float) -> tuple[float, float]:
        # Of a law that leaves the axis, the end stays on its edge.
        down = min(1.0, max(0.0, (top - value) / (top - bottom)))
        along = 0.02 + 0.96 * math.log(groups / first) / math.log(last / first)
        return round(WIDTH * along, 2), round(HEIGHT * down, 2)

    ends = [first * (last / first) ** (n / 40) for n in range(41)]
    return LearningPlot(
        points=tuple(
            GroupPoint(
                point,
                *place(point.groups, point.value),
                place(point.groups, point.low)[1],
                place(point.groups, point.high)[1],
            )
            for point in curve.points
        ),
        law=_path(place(groups, law.limit - law.scale * groups**-law.exponent) for groups in ends),
        lowest=low,
        highest=high,
    )


def plot_curve(curve: TrainingCurve) -> CurvePlot | None:
    """Draw a training curve; None without values."""
    best = curve.best
    if best is None:
        return None
    values, errors = curve.values, curve.standard_errors
    lows = [value - error for value, error in zip(values, errors, strict=True)]
    highs = [value + error for value, error in zip(values, errors, strict=True)]
    # A share of what is next to nothing is nothing, and an axis of no height cannot be divided by.
    room = ROOM * ((max(highs) - min(lows)) or abs(max(highs))) or ROOM
    bottom, top = min(lows) - room, max(highs) + room
    step = WIDTH / len(values)

    def place(n: int, value: float) -> tuple[float, float]:
        # In the middle of the round's strip, so that a curve of one round is drawn as well.
        return round((n + 0.5) * step, 2), round(HEIGHT * (top - value) / (top - bottom), 2)

    def mark(number: int) -> CurveMark:
        return CurveMark(number, values[number - 1], *place(number - 1, values[number - 1]))

    edge = [place(n, high) for n, high in enumerate(highs)]
    edge += [place(n, low) for n, low in reversed(list(enumerate(lows)))]
    return CurvePlot(
        path=_path(place(n, value) for n, value in enumerate(values)),
        band=_path(edge),
        rounds=tuple(
            RoundBox(n + 1, value, error, Box(round(n * step, 2), 0.0, round(step, 2), HEIGHT))
            for n, (value, error) in enumerate(zip(values, errors, strict=True))
        ),
        chosen=mark(curve.chosen) if curve.chosen <= len(values) else None,
        best=mark(best),
        # What is written beside the plot is of the values, without the band and the room around them.
        lowest=min(values),
        highest=max(values),
    )


def plot_scores(bins: Sequence[CalibrationBin]) -> ScorePlot | None:
    """Draw grades over scores; None without bins."""
    if not bins:
        return None
    first, last = bins[0].score, bins[-1].score
    top = max(bin_.grade if bin_.high is None else bin_.high for bin_ in bins) or 1.0

    def across(score: float) -> float:
        # One bin has no range: its dot stands in the middle.
        share = (score - first) / (last - first) if last > first else 0.5
        return round(WIDTH * (0.02 + 0.96 * share), 2)

    def height(grade: float) -> float:
        return round(HEIGHT * (1 - grade / top), 2)

    points = tuple(
        ScorePoint(
            bin=bin_,
            x=across(bin_.score),
            y=height(bin_.grade),
            low=height(bin_.grade if bin_.low is None else bin_.low),
            high=height(bin_.grade if bin_.high is None else bin_.high),
        )
        for bin_ in bins
    )
    return ScorePlot(_path((point.x, point.y) for point in points), points, top)


def _path(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)
