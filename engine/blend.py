"""Several retrievers as one: a weighted sum of what each says of the items at the top of its list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from engine.arrays import Codes, Floats, Singles, Strings
from engine.items import Ragged
from engine.retrieval import Retriever
from engine.topk import top_k

_FIRST_RANK = 60.0
"""What reciprocal ranks begin after: Cormack, Clarke & Büttcher (2009) find that any such number will do."""


@dataclass(frozen=True, eq=False)
class Blend:
    """Points of an item = Σ weight × points by a retriever, 0 from one that does not have it in its list.

    Attributes:
        of: the retrievers.
        weights: of each.
        by: `scores`, moved to 0 .. 1 in each list; or `ranks`, reciprocal rank fusion.
        depth: the length of the lists.
    """

    of: tuple[Retriever, ...]
    weights: tuple[float, ...]
    by: Literal["scores", "ranks"]
    depth: int

    def _points(self, scores: Singles) -> Floats:
        """What the items of one list, best first, get for it."""
        if self.by == "ranks":
            reciprocal: Floats = 1.0 / (_FIRST_RANK + 1.0 + np.arange(len(scores), dtype=np.float64))
            return reciprocal
        exact: Floats = scores.astype(np.float64)
        if len(exact) == 0 or exact[0] == exact[-1]:
            return np.ones(len(exact))
        moved: Floats = (exact - exact[-1]) / (exact[0] - exact[-1])
        return moved

    def _totals(self, users: Strings) -> list[tuple[Codes, Singles]]:
        """The items in any of the lists of each user, ascending, with their points."""
        lists = [retriever.retrieve(users, self.depth) for retriever in self.of]
        totals = []
        for user in range(len(users)):
            owned = [slice(found.offsets[user], found.offsets[user + 1]) for found in lists]
            listed = np.concatenate([found.items[own] for found, own in zip(lists, owned, strict=True)])
            points = [self._points(found.scores[own]) for found, own in zip(lists, owned, strict=True)]
            weighted = [weight * part for weight, part in zip(self.weights, points, strict=True)]
            items, at = np.unique(listed, return_inverse=True)
            # Added in the order of the retrievers: the same bits for any number of users.
            sums = np.bincount(at, weights=np.concatenate(weighted), minlength=len(items))
            totals.append((items.astype(np.int32), sums.astype(np.float32)))
        return totals

    def retrieve(self, users: Strings, k: int) -> Ragged:
        """Return the items with most points, out of those in any of the lists."""
        lists = []
        for items, points in self._totals(users):
            best = top_k(points, k)
            lists.append((items[best], points[best]))
        return Ragged.of(lists)

    def score(self, users: Strings, rows: npt.NDArray[np.integer[Any]], items: Codes) -> Singles:
        """Return the items' points; NaN for those in none of the lists."""
        scores = np.full(len(items), np.nan, dtype=np.float32)
        order = np.argsort(rows, kind="stable")
        asked, starts = np.unique(rows[order], return_index=True)
        for (listed, points), pairs in zip(self._totals(users[asked]), np.split(order, starts[1:]), strict=True):
            if len(listed):
                at = np.minimum(np.searchsorted(listed, items[pairs]), len(listed) - 1)
                scores[pairs] = np.where(listed[at] == items[pairs], points[at], np.float32(np.nan))
        return scores
