"""Candidates as lists to measure: what of the relevant items they hold, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from engine.candidates import Candidates
    from engine.ids import Ids
    from engine.lists import Lists


@dataclass(frozen=True, eq=False)
class Wanted:
    """The relevant items of groups, each once: group number, ascending, item id and grade of each."""

    group: npt.NDArray[np.int64]
    item: npt.NDArray[np.object_]
    grade: npt.NDArray[np.int64]


def graded(found: Candidates, ids: Ids, wanted: Wanted) -> Lists:
    """The candidates as lists to measure, best first; relevant items that are not among them count as misses."""
    import numpy as np

    from engine.arrays import group_of_row, offsets_of
    from engine.lists import Lists

    numbers = ids.numbers(wanted.item.astype(np.str_))
    known = numbers >= 0
    # A pair of group and item as one number; -1 stands for none, and keeps the array from being empty.
    keys = np.append(wanted.group[known] * len(ids) + numbers[known], -1)
    grades = np.append(wanted.grade[known], 0)
    order = np.argsort(keys)
    keys, grades = keys[order], grades[order]
    group = group_of_row(found.offsets)
    pairs = group * len(ids) + found.items
    at = np.minimum(np.searchsorted(keys, pairs), len(keys) - 1)
    offsets = offsets_of(np.bincount(wanted.group, minlength=len(found.offsets) - 1))
    place = np.arange(len(pairs)) - found.offsets[:-1][group]
    return Lists.of(
        -place.astype(np.float64), np.where(keys[at] == pairs, grades[at], 0), found.offsets,
        relevant=(wanted.grade, offsets),
    )  # fmt: skip
