"""The k best of many scores, exactly, ties by position; and dot products with the same bits everywhere."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.arrays import Codes, Floats, Offsets, Scores, Singles, kernel

_SAMPLE = 4096


def candidates_above(scores: Scores, k: int) -> npt.NDArray[np.int64]:
    """Find positions, ascending, that hold the k best scores and few others.

    A threshold guessed from every n-th score is passed by a few hundred of a million scores, and one scan finds
    those; where the guess was too high the exact threshold is looked for.
    """
    total = len(scores)
    if total > 4 * _SAMPLE and k * 8 < total:
        sample = scores[:: total // _SAMPLE]
        expected = k * len(sample) / total
        # Four standard deviations more than expected: a threshold too high costs a second scan.
        keep = min(len(sample), int(expected + 4.0 * np.sqrt(expected) + 4.0))
        passed = np.flatnonzero(scores >= np.partition(sample, len(sample) - keep)[len(sample) - keep])
        if k <= len(passed) < total // 4:
            return passed
    return np.flatnonzero(scores >= np.partition(scores, total - k)[total - k])


def top_k(scores: Scores, k: int) -> npt.NDArray[np.int64]:
    """Positions of the k best scores, best first, equal ones by position. No NaN."""
    k = min(k, len(scores))
    if k == 0:
        return np.empty(0, dtype=np.int64)
    passed = candidates_above(scores, k)
    # Positions ascend, so a stable sort leaves equal scores in their order.
    order: npt.NDArray[Any] = np.argsort(-scores[passed], kind="stable")[:k]
    best: npt.NDArray[np.int64] = passed[order]
    return best


@kernel
def best_positions(scores: Floats, k: int) -> npt.NDArray[np.int64]:
    """Positions, ascending, of the k best positive scores; of equal ones those further left.

    One scan, and a heap of what is kept: faster than `top_k` where rows are as short as a catalog, and many.
    """
    heap = [(0.0, 0)][:0]  # a position counts with a minus: of equal scores the last is the first to go
    for position in range(len(scores)):
        score = scores[position]
        if score > 0.0 and len(heap) < k:
            heapq.heappush(heap, (score, -position))
        elif score > 0.0 and score > heap[0][0]:
            heapq.heapreplace(heap, (score, -position))
    positions = np.empty(len(heap), dtype=np.int64)
    for n in range(len(heap)):
        positions[n] = -heap[n][1]
    positions.sort()
    return positions


@kernel
def pair_dots(left: Singles, rows: Codes, right: Singles, columns: Codes, missing: float) -> Singles:
    """Dot products of `left[rows[n]]` and `right[columns[n]]`; `missing` where either is -1.

    Products of 32-bit numbers are exact in 64 bits and are added one after the other: no BLAS, no processor
    and no batch size changes a bit.
    """
    dots = np.empty(len(rows), dtype=np.float32)
    for pair in range(len(rows)):
        row, column = rows[pair], columns[pair]
        if row < 0 or column < 0:
            dots[pair] = missing
            continue
        total = 0.0
        for factor in range(left.shape[1]):
            total += np.float64(left[row, factor]) * np.float64(right[column, factor])
        dots[pair] = total
    return dots


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of factors that queries are multiplied with, and the norm of the longest row."""

    rows: Singles
    longest: float

    @classmethod
    def of(cls, rows: npt.NDArray[Any]) -> Table:
        """Prepare a table."""
        table = np.ascontiguousarray(rows, dtype=np.float32)
        return cls(table, float(np.linalg.norm(table, axis=1).max(initial=0.0)))

    def top(self, queries: Singles, k: int) -> list[tuple[npt.NDArray[np.int64], Singles]]:
        """Return, per query, positions and scores of the k rows with the largest dot products, best first.

        A fast product finds the candidates, with a margin for its rounding; `pair_dots` decides. So one query
        gets the same answer as among many.
        """
        tops = []
        block = max(1, min(256, 2**25 // max(1, len(self.rows))))  # at most 128 MB of scores at once
        for start in range(0, len(queries), block):
            part = queries[start : start + block]
            products = part @ self.rows.T if len(part) > 1 else (self.rows @ part[0])[None, :]
            tops += [self._decide(query, row, k) for query, row in zip(part, products, strict=True)]
        return tops

    def _decide(self, query: Singles, products: Singles, k: int) -> tuple[npt.NDArray[np.int64], Singles]:
        k = min(k, len(products))
        if k == 0:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        passed = candidates_above(products, k)
        worst = float(np.partition(products[passed], len(passed) - k)[len(passed) - k])
        rounding = (len(query) + 2) * float(np.finfo(np.float32).eps) * float(np.linalg.norm(query)) * self.longest
        # The k-th best and its rival may each be off by the bound: two would do, four are safe.
        floor = np.nextafter(np.float32(worst - 4.0 * rounding), np.float32(-np.inf))
        passed = np.flatnonzero(products >= floor)
        zeros = np.zeros(len(passed), dtype=np.int32)
        exact = pair_dots(query[None, :], zeros, self.rows, passed.astype(np.int32), np.nan)
        order = np.argsort(-exact, kind="stable")[:k]
        return passed[order], exact[order]


@kernel
def sparse_scores(
    history: Codes, weights: Singles, starts: Offsets, neighbours: Codes, similarity: Singles, size: int
) -> Singles:
    """Sum over the history of weight × similarity row, for all `size` items (0 = no neighbor)."""
    totals = np.zeros(size)
    for at in range(len(history)):
        for entry in range(starts[history[at]], starts[history[at] + 1]):
            totals[neighbours[entry]] += np.float64(weights[at]) * np.float64(similarity[entry])
    return totals.astype(np.float32)
