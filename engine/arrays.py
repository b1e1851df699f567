"""Names of the array types, and the one way in which kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
Grades = npt.NDArray[np.uint8]
Strings = npt.NDArray[np.str_]

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile on first call; keep the machine code beside the source where that folder can be written.

    One thread, no fast-math: the same bits on every machine and for every batch size.
    """
    try:
        # With numpy's error model a division by zero gives infinity or NaN: no loop needs a branch that raises.
        compiled: F = njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # nowhere to keep it (read-only installation without a home folder)
        compiled = njit(nogil=True, error_model="numpy")(function)
    return compiled


def offsets_of(lengths: npt.NDArray[np.integer[Any]]) -> Offsets:
    """Return the offsets of consecutive groups of these lengths: `len(lengths) + 1` values from 0."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def group_of_row(offsets: Offsets) -> npt.NDArray[np.int64]:
    """Return the group number of every row of a ragged array."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
