"""Two towers: a model of ONNX makes a vector of a user's last items, and items have vectors of their own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from engine.arrays import Codes, Offsets, Singles, Strings
from engine.errors import ArtifactError
from engine.items import Items, Ragged, check_ragged
from engine.npz import Layout
from engine.onnx.checks import Signature
from engine.onnx.proto import INT64
from engine.onnx.session import BlockModel
from engine.retrieval import OfUsers
from engine.topk import Table, pair_dots

LONGEST = 200
"""Items of a user that a model may look at."""


@dataclass(frozen=True, eq=False)
class TwoTowers(OfUsers):
    """Dot products of a vector of the user's last items and the vectors of items.

    `model` is a file of ONNX, int64 [users, last] to float32 [users, size]. A row has the numbers of the user's last
    items, the latest at its end; the places before the first have the number of items, which is no item's.
    """

    LAYOUT: ClassVar[Layout] = {
        **OfUsers.LAYOUT,
        "offsets": "i8:1",
        "items": "i4:1",
        "last": "i8:0",
        "item_vectors": "f4:2",
        "model": "u1:1",
    }

    offsets: Offsets
    items: Codes
    last: int
    item_vectors: Singles
    model: BlockModel

    @classmethod
    def load(cls, path: Path, items: Items) -> Self:
        """Read and check a file of `LAYOUT`, and the model in it: user `u` has `items[offsets[u]:offsets[u+1]]`."""
        arrays, users, local = cls._read(path, items)
        vectors, last = np.ascontiguousarray(arrays["item_vectors"]), int(arrays["last"])
        check_ragged(path, arrays["offsets"], arrays["items"], len(users), len(local.to_catalogue))
        if len(vectors) != len(local.to_catalogue) or not 1 <= last <= LONGEST:
            raise ArtifactError(
                f"{path}: {len(vectors)} vectors for {len(local.to_catalogue)} items, of the last {last} of each user; "
                f"expected a vector for each item, and 1 to {LONGEST} items of a user"
            )
        model = BlockModel.of(arrays["model"].tobytes(), path, Signature(INT64, last, vectors.shape[1]))
        return cls(users, local, arrays["offsets"], arrays["items"], last, vectors, model)

    @cached_property
    def _table(self) -> Table:
        return Table.of(self.item_vectors[self.local.shown])

    def _vectors(self, numbers: Codes) -> Singles:
        """The vectors of users by their numbers, none of them -1."""
        rows = np.full((len(numbers), self.last), len(self.item_vectors), dtype=np.int64)
        for row, number in zip(rows, numbers, strict=True):
            own = self.items[self.offsets[number] : self.offsets[number + 1]][-self.last :]
            row[len(row) - len(own) :] = own
        vectors = self.model.run(rows)
        if not np.isfinite(vectors).all():
            raise ArtifactError(f"{self.model.path}: a user's vector is not finite; expected numbers")
        return vectors

    def retrieve(self, users: Strings, k: int) -> Ragged:
        """Return the items with the largest dot products; none for users without a past."""
        numbers = self.users.numbers(users)
        known = np.flatnonzero(numbers >= 0)
        nothing = np.empty(0, np.int32), np.empty(0, np.float32)
        lists = [nothing] * len(users)
        for user, (rows, scores) in zip(known, self._table.top(self._vectors(numbers[known]), k), strict=True):
            lists[user] = (self.local.to_catalogue[self.local.shown[rows]], scores)
        return Ragged.of(lists)

    def score(self, users: Strings, rows: npt.NDArray[np.integer[Any]], items: Codes) -> Singles:
        """Return dot products."""
        numbers = self.users.numbers(users)
        known = np.flatnonzero(numbers >= 0)
        place = np.full(len(users), -1, dtype=np.int32)
        place[known] = np.arange(len(known))
        columns = self.local.from_catalogue[items]
        return pair_dots(self._vectors(numbers[known]), place[rows], self.item_vectors, columns, np.nan)
