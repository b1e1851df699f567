"""Example files as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

UNKNOWN = "unknown"
"""Attribute of a user of whom nothing was known as of the cut."""


def texts(column: pa.ChunkedArray) -> npt.NDArray[np.str_]:
    """A column of texts as an array."""
    import numpy as np

    return np.asarray(column.to_pylist(), dtype=np.str_)


def matrix(table: pa.Table, features: Sequence[str]) -> npt.NDArray[np.float32]:
    """The features of a table of examples as a (rows, features) array."""
    import numpy as np

    values = np.empty((table.num_rows, len(features)), dtype=np.float32)  # as the engine's scorer has them
    for index, name in enumerate(features):
        values[:, index] = table[name].to_numpy()
    return values


def group_ends(table: pa.Table) -> npt.NDArray[np.int64]:
    """Where each run of equal `group_id` ends; the rows of a group stand together."""
    import numpy as np
    import pyarrow.compute as pc

    # Of one chunk: runs are counted in each, so a group across two would end twice.
    ends = pc.run_end_encode(table["group_id"].combine_chunks()).run_ends
    return np.asarray(ends.to_numpy(), dtype=np.int64)


def group_offsets(table: pa.Table) -> npt.NDArray[np.int64]:
    """Where each group begins, and after the last where it ends: (groups + 1,)."""
    import numpy as np

    return np.concatenate([np.zeros(1, dtype=np.int64), group_ends(table)])


def relevant_of(groups: list[str], truth: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Collect the grades of all relevant items, retrieved or not, group after group, and the offsets of the groups.

    `truth` holds a row for each relevant item; those of other groups are left out.
    """
    import numpy as np

    grades: dict[str, list[int]] = {group: [] for group in groups}
    for group, grade in zip(truth["group_id"].to_pylist(), truth["grade"].to_pylist(), strict=True):
        if group in grades:
            grades[group].append(int(grade))
    offsets = np.concatenate([[0], np.cumsum([len(grades[group]) for group in groups])]).astype(np.int64)
    return np.asarray([grade for group in groups for grade in grades[group]], dtype=np.int64), offsets
