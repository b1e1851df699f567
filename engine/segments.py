"""Popularity among users who are alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from engine.arrays import Codes, Singles, Strings
from engine.items import Items, Ragged, check_codes, check_lengths
from engine.npz import Layout
from engine.retrieval import OfUsers


@dataclass(frozen=True, eq=False)
class SegmentPopularity(OfUsers):
    """A list for every segment of users; the first, of everybody, for those who are in none."""

    LAYOUT: ClassVar[Layout] = {**OfUsers.LAYOUT, "segment": "i4:1", "scores": "f4:2"}

    segment: Codes
    scores: Singles  # (1 + segments, items)

    @classmethod
    def load(cls, path: Path, items: Items) -> SegmentPopularity:
        """Read and check a file of `LAYOUT`: user `u` gets row `segment[u]` of the scores, others row 0."""
        arrays, users, local = cls._read(path, items)
        check_lengths(path, user_ids=len(users), segment=len(arrays["segment"]))
        check_lengths(path, item_ids=len(local.to_catalogue), scores=arrays["scores"].shape[1])
        check_codes(path, arrays["segment"], len(arrays["scores"]))
        return cls(users, local, arrays["segment"], arrays["scores"])

    def _rows(self, users: Strings) -> npt.NDArray[np.int64]:
        numbers = self.users.numbers(users)
        return np.where(numbers >= 0, np.append(self.segment, 0)[numbers], 0).astype(np.int64)

    @cached_property
    def _ranked(self) -> list[tuple[Codes, Singles]]:
        shown = self.local.shown
        orders = [shown[np.argsort(-row[shown], kind="stable")] for row in self.scores]
        return [(self.local.to_catalogue[order], row[order]) for order, row in zip(orders, self.scores, strict=True)]

    def retrieve(self, users: Strings, k: int) -> Ragged:
        """Return the k items with the highest scores in each user's segment."""
        lists = [self._ranked[row] for row in self._rows(users)]
        return Ragged.of([(items[:k], scores[:k]) for items, scores in lists])

    def score(self, users: Strings, rows: npt.NDArray[np.integer[Any]], items: Codes) -> Singles:
        """Return the items' scores in each user's segment."""
        nothing = np.full((len(self.scores), 1), np.nan, dtype=np.float32)
        scores: Singles = np.hstack([self.scores, nothing])[self._rows(users)[rows], self.local.from_catalogue[items]]
        return scores
