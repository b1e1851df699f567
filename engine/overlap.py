"""How much of a user's past an item shares: by the values of lists, such as genres.

The user's past counts, for each value, the actions on items that had it; the overlap of an item is the share of those
counts that its own values have. Whole numbers are added and divided once, as the SQL of the examples does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.arrays import Codes, Floats, Offsets, Singles, Strings, kernel, offsets_of
from engine.errors import ArtifactError
from engine.ids import Ids
from engine.items import Items


@kernel
def _shares(
    user: Offsets, item: Codes, past: tuple[Offsets, Offsets, Floats], listed: tuple[Offsets, Offsets], total: Floats
) -> Singles:
    """Return the share of each pair; `past` and `listed` are offsets and ascending values, the first with counts."""
    starts, values, counts = past
    item_starts, item_values = listed
    shares = np.zeros(len(user), dtype=np.float32)
    for row in range(len(user)):
        who = user[row]
        if who < 0 or total[who] <= 0:
            continue
        at, end = starts[who], starts[who + 1]
        shared = 0.0
        for place in range(item_starts[item[row]], item_starts[item[row] + 1]):
            while at < end and values[at] < item_values[place]:
                at += 1
            if at < end and values[at] == item_values[place]:
                shared += counts[at]
        shares[row] = np.float32(shared / total[who])
    return shares


@dataclass(frozen=True, eq=False)
class Overlap:
    """Values by number: user `u` owns `past_offsets[u]:past_offsets[u+1]` of the counts, item `i` likewise."""

    users: Ids
    past_offsets: Offsets
    past_values: Offsets
    past_counts: Floats
    total: Floats
    list_offsets: Offsets
    list_values: Offsets

    @classmethod
    def load(cls, path: Path, items_path: Path, name: str, items: Items) -> Overlap:
        """Read the users' past, and the lists of the catalogue's items from the column `name`."""
        past = _read(path, {"user_id": pa.string(), "value": pa.string(), "actions": pa.int64()})
        lists = _read(items_path, {"item_id": pa.string(), name: pa.list_(pa.string())})
        least = pc.min(past["actions"], skip_nulls=False).as_py() if len(past) else 1
        if least is None or least < 1 or past["user_id"].null_count or past["value"].null_count:
            raise ArtifactError(f"{path}: expected a user_id, a value and at least one action in every row")
        numbers = {
            text: number
            for number, text in enumerate(sorted({*pc.unique(past["value"]).to_pylist(), *_values(lists[name])}))
        }
        users = sorted(pc.unique(past["user_id"]).to_pylist())
        place = {user: number for number, user in enumerate(users)}
        owner = np.array([place[user] for user in past["user_id"].to_pylist()], dtype=np.int64)
        value = np.array([numbers[text] for text in past["value"].to_pylist()], dtype=np.int64)
        order = np.lexsort((value, owner))
        if len(set(zip(owner.tolist(), value.tolist(), strict=True))) < len(owner):
            raise ArtifactError(f"{path}: two rows of one user_id and value; expected one row per key")
        counts = past["actions"].to_numpy().astype(np.float64)
        offsets, values = _of_items(lists["item_id"].to_pylist(), lists[name].to_pylist(), numbers, items)
        return cls(
            Ids.of(users, f"{path}: user_id"),
            offsets_of(np.bincount(owner, minlength=len(users))),
            value[order],
            counts[order],
            np.bincount(owner, weights=counts, minlength=len(users)).astype(np.float64),
            offsets,
            values,
        )

    def share(self, users: Strings, owner: npt.NDArray[np.int64], items: Codes) -> Singles:
        """Return the share of each pair (`users[owner[n]]`, catalogue item `items[n]`); 0 where there is no past."""
        wanted = self.users.numbers(users).astype(np.int64)[owner]
        return _shares(
            wanted,
            items,
            (self.past_offsets, self.past_values, self.past_counts),
            (self.list_offsets, self.list_values),
            self.total,
        )


def _read(path: Path, types: dict[str, pa.DataType]) -> pa.Table:
    try:
        table = pq.read_table(path, columns=list(types), partitioning=None)
        return table.select(list(types)).cast(pa.schema(list(types.items())))
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise ArtifactError(
            f"{path}: not readable as a table of {', '.join(types)} ({error}); publish the version again"
        ) from None


def _values(column: pa.ChunkedArray) -> list[str]:
    return [value for value in pc.unique(pc.list_flatten(column)).to_pylist() if value is not None]


def _of_items(
    ids: list[str], lists: list[list[str | None] | None], numbers: dict[str, int], items: Items
) -> tuple[Offsets, Any]:
    """Return offsets and ascending values of the catalogue's items; one without a list has none."""
    places = items.ids.numbers(ids)
    of_item: list[list[int]] = [[] for _ in range(len(items))]
    for place, texts in zip(places.tolist(), lists, strict=True):
        if place >= 0:
            of_item[place] = sorted({numbers[text] for text in texts or [] if text is not None})
    flat = [number for values in of_item for number in values]
    return offsets_of(np.array([len(values) for values in of_item], dtype=np.int64)), np.array(flat, dtype=np.int64)
