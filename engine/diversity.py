"""Diversity: a list takes one item after the other, and an item counts less the more of its kinds are there already.

A rule says by which kinds, and how strongly; several rules act together on each choice. Whatever comes first in a list
does not depend on how long the list is, so that the first places of a long list are those of a short one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace

import numpy as np

from engine.arrays import Codes, Floats, Offsets, kernel, offsets_of

Kinds = Sequence[tuple[str, ...]]
"""For each item of a catalog what it is, at least one text."""


@kernel
def _spread(scores: Floats) -> float:
    """Return the standard deviation; added in one order, so that it is the same wherever a list is ranked."""
    total = squares = 0.0
    for score in scores:
        total += score
    for score in scores:
        squares += (score - total / len(scores)) ** 2
    return float(np.sqrt(squares / len(scores)))


@kernel
def _penalty(of: int, starts: Offsets, values: Codes, weights: Floats, count: Offsets) -> float:
    """How many items of the kinds of a class are in the list, each kind by its weight; added in one order."""
    total = 0.0
    for at in range(starts[of], starts[of + 1]):
        total += weights[at] * count[values[at]]
    return total


@kernel
def _chain(classes: Codes, local: Codes, which: Codes, head: Offsets, following: Offsets) -> int:
    """Chain the rows of a list by class, best first, and number the classes that it has; return how many."""
    present = 0
    last = np.empty(len(classes), dtype=np.int64)
    for row in range(len(classes)):
        number = local[classes[row]]
        if number < 0:
            number = present
            present += 1
            local[classes[row]], which[number], head[number] = number, classes[row], row
        else:
            following[last[number]] = row
        last[number] = row
        following[row] = -1
    return present


@kernel
def _greedy(
    scores: Floats,
    spread: float,
    k: int,
    chains: tuple[Codes, Offsets, Offsets],
    parts: tuple[Offsets, Codes, Floats],
    count: Offsets,
) -> Offsets:
    """Return the first k rows of a list, given its rows chained by class."""
    which, head, following = chains
    starts, values, weights = parts
    # The first row left of a class is its best, as items of one class lose the same. What a row is worth only falls,
    # so that its last known worth is a bound: only what is on top of the heap is looked at again.
    heap = [(-scores[head[number]], head[number], number) for number in range(len(head))]
    heapify(heap)
    chosen = np.empty(k, dtype=np.int64)
    for place in range(k):
        while True:
            known, row, number = heap[0]
            worth = scores[row] - spread * _penalty(which[number], starts, values, weights, count)
            if -worth == known:
                break
            heapreplace(heap, (-worth, row, number))
        chosen[place] = row
        for at in range(starts[which[number]], starts[which[number] + 1]):
            count[values[at]] += 1
        after = following[row]
        if after >= 0:
            # A bound again: it loses as much at least as the row before it did.
            heapreplace(heap, (max(known, -scores[after]), after, number))
        else:
            heappop(heap)
    return chosen


@kernel
def _reordered(
    scores: Floats, offsets: Offsets, classes: Codes, parts: tuple[Offsets, Codes, Floats], kinds: int, k: int
) -> Offsets:
    """Return positions in the new order; see `Diversity.order`."""
    starts, values, _ = parts
    order = np.arange(len(scores))
    count, local = np.zeros(kinds, dtype=np.int64), np.full(len(starts) - 1, -1, dtype=np.int32)
    for group in range(len(offsets) - 1):
        low, size = offsets[group], offsets[group + 1] - offsets[group]
        own = scores[low : low + size]
        spread = _spread(own) if size > 1 else 0.0
        if not 0.0 < spread < np.inf:  # all are equal, or one of them has no score: nothing can be weighed up
            continue
        which, head = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int64)
        following, left = np.empty(size, dtype=np.int64), np.ones(size, dtype=np.bool_)
        present = _chain(classes[low : low + size], local, which, head, following)
        first = _greedy(own, spread, min(size, k), (which, head[:present], following), parts, count)
        left[first] = False
        order[low : low + len(first)] = low + first
        order[low + len(first) : low + size] = low + np.flatnonzero(left)
        for number in range(present):  # cheaper than new arrays for each of many lists
            local[which[number]] = -1
            count[values[starts[which[number]] : starts[which[number] + 1]]] = 0
    return order


@dataclass(frozen=True, eq=False)
class Diversity:
    """The rules of a ranker, with the items of a catalog in classes: those that are alike by every rule.

    Attributes:
        classes: of each item of the catalog.
        starts: class `c` is of the kinds `values[starts[c]:starts[c + 1]]`, which are numbered over all rules.
        values: those kinds.
        weights: what an item of such a kind costs: the strength of its rule over the number of the class's kinds by it.
    """

    classes: Codes
    starts: Offsets
    values: Codes
    weights: Floats

    @classmethod
    def of(cls, rules: Sequence[tuple[Kinds, float]]) -> Diversity:
        """Sort the items of a catalog into classes.

        Args:
            rules: for each the kinds of every item, and its strength.
        """
        first, by_rule = 0, []
        for kinds, _ in rules:
            names = sorted({kind for of_item in kinds for kind in of_item})
            number = {name: first + n for n, name in enumerate(names)}
            by_rule.append([tuple(sorted({number[kind] for kind in of_item})) for of_item in kinds])
            first += len(names)
        found: dict[tuple[tuple[int, ...], ...], int] = {}
        classes = [found.setdefault(alike, len(found)) for alike in zip(*by_rule, strict=True)]
        strengths = [strength for _, strength in rules]
        return cls(
            np.array(classes, dtype=np.int32),
            offsets_of(np.array([sum(map(len, alike)) for alike in found], dtype=np.int64)),
            np.array([kind for alike in found for of_rule in alike for kind in of_rule], dtype=np.int32),
            np.array(
                [strength / len(of_rule) for alike in found for of_rule, strength in zip(alike, strengths, strict=True)
                 for _ in of_rule]
            ),
        )  # fmt: skip

    def order(self, scores: Floats, offsets: Offsets, items: Codes, k: int) -> Offsets:
        """Return positions of rows in the new order of the first k places; the rest stay in the order of their scores.

        Args:
            scores: of the rows; the rows of a list stand together, best first.
            offsets: list `g` owns the rows `offsets[g]:offsets[g + 1]`.
            items: catalog item of each row.
            k: places to fill.
        """
        kinds = int(self.values.max(initial=-1)) + 1
        parts = (self.starts, self.values, self.weights)
        order: Offsets = _reordered(scores, offsets, self.classes[items], parts, kinds, k)
        return order
