"""Where candidates come from. Every retriever answers two questions, for many users at once:

* `retrieve(users, k)`: which k items, best first (equal scores by item number);
* `score(users, rows, items)`: what is the score of these pairs, whether they would be retrieved or not.
  NaN where the retriever has nothing to say. The score of a pair never depends on k or on other pairs.

Items are numbers in one catalogue (`Items`), whichever items a retriever knows. Files are `.npz` of plain
arrays; their layouts are the `LAYOUT` of each class. Ids are in ascending order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

from engine.arrays import Codes, Offsets, Singles, Strings
from engine.errors import ArtifactError
from engine.ids import Ids
from engine.items import Items, LocalItems, Ragged, check_lengths, check_ragged, read_file
from engine.npz import Layout, load_arrays
from engine.topk import Table, pair_dots, sparse_scores, top_k


class Retriever(Protocol):
    """What all retrievers offer (see the module's text)."""

    def retrieve(self, users: Strings, k: int) -> Ragged:
        """Return up to k items of each user, best first."""

    def score(self, users: Strings, rows: npt.NDArray[np.integer[Any]], items: Codes) -> Singles:
        """Return the score of each pair (`users[rows[n]]`, catalogue item `items[n]`); NaN = none."""


_NOTHING = (np.empty(0, np.int32), np.empty(0, np.float32))


@dataclass(frozen=True, eq=False)
class OfUsers:
    """What files have in common that hold something of each user."""

    LAYOUT: ClassVar[Layout] = {"user_ids": "U:1", "item_ids": "U:1"}

    users: Ids
    local: LocalItems

    @classmethod
    def _read(cls, path: Path, items: Items) -> tuple[dict[str, npt.NDArray[Any]], Ids, LocalItems]:
        arrays, local = read_file(path, cls.LAYOUT, items)
        return arrays, Ids.of(arrays["user_ids"], f"{path}: user_ids"), local


@dataclass(frozen=True, eq=False)
class Factors(OfUsers):
    """Dot products of user and item factors."""

    LAYOUT: ClassVar[Layout] = {**OfUsers.LAYOUT, "user_factors": "f4:2", "item_factors": "f4:2"}

    user_factors: Singles
    item_factors: Singles

    @classmethod
    def load(cls, path: Path, items: Items) -> Self:
        """Read and check a file of `LAYOUT`."""
        arrays, users, local = cls._read(path, items)
        shapes = [len(users), len(local.to_catalogue), arrays["item_factors"].shape[1]]
        if [*arrays["user_factors"].shape, *arrays["item_factors"].shape] != [shapes[0], shapes[2], *shapes[1:]]:
            raise ArtifactError(
                f"{path}: factors of shapes {arrays['user_factors'].shape} and {arrays['item_factors'].shape} "
                f"do not belong to {len(users)} users and {shapes[1]} items"
            )
        return cls(
            users, local, np.ascontiguousarray(arrays["user_factors"]), np.ascontiguousarray(arrays["item_factors"])
        )

    @cached_property
    def _table(self) -> Table:
        return Table.of(self.item_factors[self.local.shown])

    def retrieve(self, users: Strings, k: int) -> Ragged:
        """Return the items with the largest dot products; none for users without factors."""
        numbers = self.users.numbers(users)
        known = np.flatnonzero(numbers >= 0)
        lists = [_NOTHING] * len(users)
        for user, (rows, scores) in zip(known, self._table.top(self.user_factors[numbers[known]], k), strict=True):
            lists[user] = (self.local.to_catalogue[self.local.shown[rows]], scores)
        return Ragged.of(lists)

    def score(self, users: Strings, rows: npt.NDArray[np.integer[Any]], items: Codes) -> Singles:
        """Return dot products."""
        wanted, columns = self.users.numbers(users)[rows], self.local.from_catalogue[items]
        return pair_dots(self.user_factors, wanted, self.item_factors, columns, np.nan)


@dataclass(frozen=True, eq=False)
class Als(Factors):
    """Factors by alternating least squares (Hu, Koren & Volinsky, 2008)."""

    LAYOUT: ClassVar[Layout] = {
        **Factors.LAYOUT,
        # What a new user is folded in by (`engine.folding`); to rank, factors are enough.
        "regularization": "f8:0",
        "regularization_per_item": "f8:0",
        "alpha": "f8:0",
    }


@dataclass(frozen=True, eq=False)
class Popularity:
    """The same list for everybody."""

    LAYOUT: ClassVar[Layout] = {"item_ids": "U:1", "scores": "f4:1"}

    scores: Singles
    local: LocalItems

    @classmethod
    def load(cls, path: Path, items: Items) -> Popularity:
        """Read and check a file of `LAYOUT`."""
        arrays, local = read_file(path, cls.LAYOUT, items)
        check_lengths(path, item_ids=len(local.to_catalogue), scores=len(arrays["scores"]))
        return cls(arrays["scores"], local)

    @cached_property
    def _ranked(self) -> tuple[Codes, Singles]:
        rows = self.local.shown[np.argsort(-self.scores[self.local.shown], kind="stable")]
        return self.local.to_catalogue[rows], self.scores[rows]

    def retrieve(self, users: Strings, k: int) -> Ragged:
        """Return the k items with the highest scores, for every user."""
        items, scores = self._ranked
        return Ragged.of([(items[:k], scores[:k])] * len(users))

    def score(self, users: Strings, rows: npt.NDArray[np.integer[Any]], items: Codes) -> Singles:
        """Return the items' scores."""
        del users, rows
        own = self.local.from_catalogue[items]
        padded = np.append(self.scores, np.float32(np.nan))
        return padded[own].astype(np.float32)


@dataclass(frozen=True, eq=False)
class History(OfUsers):
    """Items of a user's own past with a score each, also used as the list of what a user has seen."""

    LAYOUT: ClassVar[Layout] = {**OfUsers.LAYOUT, "offsets": "i8:1", "items": "i4:1", "scores": "f4:1"}

    offsets: Offsets
    items: Codes
    scores: Singles

    @classmethod
    def load(cls, path: Path, items: Items) -> History:
        """Read and check a file of `LAYOUT`: user `u` has `items[offsets[u]:offsets[u+1]]`, each once."""
        arrays, users, local = cls._read(path, items)
        check_lengths(path, items=len(arrays["items"]), scores=len(arrays["scores"]))
        check_ragged(path, arrays["offsets"], arrays["items"], len(users), len(local.to_catalogue))
        return cls(users, local, arrays["offsets"], arrays["items"], arrays["scores"])

    @cached_property
    def _keys(self) -> tuple[npt.NDArray[np.int64], Singles]:
        """Return (user, catalogue item) pairs packed into one number, ascending, with their scores."""
        user = np.repeat(np.arange(len(self.users)), np.diff(self.offsets))
        item = self.local.to_catalogue[self.items].astype(np.int64)
        keep = item >= 0
        keys = user[keep] * len(self.local.catalogue) + item[keep]
        order = np.argsort(keys, kind="stable")
        return keys[order], self.scores[keep][order]

    def of_user(self, number: int) -> tuple[Codes, Singles]:
        """Return file item numbers and scores of the user of this number; nothing for -1."""
        if number < 0:
            return _NOTHING
        own = slice(self.offsets[number], self.offsets[number + 1])
        return self.items[own], self.scores[own]

    def counts(self, users: Strings) -> Offsets:
        """Return how many items each user's past has; 0 for users without one."""
        numbers = self.users.numbers(users)
        return np.where(numbers >= 0, np.append(np.diff(self.offsets), 0)[numbers], 0)

    def retrieve(self, users: Strings, k: int) -> Ragged:
        """Return the user's available items with the highest scores."""
        lists = []
        for number in self.users.numbers(users):
            own, scores = self.of_user(int(number))
            items = self.local.to_catalogue[own]
            keep = (items >= 0) & self.local.catalogue.available[items]
            items, scores = items[keep], scores[keep]
            best = np.lexsort((items, -scores))[:k]
            lists.append((items[best], scores[best]))
        return Ragged.of(lists)

    def score(self, users: Strings, rows: npt.NDArray[np.integer[Any]], items: Codes) -> Singles:
        """Return the scores of the pairs that are in the past."""
        keys, scores = self._keys
        numbers = self.users.numbers(users)[rows].astype(np.int64)
        wanted = numbers * len(self.local.catalogue) + items
        if len(keys) == 0:
            return np.full(len(wanted), np.nan, dtype=np.float32)
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        hit = (numbers >= 0) & (keys[at] == wanted)
        return np.where(hit, scores[at], np.float32(np.nan))


@dataclass(frozen=True, eq=False)
class ItemItem:
    """Item similarities summed over the user's past: score = Σ weight × similarity (EASE, SAR, item-kNN)."""

    LAYOUT: ClassVar[Layout] = {**History.LAYOUT, "starts": "i8:1", "neighbours": "i4:1", "similarity": "f4:1"}

    past: History
    starts: Offsets
    neighbours: Codes
    similarity: Singles

    @classmethod
    def load(cls, path: Path, items: Items) -> ItemItem:
        """Read and check a file of `LAYOUT`: a `History` of weights, and item `i`'s similarities as CSR rows."""
        past, arrays = History.load(path, items), load_arrays(path, cls.LAYOUT)
        size = len(past.local.to_catalogue)
        check_lengths(path, neighbours=len(arrays["neighbours"]), similarity=len(arrays["similarity"]))
        check_ragged(path, arrays["starts"], arrays["neighbours"], size, size)
        return cls(past, arrays["starts"], arrays["neighbours"], arrays["similarity"])

    def _totals(self, number: int) -> Singles:
        own, weights = self.past.of_user(number)
        size = len(self.past.local.to_catalogue)
        totals: Singles = sparse_scores(own, weights, self.starts, self.neighbours, self.similarity, size)
        return totals

    def retrieve(self, users: Strings, k: int) -> Ragged:
        """Return the available items with the largest positive sums."""
        lists = []
        shown = self.past.local.shown
        for number in self.past.users.numbers(users):
            if number < 0:
                lists.append(_NOTHING)
                continue
            totals = self._totals(int(number))[shown]
            best = top_k(totals, k)
            best = best[totals[best] > 0]
            lists.append((self.past.local.to_catalogue[shown[best]], totals[best]))
        return Ragged.of(lists)

    def score(self, users: Strings, rows: npt.NDArray[np.integer[Any]], items: Codes) -> Singles:
        """Return the sums (0 where nothing is similar); NaN for unknown users and items."""
        scores = np.full(len(items), np.nan, dtype=np.float32)
        own = self.past.local.from_catalogue[items]
        order = np.argsort(rows, kind="stable")
        numbers = self.past.users.numbers(users)
        for part in np.split(order, np.flatnonzero(np.diff(rows[order])) + 1):
            if len(part) and numbers[rows[part[0]]] >= 0:
                totals = np.append(self._totals(int(numbers[rows[part[0]]])), np.float32(np.nan))
                scores[part] = totals[own[part]]
        return scores
