"""Array files (`.npz`): plain arrays only, the same bytes for the same arrays, checked on the way in."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import RESTORE, ArtifactError

Layout = dict[str, str]
"""The type and the dimensions of each array of a file, by its name, e.g. `f4:2`."""
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can hold


def save_arrays(path: Path, **arrays: npt.ArrayLike) -> None:
    """Write arrays, uncompressed and in the order of their names, without a trace of when they were written."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=_DATE)
            # A stream's size is not known beforehand; without ZIP64 an array over 2 GiB fails at its end.
            with archive.open(entry, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asanyarray(arrays[name]), allow_pickle=False)


def load_arrays(path: Path, layout: Layout) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays named in `layout`.

    Types: `f4`, `f8`, `i4`, `i8`, `u1`, `U` (fixed-width text). Raises `ArtifactError` where one is missing, of
    another layout, holds NaN or infinity, or where the file is damaged.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            for name in layout:
                if name not in archive:
                    raise ArtifactError(
                        f"{path}: no array {name!r}; found {', '.join(sorted(archive.files)) or 'none'}"
                    )
                arrays[name] = archive[name]
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no such file; expected arrays {', '.join(layout)}") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path}: not readable as arrays ({error}); {RESTORE}") from None
    for name, wanted in layout.items():
        kind, _, dimensions = wanted.partition(":")
        array = arrays[name]
        if array.dtype.kind + ("" if kind == "U" else str(array.dtype.itemsize)) != kind:
            raise ArtifactError(f"{path}: array {name!r} is of type {array.dtype}; expected {kind}")
        if array.ndim != int(dimensions):
            raise ArtifactError(f"{path}: array {name!r} has {array.ndim} dimensions; expected {dimensions}")
        if kind[0] == "f" and not np.isfinite(array).all():
            raise ArtifactError(f"{path}: array {name!r} holds NaN or infinity; expected finite numbers")
    return arrays
