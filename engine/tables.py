"""Tables of a version: the catalogue and the features of users, items and pairs, looked up by number.

Parquet files. `catalogue.parquet`: item_id, title, category (texts), available (boolean); ascending item_id.
Feature tables: the key columns of their entity, then features (floating point; null = missing) and attributes
(texts); one row per key, in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.arrays import Codes, Singles, Strings
from engine.bands import band_of
from engine.categories import Categories
from engine.errors import RESTORE, ArtifactError, nearest
from engine.exploration import Hashes, hashes_of
from engine.ids import Ids
from engine.items import Items

KEYS = {
    "user": ("user_id",),
    "item": ("item_id",),
    "user_item": ("user_id", "item_id"),
    "user_category": ("user_id", "category"),
}


def _read(path: Path, required: tuple[str, ...]) -> pa.Table:
    try:
        table = pq.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise ArtifactError(f"{path}: not readable as parquet ({error}); {RESTORE}") from None
    for name in required:
        if name not in table.column_names:
            raise ArtifactError(f"{path}: no column {name!r}; found {', '.join(table.column_names)}")
    return table


def _texts(table: pa.Table, name: str) -> Strings:
    column = table.column(name)
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    filled = pc.fill_null(pc.cast(column, pa.string()), "")
    return np.array(filled.to_pylist(), dtype=np.str_) if len(filled) else np.empty(0, dtype="<U1")


@dataclass(frozen=True, eq=False)
class Catalog:
    """Every item with its title and category (a number in `categories`), and whether it may be shown."""

    items: Items
    titles: list[str]
    categories: Ids
    category: Codes

    @classmethod
    def load(cls, path: Path) -> Catalog:
        """Read and check the catalogue."""
        table = _read(path, ("item_id", "title", "category", "available"))
        available = table.column("available")
        if not pa.types.is_boolean(available.type):
            raise ArtifactError(f"{path}: column 'available' is {available.type}; expected boolean")
        # An item of which nothing is known is not shown.
        shown = np.array(pc.fill_null(available, False).to_pylist(), dtype=np.bool_)
        ids = Ids.of(_texts(table, "item_id"), f"{path}: item_id")
        category = _texts(table, "category")
        categories = Ids(np.unique(category))
        return cls(Items(ids, shown), _texts(table, "title").tolist(), categories, categories.numbers(category))

    @cached_property
    def item_hashes(self) -> Hashes:
        """A hash of each item's id, by which lists are drawn."""
        return hashes_of(self.items.ids.values.tolist())


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Rows of one entity, in the order of their packed keys."""

    path: Path
    entity: str
    users: Ids | None
    width: int
    keys: npt.NDArray[np.int64]
    table: pa.Table

    @classmethod
    def load(cls, path: Path, entity: str, catalogue: Catalog) -> FeatureTable:
        """Read and check a table; rows of items and categories outside the catalogue are left out."""
        table = _read(path, KEYS[entity])
        users = None
        keys = np.zeros(len(table), dtype=np.int64)
        keep = np.ones(len(table), dtype=np.bool_)
        width = 1
        for name in KEYS[entity]:
            if name == "user_id":
                # Distinct ids first: a numpy text array is as wide as its longest element, in every row.
                encoded = table.column(name).combine_chunks().cast(pa.string()).dictionary_encode()
                ids, inverse = np.unique(np.array(encoded.dictionary.to_pylist(), dtype=np.str_), return_inverse=True)
                users = Ids(ids)
                numbers = inverse[encoded.indices.to_numpy(zero_copy_only=False)] if len(ids) else keys
            else:
                other = catalogue.items.ids if name == "item_id" else catalogue.categories
                numbers, width = other.numbers(_texts(table, name)), max(1, len(other))
                keep &= numbers >= 0
            # Where a number is -1 the key means nothing; those rows are left out below.
            keys = keys * width + numbers
        kept = np.flatnonzero(keep)
        order = kept[np.argsort(keys[kept], kind="stable")]
        keys = keys[order]
        if len(keys) > 1 and (keys[1:] == keys[:-1]).any():
            raise ArtifactError(f"{path}: two rows of one {' and '.join(KEYS[entity])}; expected one row per key")
        return cls(path, entity, users, width, keys, table.take(pa.array(order)))

    def rows(
        self, users: Strings, owner: npt.NDArray[np.int64], items: Codes, category: Codes
    ) -> npt.NDArray[np.int64]:
        """Return the table row of each candidate (`users[owner[n]]`, `items[n]`); -1 = none."""
        part = category[items] if self.entity == "user_category" else items
        wanted = part.astype(np.int64)
        if self.users is not None:
            numbers = self.users.numbers(users).astype(np.int64)[owner]
            # -1 is no key: `find` has no row for it.
            wanted = np.where(numbers < 0, -1, numbers if self.entity == "user" else numbers * self.width + part)
        return self.find(wanted)

    def find(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the row of each packed key, -1 = none."""
        if len(self.keys) == 0:
            return np.full(len(wanted), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[at] == wanted, at, -1)

    def feature(self, name: str) -> Singles:
        """Return a feature column, with a NaN at its end (row -1)."""
        column = self._column(name)
        if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
            raise ArtifactError(f"{self.path}: column {name!r} is {column.type}; expected a number")
        values: npt.NDArray[Any] = column.cast(pa.float32(), safe=False).to_numpy()
        return np.append(values.astype(np.float32), np.float32(np.nan))

    def codes(self, name: str, categories: Categories) -> Singles:
        """Return the codes of a text column, with a NaN at its end (row -1)."""
        column = self._column(name)
        if not pa.types.is_string(column.type) and not pa.types.is_null(column.type):
            raise ArtifactError(f"{self.path}: column {name!r} is {column.type}; expected a text")
        return categories.column(column)

    def attribute(self, name: str) -> list[str]:
        """Return a text column, with an empty text at its end (row -1)."""
        self._column(name)
        return [*_texts(self.table, name).tolist(), ""]

    def bands(self, name: str, edges: Sequence[float]) -> list[str]:
        """Return the bands of a column of numbers; an empty text without a number, and at its end (row -1)."""
        column = self._column(name)
        if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
            raise ArtifactError(f"{self.path}: column {name!r} is {column.type}; expected a number")
        return [*(band_of(value, edges) or "" for value in column.to_pylist()), ""]

    def lists(self, name: str) -> list[list[str | None] | None]:
        """Return a column of lists of texts, with no list at its end (row -1)."""
        column = self._column(name)
        empty = pa.types.is_null(column.type)
        if not empty and not (pa.types.is_list(column.type) and pa.types.is_string(column.type.value_type)):
            raise ArtifactError(f"{self.path}: column {name!r} is {column.type}; expected a list of texts")
        return [*column.to_pylist(), None]

    def kinds(self, name: str) -> list[tuple[str, ...]]:
        """Return what each row is by a column of texts, or of lists of them; an empty text where there is none.

        At the end is what row -1, an item that the table does not have, reads: an empty text.
        """
        column = self._column(name)
        if not pa.types.is_list(column.type):
            if not pa.types.is_string(column.type) and not pa.types.is_null(column.type):
                raise ArtifactError(
                    f"{self.path}: column {name!r} is {column.type}; expected a text or a list of texts"
                )
            return [(text,) for text in self.attribute(name)]
        if not pa.types.is_string(column.type.value_type) and not pa.types.is_null(column.type.value_type):
            raise ArtifactError(f"{self.path}: column {name!r} is {column.type}; expected a text or a list of texts")
        lists = [tuple(text for text in texts or () if text is not None) for texts in column.to_pylist()]
        return [texts or ("",) for texts in lists] + [("",)]

    def _column(self, name: str) -> pa.ChunkedArray:
        if name not in self.table.column_names:
            raise ArtifactError(f"{self.path}: no column {name!r}{nearest(name, self.table.column_names)}")
        return self.table.column(name)
