"""How many values of a user's or request's list an item has: favorite genres, say, against the genres of films.

As in the SQL of the examples, values are counted once, and whole numbers are divided once. Without either list the
feature is missing; an empty list of the user has nothing in common, and no share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from engine.arrays import Codes, Floats, Offsets, Singles, kernel, offsets_of
from engine.items import Items

Measure = Literal["shared", "overlap"]
Texts = Sequence[str | None] | None
"""A list with its values in any order; None where there is none."""


@kernel
def _shared(owner: Offsets, item: Codes, wanted: tuple[Offsets, Offsets], listed: tuple[Offsets, Offsets]) -> Floats:
    """Count the common values of each pair; both sides are offsets and ascending values."""
    starts, values = wanted
    item_starts, item_values = listed
    counts = np.zeros(len(owner))
    for row in range(len(owner)):
        at, end = starts[owner[row]], starts[owner[row] + 1]
        for place in range(item_starts[item[row]], item_starts[item[row] + 1]):
            while at < end and values[at] < item_values[place]:
                at += 1
            if at < end and values[at] == item_values[place]:
                counts[row] += 1
    return counts


@dataclass(frozen=True, eq=False)
class WantedLists:
    """Lists of users or requests as numbers: row `r` owns `offsets[r]:offsets[r+1]` of `values`, ascending.

    `sizes` counts the distinct values, those that no item has among them; NaN where there is no list.
    """

    offsets: Offsets
    values: Offsets
    sizes: Floats


@dataclass(frozen=True, eq=False)
class ItemLists:
    """The lists of the catalog's items; `known` marks those that have one."""

    numbers: Mapping[str, int]
    offsets: Offsets
    values: Offsets
    known: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, ids: Sequence[str], lists: Sequence[Texts], items: Items) -> ItemLists:
        """Number the values of lists, given by item id; items outside the catalog are left out."""
        distinct = [{text for text in texts or () if text is not None} for texts in lists]
        numbers = {text: number for number, text in enumerate(sorted(set().union(*distinct)))}
        of_item: list[list[int]] = [[] for _ in range(len(items))]
        known = np.zeros(len(items), dtype=np.bool_)
        for place, texts, own in zip(items.ids.numbers(ids).tolist(), lists, distinct, strict=True):
            if place >= 0 and texts is not None:
                of_item[place], known[place] = sorted(numbers[text] for text in own), True
        return cls(numbers, *_flat(of_item), known)

    def wanted(self, lists: Sequence[Texts]) -> WantedLists:
        """Number the values of other lists; those that no item has count in their sizes alone."""
        distinct = [{text for text in texts or () if text is not None} for texts in lists]
        numbers = [sorted(self.numbers[text] for text in texts if text in self.numbers) for texts in distinct]
        sizes = [np.nan if texts is None else len(own) for texts, own in zip(lists, distinct, strict=True)]
        return WantedLists(*_flat(numbers), np.array(sizes, dtype=np.float64))

    def match(self, wanted: WantedLists, owner: npt.NDArray[np.int64], items: Codes, measure: Measure) -> Singles:
        """Compare row `owner[n]` of `wanted` with item `items[n]`: common values, or their share of the row's."""
        counts = _shared(owner, items, (wanted.offsets, wanted.values), (self.offsets, self.values))
        sizes = wanted.sizes[owner]
        sizes = np.where(self.known[items], sizes, np.nan)
        if measure == "shared":
            values: Floats = np.where(np.isnan(sizes), np.nan, counts)
        else:
            values = np.divide(counts, sizes, out=np.full(len(counts), np.nan), where=sizes > 0)
        return values.astype(np.float32)


def _flat(lists: Sequence[Sequence[int]]) -> tuple[Offsets, Offsets]:
    offsets = offsets_of(np.array([len(numbers) for numbers in lists], dtype=np.int64))
    return offsets, np.array([number for numbers in lists for number in numbers], dtype=np.int64)
