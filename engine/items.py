"""Items by number: the catalogue, lists of its items, and the numbers by which a retriever's file knows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.arrays import Bools, Codes, Offsets, Singles, Strings, offsets_of
from engine.errors import ArtifactError
from engine.ids import Ids
from engine.npz import Layout, load_arrays


@dataclass(frozen=True, eq=False)
class Items:
    """The catalogue: item ids in ascending order, and which of them may be shown."""

    ids: Ids
    available: Bools

    @classmethod
    def all(cls, ids: Strings) -> Items:
        """Return a catalogue in which every item may be shown."""
        return cls(Ids.of(ids, "catalogue"), np.ones(len(ids), dtype=np.bool_))

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class Ragged:
    """Scored items of many users: user `u` owns `offsets[u]:offsets[u+1]` of `items` and `scores`."""

    offsets: Offsets
    items: Codes
    scores: Singles

    @classmethod
    def of(cls, lists: list[tuple[Codes, Singles]]) -> Ragged:
        """Join one list per user."""
        if not lists:
            return cls(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
        items, scores = zip(*lists, strict=True)
        lengths = np.array([len(part) for part in items])
        return cls(
            offsets_of(lengths),
            np.concatenate(items).astype(np.int32),
            np.concatenate(scores).astype(np.float32),
        )


@dataclass(frozen=True, eq=False)
class LocalItems:
    """Numbers of a file's items in the catalogue, and the other way round (-1 = not there)."""

    catalogue: Items
    to_catalogue: Codes
    from_catalogue: Codes
    shown: npt.NDArray[np.int64]  # the file's items that may be shown, ascending

    @classmethod
    def of(cls, ids: Ids, items: Items) -> LocalItems:
        """Number a file's items, whose `ids` ascend, in the catalogue."""
        to_catalogue = items.ids.numbers(ids.values)
        # -1 must not get through: as an index it is the last item.
        known = np.flatnonzero(to_catalogue >= 0)
        back = np.full(len(items), -1, dtype=np.int32)
        back[to_catalogue[known]] = known
        return cls(items, to_catalogue, back, known[items.available[to_catalogue[known]]])


def read_file(path: Path, layout: Layout, items: Items) -> tuple[dict[str, npt.NDArray[Any]], LocalItems]:
    """Read the arrays of a retriever's file, and number its items (`item_ids`) in the catalogue."""
    arrays = load_arrays(path, layout)
    return arrays, LocalItems.of(Ids.of(arrays["item_ids"], f"{path}: item_ids"), items)


def check_lengths(path: Path, **lengths: int) -> None:
    """Raise `ArtifactError` unless the arrays of these names have one length."""
    if len(set(lengths.values())) > 1:
        text = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ArtifactError(f"{path}: arrays of different lengths ({text}); expected one value for each")


def check_ragged(path: Path, offsets: Offsets, members: Codes, groups: int, limit: int) -> None:
    """Raise `ArtifactError` unless `offsets` divides `members` (each 0 .. limit-1) into `groups`."""
    if len(offsets) != groups + 1 or offsets[0] != 0 or offsets[-1] != len(members) or (np.diff(offsets) < 0).any():
        raise ArtifactError(f"{path}: offsets do not divide {len(members)} entries among {groups} owners")
    check_codes(path, members, limit)


def check_codes(path: Path, codes: Codes, limit: int) -> None:
    """Raise `ArtifactError` unless each code is 0 .. limit-1."""
    if len(codes) and (codes.min() < 0 or codes.max() >= limit):
        raise ArtifactError(f"{path}: an entry is outside 0 .. {limit - 1}")
