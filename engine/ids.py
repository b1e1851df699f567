"""Ids and their numbers: every table of the engine is addressed by number, looked up for many ids at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.arrays import Codes, Strings
from engine.errors import ArtifactError


@dataclass(frozen=True, eq=False)
class Ids:
    """Distinct ids in ascending order; an id's number is its position. -1 stands for unknown."""

    values: Strings

    @classmethod
    def of(cls, values: Sequence[str] | Strings, source: str) -> Ids:
        """Check that `values` ascend strictly; `source` names them in the error."""
        array = np.asarray(values, dtype=np.str_)
        if array.ndim != 1 or (len(array) > 1 and not (array[1:] > array[:-1]).all()):
            raise ArtifactError(f"{source}: ids must be distinct and in ascending order (as Python sorts texts)")
        return cls(array)

    def __len__(self) -> int:
        return len(self.values)

    def numbers(self, wanted: Sequence[str] | Strings) -> Codes:
        """Return the number of each wanted id, -1 where unknown."""
        array = np.asarray(wanted, dtype=np.str_)
        if len(self.values) == 0 or len(array) == 0:
            return np.full(len(array), -1, dtype=np.int32)
        width = self.values.dtype.itemsize // 4  # numpy keeps four bytes a character
        # Numpy would widen the whole table for one longer id, which cannot be in it.
        fits = np.char.str_len(array) <= width
        narrow = array.astype(self.values.dtype)  # cuts longer ids, which may then look known: `fits` tells
        at = np.minimum(np.searchsorted(self.values, narrow), len(self.values) - 1)
        return np.where(fits & (self.values[at] == narrow), at, -1).astype(np.int32)
