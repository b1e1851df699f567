"""Bands: the texts that stand for the numbers between declared edges, such as those of ages.

The examples get them by SQL (`tasks.spec.attributes`), and a version from its descriptor's edges: both compare 64-bit
numbers, so that everybody is in one band.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence

MOST_EDGES = 100


def band_names(edges: Sequence[float]) -> list[str]:
    """Name the bands of ascending edges, one more than there are edges; an edge belongs to the band above it."""
    texts = [_text(edge) for edge in edges]
    between = [f"{low} to under {high}" for low, high in itertools.pairwise(texts)]
    return [f"under {texts[0]}", *between, f"{texts[-1]} or more"]


def band_of(value: float | None, edges: Sequence[float]) -> str | None:
    """Find the band of a number; None where there is none (null or NaN)."""
    if value is None or math.isnan(value):
        return None
    return band_names(edges)[bisect_right(edges, value)]


def _text(edge: float) -> str:
    # As it was written: 18, not 18.0. Never rounded, or two edges could have one name.
    return repr(float(edge)).removesuffix(".0")
