"""Geometry of the plots over days: numbers in, shapes in a fixed view box out; the templates draw them.

Shapes are kept as numbers, not markup, so that the templates' escaping stays the only way into a page.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 600.0, 90.0
GAP = 0.2
"""Share of a column's width that is left empty."""
SPARK_WIDTH, SPARK_HEIGHT, SPARK_MARGIN = 120.0, 26.0, 3.0
FEWEST_SPARK_POINTS = 2
SPAN_HEIGHT = 28.0


@dataclass(frozen=True)
class Box:
    """A rectangle; `x` and `y` are its upper left corner, since SVG counts from the top down."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Plot:
    """What plots over days have in common: a view box, and what the ends of the axis are labeled with."""

    first: str
    last: str
    width: float = WIDTH
    height: float = HEIGHT


@dataclass(frozen=True)
class Block:
    """A rectangle that stands for something; its name is its tooltip."""

    name: str
    box: Box


@dataclass(frozen=True)
class Bar(Block):
    """One column; a value of None is a gap."""

    value: float | None
    is_last: bool

    @property
    def is_missing(self) -> bool:
        """Whether there is no value: another thing than 0."""
        return self.value is None


@dataclass(frozen=True, kw_only=True)
class Bars(Plot):
    """Columns on one axis from 0 to `top`."""

    top: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True, kw_only=True)
class Spark(Plot):
    """A small line with its last point (`x`, `y`), and the band of expected values where there is one."""

    path: str
    x: float
    y: float
    band: Box | None
    lowest: float
    highest: float
    width: float = SPARK_WIDTH
    height: float = SPARK_HEIGHT


@dataclass(frozen=True)
class StackPart(Block):
    """One part of a column; `part` is its number, from the bottom."""

    part: int
    value: float


@dataclass(frozen=True, kw_only=True)
class Stack(Plot):
    """Columns of parts that stand upon each other."""

    parts: tuple[StackPart, ...]


@dataclass(frozen=True)
class Reading:
    """A figure of a day, with its interval if it has one; `text` is its tooltip, `is_live` whether it is marked."""

    day: str
    value: float | None
    low: float | None = None
    high: float | None = None
    text: str = ""
    is_live: bool = False


@dataclass(frozen=True)
class CoursePoint:
    """A reading on the plot; `top` and `bottom` are the ends of its interval."""

    reading: Reading
    x: float
    y: float
    top: float
    bottom: float


@dataclass(frozen=True)
class CoursePiece:
    """An unbroken piece of the line, and the band around it."""

    path: str
    band: str


@dataclass(frozen=True, kw_only=True)
class Course(Plot):
    """A line over days, in pieces where days have no value."""

    lowest: float
    highest: float
    points: tuple[CoursePoint, ...]
    pieces: tuple[CoursePiece, ...]


@dataclass(frozen=True, kw_only=True)
class Spans(Plot):
    """Blocks that follow each other on one line."""

    spans: tuple[Block, ...]
    height: float = SPAN_HEIGHT


def plot_bars(rows: Sequence[tuple[str, float | None]]) -> Bars:
    """Draw a bar for each (name, value); there must be at least one row. The last one is marked."""
    # A top of 0 would divide by zero: the bars of an axis of zeros have no height, whatever the scale.
    top = max((value for _, value in rows if value is not None), default=0.0) or 1.0
    heights = [HEIGHT * (value or 0.0) / top for _, value in rows]
    bars = tuple(
        Bar(name, _column(n, len(rows), height, top=height), value, is_last=n == len(rows) - 1)
        for n, ((name, value), height) in enumerate(zip(rows, heights, strict=True))
    )
    return Bars(top=top, first=rows[0][0], last=rows[-1][0], bars=bars)


def _column(n: int, count: int, height: float, *, top: float) -> Box:
    """Place the `n`-th of `count` columns, or a part of it; `top` is how high above the axis it ends."""
    step = WIDTH / count
    return Box(
        x=round(n * step + GAP * step / 2, 2),
        y=round(HEIGHT - top, 2),
        width=round(step * (1 - GAP), 2),
        height=round(height, 2),
    )


def plot_spark(rows: Sequence[tuple[str, float]], low: float | None = None, high: float | None = None) -> Spark | None:
    """Draw (day, value) pairs as a small line, with the band between two bounds; None below two points.

    The axis spans the values. A bound counts for the axis only if it is near: half the values' range away at most.
    """
    if len(rows) < FEWEST_SPARK_POINTS:
        return None
    values = [value for _, value in rows]
    bottom, top = _spark_axis(values, [bound for bound in (low, high) if bound is not None])

    def height(value: float) -> float:
        share = (value - bottom) / (top - bottom)
        # Clamped, because a far bound lies outside of the axis.
        return round(SPARK_MARGIN + (SPARK_HEIGHT - 2 * SPARK_MARGIN) * (1 - min(max(share, 0.0), 1.0)), 2)

    step = (SPARK_WIDTH - 2 * SPARK_MARGIN) / (len(rows) - 1)
    points = [(round(SPARK_MARGIN + n * step, 2), height(value)) for n, value in enumerate(values)]
    # Where a bound is missing, the band reaches to the edge of the plot.
    upper = 0.0 if high is None else height(high)
    lower = SPARK_HEIGHT if low is None else height(low)
    return Spark(
        path=" ".join(f"{x},{y}" for x, y in points),
        x=points[-1][0],
        y=points[-1][1],
        band=None if low is None and high is None else Box(0.0, upper, SPARK_WIDTH, round(lower - upper, 2)),
        first=rows[0][0],
        last=rows[-1][0],
        lowest=min(values),
        highest=max(values),
    )


def _spark_axis(values: Sequence[float], bounds: Sequence[float]) -> tuple[float, float]:
    # A flat line has no range: it gets half its value on both sides, and a line of zeros 1.
    room = (max(values) - min(values)) / 2 or abs(values[0]) / 2 or 1.0
    near = [bound for bound in bounds if min(values) - room <= bound <= max(values) + room]
    bottom, top = min([*values, *near]), max([*values, *near])
    return (bottom - room, top + room) if bottom == top else (bottom, top)


def plot_stack(rows: Sequence[tuple[str, Sequence[float]]], top: float) -> Stack:
    """Draw a column for each (name, shares), its parts upon each other, on an axis from 0 to `top`."""
    parts = []
    for n, (name, shares) in enumerate(rows):
        base = 0.0
        for part, share in enumerate(shares):
            height = HEIGHT * share / top
            base += height
            # The sum is not rounded: rounded heights would leave gaps between the parts, or overlap.
            parts.append(StackPart(name, _column(n, len(rows), height, top=base), part, share))
    return Stack(first=rows[0][0], last=rows[-1][0], parts=tuple(parts))


def plot_course(readings: Sequence[Reading], days: Sequence[str]) -> Course | None:
    """Draw readings as a line over all `days`, broken where a day has none; None without any value.

    The axis spans the values and their intervals, with a tenth of room on both sides.
    """
    known = [(reading, reading.value) for reading in readings if reading.value is not None]
    if not known:
        return None
    lows = [value if reading.low is None else reading.low for reading, value in known]
    highs = [value if reading.high is None else reading.high for reading, value in known]
    room = (max(highs) - min(lows)) * 0.1 or abs(max(highs)) * 0.1 or 1.0
    bottom, top = min(lows) - room, max(highs) + room
    # In the middle of its day's column, so that plots of lines and of bars line up.
    places = {day: round(WIDTH * (n + 0.5) / len(days), 2) for n, day in enumerate(days)}

    def height(value: float) -> float:
        return round(HEIGHT * (top - value) / (top - bottom), 2)

    points = [
        CoursePoint(reading, places[reading.day], height(value), height(high), height(low))
        for (reading, value), low, high in zip(known, lows, highs, strict=True)
    ]
    return Course(
        # What is written beside the plot is of the values, without the room around them.
        lowest=bottom + room,
        highest=top - room,
        first=days[0],
        last=days[-1],
        points=tuple(points),
        pieces=tuple(_piece(piece) for piece in _unbroken(points, days)),
    )


def _unbroken(points: Sequence[CoursePoint], days: Sequence[str]) -> list[list[CoursePoint]]:
    """Split points where a day of the axis lies between two of them."""
    order, pieces = {day: n for n, day in enumerate(days)}, [[points[0]]]
    for before, point in itertools.pairwise(points):
        if order[point.reading.day] == order[before.reading.day] + 1:
            pieces[-1].append(point)
        else:
            pieces.append([point])
    return pieces


def _piece(points: Sequence[CoursePoint]) -> CoursePiece:
    # The band is one polygon: along the upper ends, and back along the lower ones.
    edge = [(point.x, point.top) for point in points] + [(point.x, point.bottom) for point in reversed(points)]
    return CoursePiece(
        path=" ".join(f"{point.x},{point.y}" for point in points),
        band=" ".join(f"{x},{y}" for x, y in edge),
    )


def plot_spans(rows: Sequence[tuple[str, float, float]], length: float, *, first: str, last: str) -> Spans:
    """Draw a block for each (name, begin, end) on one line from 0 to `length`."""
    scale = WIDTH / (length or 1.0)
    spans = tuple(
        Block(name, Box(round(scale * begin, 2), 0.0, round(scale * (end - begin), 2), SPAN_HEIGHT))
        for name, begin, end in rows
    )
    return Spans(first=first, last=last, spans=spans)
