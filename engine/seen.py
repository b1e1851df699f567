"""One rule for what a user has seen: it is kept out of every list, or it is all that a list may hold.

A rule is asked twice. When items are retrieved, so that the `k` of a retriever counts items that the rule allows, not
items of which most are thrown away afterwards; and of candidates that a request names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.arrays import Bools, Codes, Singles, Strings, group_of_row, offsets_of
from engine.items import Ragged
from engine.retrieval import History, Retriever


class SeenRule(Protocol):
    """What both rules offer."""

    def keep(self, users: Strings, rows: npt.NDArray[np.int64], items: Codes) -> Bools:
        """Return True for each pair (`users[rows[n]]`, catalogue item `items[n]`) that a list may hold."""

    def retrieve(self, retriever: Retriever, users: Strings, k: int) -> Ragged:
        """Return the best k items of each user among those that the rule allows, in the retriever's order."""


@dataclass(frozen=True, eq=False)
class ExcludeSeen:
    """Keeps out what a user has seen."""

    seen: History

    def keep(self, users: Strings, rows: npt.NDArray[np.int64], items: Codes) -> Bools:
        """Return True for pairs that are not in the past."""
        return np.isnan(self.seen.score(users, rows, items))

    def retrieve(self, retriever: Retriever, users: Strings, k: int) -> Ragged:
        """Return the best k items that each user has not seen."""
        # Of k items more than somebody has seen, k at least are left. Rounded up to powers of two, so that users are
        # asked about together, and nobody gets a list as long as that of whoever has seen most.
        counts = self.seen.counts(users)
        margins = np.where(counts > 0, 2 ** np.ceil(np.log2(np.maximum(counts, 1))), 0).astype(np.int64)
        lists: dict[int, tuple[Codes, Singles]] = {}
        for margin in np.unique(margins).tolist():
            asked = np.flatnonzero(margins == margin)
            found = retriever.retrieve(users[asked], k + margin)
            rows = group_of_row(found.offsets)
            allowed = self.keep(users[asked], rows, found.items)
            lists |= dict(zip(asked.tolist(), _first(found, rows, allowed, k), strict=True))
        return Ragged.of([lists[user] for user in range(len(users))])


@dataclass(frozen=True, eq=False)
class OnlySeen:
    """Allows nothing but what a user has seen."""

    seen: History

    def keep(self, users: Strings, rows: npt.NDArray[np.int64], items: Codes) -> Bools:
        """Return True for pairs that are in the past."""
        return ~np.isnan(self.seen.score(users, rows, items))

    def retrieve(self, retriever: Retriever, users: Strings, k: int) -> Ragged:
        """Return the k of each user's past that the retriever scores best; those it cannot score come in no list."""
        past = self.seen.retrieve(users, int(self.seen.counts(users).max(initial=0)))
        rows = group_of_row(past.offsets)
        scores = retriever.score(users, rows, past.items)
        order = np.lexsort((past.items, -scores, rows))  # NaN comes last within a user
        ordered = Ragged(past.offsets, past.items[order], scores[order])
        return Ragged.of(_first(ordered, rows, ~np.isnan(ordered.scores), k))


RULES: dict[str, Callable[[History], SeenRule]] = {"exclude": ExcludeSeen, "only": OnlySeen}
"""The rules by their names in the pipeline file; `keep` is none."""


def _first(lists: Ragged, rows: npt.NDArray[np.int64], allowed: Bools, k: int) -> list[tuple[Codes, Singles]]:
    """Return the first k allowed items of each list."""
    users = len(lists.offsets) - 1
    rows, items, scores = rows[allowed], lists.items[allowed], lists.scores[allowed]
    starts = offsets_of(np.bincount(rows, minlength=users))
    return [
        (items[start : min(start + k, end)], scores[start : min(start + k, end)])
        for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    ]
