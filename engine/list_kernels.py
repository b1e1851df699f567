"""Kernels over ragged lists: group `g` owns rows `offsets[g]:offsets[g + 1]`.

Every list metric but FPC is a function of the ranks of the relevant items alone, so those are found once:
by counting the better items of each (vectorised compares; 10 times faster than sorting 100 scores of which
5 are relevant), or by sorting where the relevant items are many.
"""

from __future__ import annotations

import numpy as np

from engine.arrays import Floats, Grades, Offsets, Scores, kernel


@kernel
def _count(grades: Grades) -> int:
    total = 0
    for row in range(len(grades)):
        total += int(grades[row] > 0)
    return total


@kernel
def count_relevant(grades: Grades, offsets: Offsets) -> Offsets:
    """Return the number of items with grade > 0 of each group."""
    counts = np.empty(len(offsets) - 1, dtype=np.int64)
    for group in range(len(counts)):
        counts[group] = _count(grades[offsets[group] : offsets[group + 1]])
    return counts


@kernel
def _nans(scores: Scores) -> int:
    total = np.int32(0)
    for row in range(len(scores)):
        # Counts to the end: a loop that may stop at the first NaN compiles to no vector compares.
        total = np.int32(total + np.int32(scores[row] != scores[row]))
    return int(total)


@kernel
def _better(scores: Scores, ties: Offsets, row: int) -> int:
    """Return how many items come before item `row` of one list.

    The loop over a whole slice, with 32-bit counters, compiles to vector compares.
    """
    score = scores[row]
    above, level = np.int32(0), np.int32(0)
    for other in range(len(scores)):
        above = np.int32(above + np.int32(scores[other] > score))
        level = np.int32(level + np.int32(scores[other] == score))
    better = int(above)
    if level > 1:
        for other in range(len(scores)):
            if scores[other] == score:
                better += int(ties[other] < ties[row]) if len(ties) else int(other < row)
    return better


@kernel
def _sorted_rows(scores: Scores, ties: Offsets) -> Offsets:
    if len(ties) == 0:
        return np.argsort(-scores, kind="mergesort")
    # Numba has no lexsort: two stable sorts order by score, then by tie.
    by_tie = np.argsort(ties, kind="mergesort")
    return by_tie[np.argsort(-scores[by_tie], kind="mergesort")]


@kernel
def _few(relevant: int, size: int) -> bool:
    """Tell whether counting is cheaper than sorting."""
    return bool(relevant <= 16 * np.log2(size + 1.0))


@kernel
def _rank_by_counting(scores: Scores, grades: Grades, ties: Offsets, ranks: Offsets, ranked: Grades) -> None:
    at = 0
    for row in range(len(scores)):
        if grades[row] > 0:
            rank = 1 + _better(scores, ties, row)
            hole = at  # insertion sort: there are few, and they come by row, not by rank
            while hole > 0 and ranks[hole - 1] > rank:
                ranks[hole], ranked[hole] = ranks[hole - 1], ranked[hole - 1]
                hole -= 1
            ranks[hole], ranked[hole] = rank, grades[row]
            at += 1


@kernel
def _rank_by_sorting(scores: Scores, grades: Grades, ties: Offsets, ranks: Offsets, ranked: Grades) -> None:
    rows = _sorted_rows(scores, ties)
    at = 0
    for position in range(len(rows)):
        if grades[rows[position]] > 0:
            ranks[at], ranked[at] = position + 1, grades[rows[position]]
            at += 1


@kernel
def relevant_ranks(
    scores: Scores, grades: Grades, edges: Offsets, ties: Offsets, out: tuple[Offsets, Offsets, Grades]
) -> int:
    """Write ranks (from 1) and grades of the relevant items of each group, by rank; `out`: offsets, ranks, grades.

    Returns the first group with a NaN score, or -1.
    """
    offsets, all_ranks, all_ranked = out
    for group in range(len(edges) - 1):
        low, high = edges[group], edges[group + 1]
        if _nans(scores[low:high]):
            return group
        own = ties[low:high]  # stays empty where there are none
        first, last = offsets[group], offsets[group + 1]
        ranks, ranked = all_ranks[first:last], all_ranked[first:last]
        if _few(last - first, high - low):
            _rank_by_counting(scores[low:high], grades[low:high], own, ranks, ranked)
        else:
            _rank_by_sorting(scores[low:high], grades[low:high], own, ranks, ranked)
    return -1


@kernel
def ideal_grades(grades: Grades, offsets: Offsets, out: Offsets) -> Grades:
    """Return the grades > 0 of each group, highest first, in rows `out[g]:out[g+1]`."""
    ideal = np.empty(out[-1], dtype=np.uint8)
    counts = np.zeros(256, dtype=np.int64)
    for group in range(len(offsets) - 1):
        top = 0
        for row in range(offsets[group], offsets[group + 1]):
            grade = grades[row]
            if grade > 0:
                counts[grade] += 1
                top = max(top, grade)
        at = out[group]
        for grade in range(top, 0, -1):
            for _ in range(counts[grade]):
                ideal[at] = grade
                at += 1
            counts[grade] = 0  # ready for the next group
    return ideal


@kernel
def ndcg(
    offsets: Offsets, ranks: Offsets, grades: Grades, ideals: tuple[Offsets, Grades], gain: Floats, k: int
) -> Floats:
    """DCG / ideal DCG per group; NaN without a relevant item. `ideals`: offsets and grades, highest first."""
    ideal_offsets, ideal = ideals
    longest = 1
    for group in range(len(offsets) - 1):
        longest = max(longest, min(k, ideal_offsets[group + 1] - ideal_offsets[group]))
        if offsets[group + 1] > offsets[group]:
            longest = max(longest, min(k, ranks[offsets[group + 1] - 1]))
    # No longer than the deepest rank that counts: without a cutoff k is 2^31 - 1.
    discount = 1.0 / np.log2(np.arange(longest) + 2.0)
    values = np.full(len(offsets) - 1, np.nan)
    for group in range(len(values)):
        start = ideal_offsets[group]
        best = 0.0
        for at in range(start, min(ideal_offsets[group + 1], start + k)):
            best += gain[ideal[at]] * discount[at - start]
        if best == 0.0:
            continue
        total = 0.0
        for at in range(offsets[group], offsets[group + 1]):
            if ranks[at] > k:
                break
            total += gain[grades[at]] * discount[ranks[at] - 1]
        values[group] = total / best
    return values


@kernel
def hits(offsets: Offsets, ranks: Offsets, k: int) -> Offsets:
    """Return the number of relevant items at rank <= k of each group."""
    counts = np.zeros(len(offsets) - 1, dtype=np.int64)
    for group in range(len(counts)):
        for at in range(offsets[group], offsets[group + 1]):
            if ranks[at] > k:
                break
            counts[group] += 1
    return counts


@kernel
def precision_sums(offsets: Offsets, ranks: Offsets, k: int) -> Floats:
    """Return, per group, the sum over relevant items at rank <= k of the precision at their rank."""
    sums = np.zeros(len(offsets) - 1)
    for group in range(len(sums)):
        for at in range(offsets[group], offsets[group + 1]):
            if ranks[at] > k:
                break
            sums[group] += (at - offsets[group] + 1) / ranks[at]
    return sums


@kernel
def _concordant_counting(scores: Scores, grades: Grades) -> tuple[int, int]:
    twice, pairs = 0, 0
    for row in range(len(scores)):
        grade, score = grades[row], scores[row]
        if grade > 0:
            for other in range(len(scores)):
                lower = grades[other] < grade
                pairs += int(lower)
                # Twice the concordant pairs, so that the half of a tie is a whole number.
                twice += int(lower & (scores[other] < score)) + int(lower & (scores[other] <= score))
    return twice, pairs


@kernel
def _concordant_sorting(scores: Scores, grades: Grades) -> tuple[int, int]:
    rows = np.argsort(scores, kind="mergesort")
    below = np.zeros(256, dtype=np.int64)
    block = np.zeros(256, dtype=np.int64)
    twice, pairs, start = 0, 0, 0
    while start < len(rows):
        end = start
        while end < len(rows) and scores[rows[end]] == scores[rows[start]]:
            block[grades[rows[end]]] += 1
            end += 1
        for at in range(start, end):
            grade = grades[rows[at]]
            twice += 2 * below[:grade].sum() + block[:grade].sum()
        below += block
        block[:] = 0
        start = end
    for grade in range(256):
        pairs += below[grade] * below[:grade].sum()
    return twice, pairs


@kernel
def concordant(scores: Scores, grades: Grades, offsets: Offsets, relevant: Offsets) -> Floats:
    """Return the fraction of concordant pairs per group; NaN where all grades are equal."""
    values = np.full(len(offsets) - 1, np.nan)
    for group in range(len(values)):
        low, high = offsets[group], offsets[group + 1]
        if _few(relevant[group], high - low):
            twice, pairs = _concordant_counting(scores[low:high], grades[low:high])
        else:
            twice, pairs = _concordant_sorting(scores[low:high], grades[low:high])
        if pairs:
            values[group] = twice / (2.0 * pairs)
    return values
