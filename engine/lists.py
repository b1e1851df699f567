"""Ranked lists prepared for measuring: scores and grades of many groups, ranked once, measured many times."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import list_kernels
from engine.arrays import Grades, Offsets, Scores, offsets_of
from engine.errors import MetricError


@dataclass(frozen=True)
class Relevant:
    """The relevant items (grade > 0) of each group with their ranks, and the best order there could be.

    Group `g` owns `offsets[g]:offsets[g+1]` of `ranks` (from 1, ascending) and `grades`, and
    `ideal_offsets[g]:ideal_offsets[g+1]` of `ideal` (grades, descending).
    """

    offsets: Offsets
    ranks: Offsets
    grades: Grades
    ideal_offsets: Offsets
    ideal: Grades

    @property
    def counts(self) -> Offsets:
        """Relevant items of each group, whether they are in its list or not."""
        return np.diff(self.ideal_offsets)


@dataclass(frozen=True, eq=False)
class Lists:
    """Groups of scored and graded items; build it with `Lists.of`."""

    scores: Scores
    grades: Grades
    offsets: Offsets
    ties: Offsets
    all_grades: Grades
    all_offsets: Offsets

    @classmethod
    def of(
        cls,
        scores: npt.ArrayLike,
        grades: npt.ArrayLike,
        offsets: npt.ArrayLike,
        *,
        order: npt.ArrayLike | None = None,
        relevant: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    ) -> Lists:
        """Check and prepare lists.

        `scores` (rows; higher is better, no NaN), `grades` (rows; whole numbers 0..255, 0 = not relevant),
        `offsets` (groups + 1). Equal scores are put in ascending `order` (rows; usually the item's number),
        or by position in the group where there is none. `relevant = (grades, offsets)` lists ALL relevant
        grades of each group, retrieved or not: items that are missing from a list then count as misses.
        Raises `MetricError` where the parts do not fit together.
        """
        own = _floats(scores)
        checked = _grades(grades)
        edges = _offsets(offsets, len(own), "offsets")
        if len(checked) != len(own):
            raise MetricError(f"{len(own)} scores but {len(checked)} grades: expected one grade per score")
        # Empty rather than None: kernels are compiled for each type they meet.
        ties = np.empty(0, dtype=np.int64) if order is None else np.ascontiguousarray(order, dtype=np.int64)
        if order is not None and len(ties) != len(own):
            raise MetricError(f"{len(own)} scores but an order of {len(ties)} items: expected one per score")
        if relevant is None:
            return cls(own, checked, edges, ties, checked, edges)
        everything = _grades(relevant[0])
        all_edges = _offsets(relevant[1], len(everything), "relevant offsets")
        if len(all_edges) != len(edges):
            raise MetricError(f"{len(edges) - 1} groups but relevant items of {len(all_edges) - 1} groups")
        return cls(own, checked, edges, ties, everything, all_edges)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def listed(self) -> Offsets:
        """Relevant items in each group's list."""
        return list_kernels.count_relevant(self.grades, self.offsets)

    @cached_property
    def relevant(self) -> Relevant:
        """Ranks of the relevant items, computed once for all metrics."""
        edges = offsets_of(self.listed)
        ranks = np.empty(edges[-1], dtype=np.int64)
        ranked = np.empty(edges[-1], dtype=np.uint8)
        out = (edges, ranks, ranked)
        bad = list_kernels.relevant_ranks(self.scores, self.grades, self.offsets, self.ties, out)
        if bad >= 0:
            raise MetricError(f"group {bad} has a NaN score: every item to be ranked must have a score")
        if self.all_grades is self.grades:  # `of` was given no others
            return Relevant(edges, ranks, ranked, edges, list_kernels.ideal_grades(ranked, edges, edges))
        counts = list_kernels.count_relevant(self.all_grades, self.all_offsets)
        if (counts < self.listed).any():
            group = int(np.argmax(counts < self.listed))
            raise MetricError(
                f"group {group} lists {self.listed[group]} relevant items of {counts[group]} in all: "
                "`relevant` must hold every relevant item of the group"
            )
        all_edges = offsets_of(counts)
        ideal = list_kernels.ideal_grades(self.all_grades, self.all_offsets, all_edges)
        return Relevant(edges, ranks, ranked, all_edges, ideal)


def _floats(values: npt.ArrayLike) -> Scores:
    array: npt.NDArray[Any] = np.ascontiguousarray(values)
    if array.ndim != 1:
        raise MetricError(f"scores have {array.ndim} dimensions: expected one value per row")
    if array.dtype in (np.float32, np.float64):
        return array
    return array.astype(np.float64)


def _grades(values: npt.ArrayLike) -> Grades:
    array: npt.NDArray[Any] = np.ascontiguousarray(values)
    if array.dtype == np.uint8:
        return array
    # The cast wraps 256 to 0 and cuts fractions, which the comparison finds; of NaN it would warn.
    whole = array.astype(np.uint8, casting="unsafe") if np.isfinite(array).all() else array
    if whole.dtype != np.uint8 or not (whole == array).all():
        raise MetricError("grades must be whole numbers from 0 to 255")
    return whole


def _offsets(values: npt.ArrayLike, rows: int, name: str) -> Offsets:
    edges = np.ascontiguousarray(values, dtype=np.int64)
    if edges.ndim != 1 or len(edges) == 0 or edges[0] != 0 or edges[-1] != rows or (np.diff(edges) < 0).any():
        raise MetricError(f"{name} must ascend from 0 to the number of rows ({rows})")
    return edges
