"""Reads the text in which LightGBM 4 saves a model, and believes none of it before it is checked.

LightGBM itself ends the process on a truncated text; this reader raises `ArtifactError` instead, naming the
tree and the key. It takes what a ranker needs, numerical and categorical splits and constant leaves, and refuses the
rest (linear leaves, several classes, random forests) rather than score it wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from engine.arrays import Floats, Offsets
from engine.errors import ArtifactError

_CATEGORICAL, _DEFAULT_LEFT = 1, 2  # bits of LightGBM's decision_type; the two after them are `Tree.missing`
_NO_WORDS = np.empty(0, dtype=np.uint32)


@dataclass(frozen=True)
class Tree:
    """One tree: `leaves - 1` splits and their leaves. A child `>= 0` is a split, `~child` a leaf."""

    feature: Offsets
    threshold: Floats
    """Of a numerical split: up to it goes left. Of a categorical one, see `sets`."""
    default_left: npt.NDArray[np.bool_]
    missing: Offsets  # 0 = none (NaN is 0), 1 = zero and NaN are missing, 2 = NaN is missing
    left: Offsets
    right: Offsets
    leaf_value: Floats
    depth: int
    """Steps from the root to the deepest leaf."""
    sets: Offsets
    """Of each split the number of its set of categories, -1 of a numerical one: whatever is in the set goes left."""
    set_offsets: Offsets
    """Set `s` is the words `set_offsets[s]:set_offsets[s + 1]`; category `c` is bit `c % 32` of its word `c // 32`."""
    words: npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Model:
    """All trees of a model, and the names of its features in the order of the matrix's columns."""

    feature_names: tuple[str, ...]
    trees: tuple[Tree, ...]


class _Reader:
    """Key-value blocks of a model text, with errors that say where."""

    def __init__(self, source: str, place: str, block: str) -> None:
        self.place = f"{source}: {place}"
        self.values: dict[str, str] = {}
        for line in block.splitlines():
            if line.strip():
                key, _, value = line.partition("=")
                self.values[key.strip()] = value.strip()

    def refuse(self, found: str, expected: str) -> NoReturn:
        raise ArtifactError(
            f"{self.place}: {found}; expected {expected}. The model text is damaged or of another kind: "
            "train and publish it again"
        )

    def text(self, key: str) -> str:
        if key not in self.values:
            self.refuse(f"no {key!r}", f"a line {key}=…")
        return self.values[key]

    def number(self, key: str, default: int | None = None) -> int:
        if default is not None and key not in self.values:
            return default
        try:
            return int(self.text(key))
        except ValueError:
            self.refuse(f"{key}={self.values[key][:40]!r}", "a whole number")

    def array(self, key: str, kind: type[np.generic], length: int) -> npt.NDArray[Any]:
        words = self.text(key).split()
        if len(words) != length:
            self.refuse(f"{key} has {len(words)} values", f"{length}")
        try:
            values = np.array(words, dtype=str).astype(kind) if words else np.empty(0, dtype=kind)
        except (ValueError, OverflowError):
            self.refuse(f"{key} holds something that is no number", "numbers")
        # Nothing is less than a NaN threshold: every row would silently go right.
        if values.dtype.kind == "f" and np.isnan(values).any():
            self.refuse(f"{key} holds an undefined value", "numbers")
        return values


def parse_model(text: str, source: str) -> Model:
    """Return the checked model of a LightGBM text. `source` names it in errors. Raises `ArtifactError`."""
    head, *blocks = text.replace("\r\n", "\n").split("\nTree=")
    header = _Reader(source, "header", head)
    if not text.startswith("tree\n") or header.text("version") != "v4":
        header.refuse("no LightGBM model of version v4", "a text that begins with 'tree' and 'version=v4'")
    if header.number("num_class") != 1 or header.number("num_tree_per_iteration") != 1:
        header.refuse("a model of several classes", "one score per row (num_class=1)")
    names = tuple(header.text("feature_names").split())
    if len(names) != header.number("max_feature_idx") + 1:
        header.refuse(f"{len(names)} feature names", f"{header.number('max_feature_idx') + 1}")
    if len(blocks) != len(header.text("tree_sizes").split()):
        header.refuse(f"{len(blocks)} trees", f"{len(header.text('tree_sizes').split())} (tree_sizes)")
    if blocks:
        # Importances and parameters follow, which nobody needs to score.
        blocks[-1], end, _ = blocks[-1].partition("\nend of trees")
        if not end:
            header.refuse("no 'end of trees'", "a complete text")
    return Model(names, tuple(_tree(source, n, block, len(names)) for n, block in enumerate(blocks)))


def _tree(source: str, number: int, block: str, features: int) -> Tree:
    first, _, rest = block.partition("\n")
    reader = _Reader(source, f"tree {number}", rest)
    if first.strip() != str(number):
        reader.refuse(f"it is called {first[:20]!r}", f"{number}")
    if reader.number("is_linear", 0) != 0:
        reader.refuse("it has linear leaves", "constant leaves (is_linear=0)")
    leaves = reader.number("num_leaves")
    if not 1 <= leaves <= 1_000_000:
        reader.refuse(f"num_leaves={leaves}", "1 to 1000000")
    splits = leaves - 1
    if splits == 0:
        none = np.empty(0, dtype=np.int64)
        value = reader.array("leaf_value", np.float64, 1)
        return Tree(none, np.empty(0), none.astype(bool), none, none, none, value, 0, none, none, _NO_WORDS)
    kinds = reader.array("decision_type", np.int64, splits)
    if ((kinds < 0) | (kinds >> 2 > 2)).any():
        reader.refuse("decision_type has a kind of split that is unknown", "0 to 11")
    feature = reader.array("split_feature", np.int64, splits)
    if ((feature < 0) | (feature >= features)).any():
        reader.refuse("split_feature names a feature that is not there", f"0 to {features - 1}")
    threshold = reader.array("threshold", np.float64, splits)
    categorical = (kinds & _CATEGORICAL) != 0
    set_offsets, words = _sets(reader)
    sets = np.where(categorical, threshold, -1)  # where a categorical split has the number of its set
    if not np.isin(sets[categorical], np.arange(len(set_offsets) - 1)).all():
        reader.refuse("threshold names a set of categories that is not there", f"0 to {len(set_offsets) - 2}")
    left, right = (reader.array(key, np.int64, splits) for key in ("left_child", "right_child"))
    return Tree(
        feature=feature,
        threshold=threshold,
        default_left=(kinds & _DEFAULT_LEFT) != 0,
        missing=kinds >> 2,
        left=left,
        right=right,
        leaf_value=reader.array("leaf_value", np.float64, leaves),
        depth=_depth(reader, left, right),
        sets=sets.astype(np.int64),
        set_offsets=set_offsets,
        words=words,
    )


def _sets(reader: _Reader) -> tuple[Offsets, npt.NDArray[np.uint32]]:
    """Return the sets of categories of a tree; none of a tree without categorical splits."""
    number = reader.number("num_cat")
    if number == 0:
        return np.zeros(1, dtype=np.int64), _NO_WORDS
    if not 0 < number <= 1_000_000:
        reader.refuse(f"num_cat={number}", "0 to 1000000")
    offsets = reader.array("cat_boundaries", np.int64, number + 1)
    if offsets[0] != 0 or (np.diff(offsets) < 1).any():
        reader.refuse("cat_boundaries do not ascend from 0", "where each set of categories begins")
    words = reader.array("cat_threshold", np.int64, int(offsets[-1]))
    if ((words < 0) | (words >= 2**32)).any():
        reader.refuse("cat_threshold holds something that is no word of 32 bits", "0 to 4294967295")
    return offsets, words.astype(np.uint32)


def _depth(reader: _Reader, left: Offsets, right: Offsets) -> int:
    """Return the depth of the deepest leaf; refuse children that do not make one tree of all nodes."""
    splits = len(left)
    seen: set[int] = set()
    # No recursion: a tree may be as deep as it has splits.
    stack, deepest = [(0, 0)], 0
    while stack:
        node, depth = stack.pop()
        # A child that is its own ancestor would be walked forever.
        if node in seen or not -splits - 1 <= node < splits:
            reader.refuse(f"child {node} is out of range or has two parents", "a tree")
        seen.add(node)
        deepest = max(deepest, depth)
        if node >= 0:
            stack += [(int(left[node]), depth + 1), (int(right[node]), depth + 1)]
    if len(seen) != 2 * splits + 1:
        reader.refuse(f"{len(seen)} of {2 * splits + 1} nodes can be reached", "all")
    return deepest
