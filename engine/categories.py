"""The dictionary of texts: which number stands for which text in a version's categorical features.

A JSON file: for each feature its texts, distinct and in ascending order; a text's code is its place.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.arrays import Singles
from engine.errors import ArtifactError, nearest

MOST = 2**24
"""Codes are features, which are 32 bits wide: beyond, neighboring codes would be one number."""


@dataclass(frozen=True, eq=False)
class Categories:
    """The texts of one feature with their codes."""

    codes: Mapping[str, int]

    def code(self, text: str | None) -> float:
        """Return a text's code, NaN for none and for one that the dictionary lacks."""
        return float("nan") if text is None else float(self.codes.get(text, "nan"))

    def column(self, column: pa.ChunkedArray) -> Singles:
        """Return the codes of a column of texts, with a NaN at its end (row -1 of a table)."""
        # Through the distinct texts, which are few. By a dict, because numpy drops NULs at the end of a text.
        encoded = pc.cast(column, pa.string()).combine_chunks().dictionary_encode()
        distinct = np.array([self.code(text) for text in encoded.dictionary.to_pylist()] + [np.nan], dtype=np.float32)
        numbers = pc.fill_null(encoded.indices, len(distinct) - 1).to_numpy(zero_copy_only=False)
        return np.append(distinct[numbers], np.float32(np.nan))


def load_categories(path: Path, source: str | None = None) -> dict[str, Categories]:
    """Read and check a dictionary file.

    Raises:
        ArtifactError: it is not one, or its texts are not distinct and in order.
    """
    place = source or str(path)
    try:
        plain = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{place}: not readable as JSON ({error}); publish the version again") from None
    if not isinstance(plain, dict):
        raise ArtifactError(f"{place}: found {type(plain).__name__}; expected lists of texts by feature")
    return {name: Categories(_codes(f"{place}: {name}", texts)) for name, texts in plain.items()}


def _codes(place: str, texts: object) -> dict[str, int]:
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ArtifactError(f"{place}: expected a list of texts")
    if len(texts) > MOST:
        raise ArtifactError(f"{place}: found {len(texts)} texts; expected at most {MOST}")
    if any(first >= second for first, second in itertools.pairwise(texts)):
        raise ArtifactError(f"{place}: texts must be distinct and in ascending order")
    return {text: code for code, text in enumerate(texts)}


def categories_of(dictionary: Mapping[str, Categories], name: str, path: Path) -> Categories:
    """Return the texts of a feature, or raise `ArtifactError`."""
    if name not in dictionary:
        raise ArtifactError(f"{path}: no texts of the feature {name!r}{nearest(name, dictionary)}")
    return dictionary[name]
