"""Inline SVG geometry for the report: numbers in, shapes in a fixed view box out; the template draws them.

Kept as numbers, not markup, so that the template's escaping stays the only way into the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WIDTH, HEIGHT = 600.0, 90.0
GAP = 0.2
ROW = 26.0
NARROW = 340.0
LEFT, RIGHT = 90.0, 60.0


def bars(rows: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """Return a bar for each (name, value) of at least one, from 0 to the greatest value; the last is marked."""
    top = max(value for _, value in rows) or 1.0
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
                "y": round(HEIGHT - HEIGHT * value / top, 2),
                "width": round(step * (1 - GAP), 2),
                "height": round(HEIGHT * value / top, 2),
                "name": name,
                "value": value,
                "last": n == len(rows) - 1,
            }
            for n, (name, value) in enumerate(rows)
        ],
    }


def line(rows: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """Return points of a line for (name, value) in order, from 0 to a little above the greatest value."""
    top = (max(value for _, value in rows) or 1.0) * 1.1
    step = WIDTH / max(len(rows) - 1, 1)
    points = [
        {"x": round(n * step, 2), "y": round(HEIGHT - HEIGHT * value / top, 2), "name": name, "value": value}
        for n, (name, value) in enumerate(rows)
    ]
    path = " ".join(f"{point['x']},{point['y']}" for point in points)
    return {"width": WIDTH, "height": HEIGHT, "top": top, "points": points, "path": path}


def intervals(records: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return a dot and its interval for each record with a value, on one axis from 0."""
    known = [record for record in records if record["value"] is not None]
    if not known:
        return None
    top = max(float(record["high"] if record.get("high") is not None else record["value"]) for record in known)
    scale = (NARROW - LEFT - RIGHT) / (top or 1.0)

    def place(value: float | None, instead: float) -> float:
        return round(LEFT + scale * (instead if value is None else value), 2)

    rows = [
        {
            "of": record["of"],
            "y": ROW * n + ROW / 2,
            "x": place(record["value"], 0.0),
            "low": place(record.get("low"), record["value"]),
            "high": place(record.get("high"), record["value"]),
            "value": record["value"],
            "span": [record.get("low"), record.get("high")],
            "groups": record["groups"],
        }
        for n, record in enumerate(known)
    ]
    return {"width": NARROW, "height": ROW * len(rows), "left": LEFT, "rows": rows}


def powers(rows: Sequence[Mapping[str, Any]], marks: Mapping[str, float | None], top: float) -> dict[str, Any]:
    """Return a bar for the value of each feature, and a mark for each of others, on one axis of 100 from 0 to `top`."""
    scale = 100.0 / (top or 1.0)
    return {
        "rows": [{**row, "width": round(scale * (row["value"] or 0.0), 2)} for row in rows],
        "marks": {name: round(scale * value, 2) for name, value in marks.items() if value is not None},
    }
