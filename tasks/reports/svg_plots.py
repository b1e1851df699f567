"""Inline SVG geometry for the pages: numbers in, shapes in a fixed view box out; the template draws them.

Kept as numbers, not markup, so that the template's escaping stays the only way into the page.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.evaluation import EvaluationRecord
    from tasks.evaluation.leakage import FeaturePower

WIDTH, HEIGHT = 600.0, 90.0
GAP = 0.2
ROW = 26.0
NARROW = 340.0
LEFT, RIGHT = 90.0, 60.0
SPARK_WIDTH, SPARK_HEIGHT, SPARK_MARGIN = 120.0, 26.0, 3.0
LEAST_SPARK = 2
PAIR_WIDTH, PAIR_HEIGHT = 300.0, 80.0
SPAN_HEIGHT = 28.0


def bars(rows: Sequence[tuple[str, float | None]]) -> dict[str, Any]:
    """Return a bar for each (name, value) of at least one, from 0 to the greatest value; the last is marked.

    A value of None is a gap: there is no bar, and `missing` says so.
    """
    top = max((value for _, value in rows if value is not None), default=0.0) or 1.0
    step = WIDTH / len(rows)
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "top": top,
        "first": rows[0][0],
        "last": rows[-1][0],
        "shapes": [
            {
                "x": round(n * step + GAP * step / 2, 2),
                "y": round(HEIGHT - HEIGHT * (value or 0.0) / top, 2),
                "width": round(step * (1 - GAP), 2),
                "height": round(HEIGHT * (value or 0.0) / top, 2),
                "name": name,
                "value": value,
                "missing": value is None,
                "last": n == len(rows) - 1,
            }
            for n, (name, value) in enumerate(rows)
        ],
    }


def intervals(records: Sequence[EvaluationRecord]) -> dict[str, Any] | None:
    """Draw a dot and its interval for each record with a value, on one axis from 0."""
    known = [(record, record.value) for record in records if record.value is not None]
    if not known:
        return None
    top = max(value if record.high is None else record.high for record, value in known)
    scale = (NARROW - LEFT - RIGHT) / (top or 1.0)

    def place(value: float | None, instead: float) -> float:
        return round(LEFT + scale * (instead if value is None else value), 2)

    rows = [
        {
            "of": record.of,
            "y": ROW * n + ROW / 2,
            "x": place(value, 0.0),
            "low": place(record.low, value),
            "high": place(record.high, value),
            "value": value,
            "span": [record.low, record.high],
            "groups": record.groups,
        }
        for n, (record, value) in enumerate(known)
    ]
    return {"width": NARROW, "height": ROW * len(rows), "left": LEFT, "rows": rows}


def powers(rows: Sequence[FeaturePower], marks: Mapping[str, float | None], top: float) -> dict[str, Any]:
    """Draw a bar for the value of each feature, and each mark as a line, on one axis of 100 from 0 to `top`."""
    scale = 100.0 / (top or 1.0)
    return {
        "rows": [{**row.to_json(), "width": round(scale * (row.value or 0.0), 2)} for row in rows],
        "marks": {name: round(scale * value, 2) for name, value in marks.items() if value is not None},
    }


def spark(
    rows: Sequence[tuple[str, float]], low: float | None = None, high: float | None = None
) -> dict[str, Any] | None:
    """Return a small line of (day, value), its last point, and the band of what is expected; None below two points.

    The axis spans the values; a bound of the band is only drawn as far as the axis, stretched by half, reaches.
    """
    if len(rows) < LEAST_SPARK:
        return None
    values = [value for _, value in rows]
    room = (max(values) - min(values)) / 2 or abs(values[0]) / 2 or 1.0
    bounds = [bound for bound in (low, high) if bound is not None]
    near = [bound for bound in bounds if min(values) - room <= bound <= max(values) + room]
    bottom, top = min([*values, *near]), max([*values, *near])
    if bottom == top:
        bottom, top = bottom - room, top + room

    def height(value: float) -> float:
        share = (value - bottom) / (top - bottom)
        return round(SPARK_MARGIN + (SPARK_HEIGHT - 2 * SPARK_MARGIN) * (1 - min(max(share, 0.0), 1.0)), 2)

    step = (SPARK_WIDTH - 2 * SPARK_MARGIN) / (len(rows) - 1)
    points = [(round(SPARK_MARGIN + n * step, 2), height(value)) for n, value in enumerate(values)]
    upper = 0.0 if high is None else height(high)
    lower = SPARK_HEIGHT if low is None else height(low)
    return {
        "width": SPARK_WIDTH,
        "height": SPARK_HEIGHT,
        "path": " ".join(f"{x},{y}" for x, y in points),
        "x": points[-1][0],
        "y": points[-1][1],
        "band": {"y": upper, "height": round(lower - upper, 2)} if bounds else None,
        "first": rows[0][0],
        "last": rows[-1][0],
        "lowest": min(values),
        "highest": max(values),
    }


def stacked(rows: Sequence[tuple[str, Sequence[float]]], top: float) -> dict[str, Any]:
    """Return a column for each (name, shares), one part upon the other from 0 to `top`, with each part's number."""
    step, shapes = WIDTH / len(rows), []
    for n, (name, shares) in enumerate(rows):
        base = 0.0
        for part, share in enumerate(shares):
            size = HEIGHT * share / top
            base += size
            shapes.append(
                {
                    "x": round(n * step + GAP * step / 2, 2),
                    "y": round(HEIGHT - base, 2),
                    "width": round(step * (1 - GAP), 2),
                    "height": round(size, 2),
                    "name": name,
                    "part": part,
                    "value": share,
                }
            )
    return {"width": WIDTH, "height": HEIGHT, "first": rows[0][0], "last": rows[-1][0], "shapes": shapes}


def paired(bins: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return two bars for each bin, the reference's share and the current one, on one axis; None without bins."""
    if not bins:
        return None
    top = max(max(float(row["reference"]), float(row["current"])) for row in bins) or 1.0
    step = PAIR_WIDTH / len(bins)
    return {
        "width": PAIR_WIDTH,
        "height": PAIR_HEIGHT,
        "top": top,
        "bins": [
            {
                **row,
                "x": round(n * step + 0.1 * step, 2),
                "middle": round(n * step + 0.5 * step, 2),
                "width": round(0.4 * step, 2),
                "sides": {
                    side: {
                        "y": round(PAIR_HEIGHT - PAIR_HEIGHT * float(row[side]) / top, 2),
                        "height": round(PAIR_HEIGHT * float(row[side]) / top, 2),
                    }
                    for side in ("reference", "current")
                },
            }
            for n, row in enumerate(bins)
        ],
    }


def course(rows: Sequence[Mapping[str, Any]], days: Sequence[str]) -> dict[str, Any] | None:
    """Return a line over all `days`, with a band where records have one, broken where a day has no value.

    Args:
        rows: records with `day`, `value`, `low` and `high`; a value of None is a gap.
        days: the days of the axis, in order.

    Returns:
        None without any value. The axis spans the values and their intervals.
    """
    known = [row for row in rows if row["value"] is not None]
    if not known:
        return None
    lows = [float(row["low"] if row.get("low") is not None else row["value"]) for row in known]
    highs = [float(row["high"] if row.get("high") is not None else row["value"]) for row in known]
    bottom, top = min(lows), max(highs)
    room = (top - bottom) * 0.1 or abs(top) * 0.1 or 1.0
    bottom, top = bottom - room, top + room
    places = {day: round(WIDTH * (n + 0.5) / len(days), 2) for n, day in enumerate(days)}

    def height(value: float) -> float:
        return round(HEIGHT * (top - value) / (top - bottom), 2)

    points = [
        {**row, "x": places[row["day"]], "y": height(row["value"]), "top": height(high), "bottom": height(low)}
        for row, low, high in zip(known, lows, highs, strict=True)
    ]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "lowest": bottom + room,
        "highest": top - room,
        "first": days[0],
        "last": days[-1],
        "points": points,
        "pieces": [_piece(piece) for piece in _unbroken(points, days)],
    }


def _unbroken(points: Sequence[Mapping[str, Any]], days: Sequence[str]) -> list[list[Mapping[str, Any]]]:
    """Return the points in runs of days that follow each other on the axis."""
    order, pieces = {day: n for n, day in enumerate(days)}, [[points[0]]]
    for before, point in itertools.pairwise(points):
        if order[point["day"]] == order[before["day"]] + 1:
            pieces[-1].append(point)
        else:
            pieces.append([point])
    return pieces


def _piece(points: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    edge = [(p["x"], p["top"]) for p in points] + [(p["x"], p["bottom"]) for p in reversed(points)]
    return {
        "path": " ".join(f"{p['x']},{p['y']}" for p in points),
        "band": " ".join(f"{x},{y}" for x, y in edge),
    }


def spans(rows: Sequence[tuple[str, float, float]], length: float) -> dict[str, Any]:
    """Return a block for each (name, begin, end) on one line from 0 to `length`."""
    scale = WIDTH / (length or 1.0)
    blocks = [
        {"name": name, "x": round(scale * begin, 2), "width": round(scale * (end - begin), 2)}
        for name, begin, end in rows
    ]
    return {"width": WIDTH, "height": SPAN_HEIGHT, "blocks": blocks}
