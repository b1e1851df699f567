"""Reads the text in which LightGBM 4 saves a model, and believes none of it before it is checked.

LightGBM itself ends the process on a truncated text; this reader raises `ArtifactError` instead, naming the
tree and the key. It takes what a ranker needs, numerical splits and constant leaves, and refuses the rest
(categorical splits, linear leaves, several classes, random forests) rather than score it wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from engine.arrays import Floats, Offsets
from engine.errors import ArtifactError

_CATEGORICAL, _DEFAULT_LEFT = 1, 2  # bits of LightGBM's decision_type; the two after them are `Tree.missing`


@dataclass(frozen=True)
class Tree:
    """One tree: `leaves - 1` splits and their leaves. A child `>= 0` is a split, `~child` a leaf."""

    feature: Offsets
    threshold: Floats
    default_left: npt.NDArray[np.bool_]
    missing: Offsets  # 0 = none (NaN is 0), 1 = zero and NaN are missing, 2 = NaN is missing
    left: Offsets
    right: Offsets
    leaf_value: Floats
    depth: int
    """Steps from the root to the deepest leaf."""


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
    if "average_output" in header.values:
        header.refuse("a random forest (average_output)", "boosted trees")
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
    if reader.number("num_cat") != 0:
        reader.refuse("it has categorical splits", "numerical splits only (num_cat=0)")
    if reader.number("is_linear", 0) != 0:
        reader.refuse("it has linear leaves", "constant leaves (is_linear=0)")
    leaves = reader.number("num_leaves")
    if not 1 <= leaves <= 1_000_000:
        reader.refuse(f"num_leaves={leaves}", "1 to 1000000")
    splits = leaves - 1
    if splits == 0:
        none = np.empty(0, dtype=np.int64)
        value = reader.array("leaf_value", np.float64, 1)
        return Tree(none, np.empty(0), none.astype(bool), none, none, none, value, 0)
    kinds = reader.array("decision_type", np.int64, splits)
    if ((kinds & _CATEGORICAL) != 0).any() or ((kinds < 0) | (kinds >> 2 > 2)).any():
        reader.refuse("decision_type has a kind of split that is not numerical", "0 to 10, even")
    feature = reader.array("split_feature", np.int64, splits)
    if ((feature < 0) | (feature >= features)).any():
        reader.refuse("split_feature names a feature that is not there", f"0 to {features - 1}")
    left, right = (reader.array(key, np.int64, splits) for key in ("left_child", "right_child"))
    return Tree(
        feature=feature,
        threshold=reader.array("threshold", np.float64, splits),
        default_left=(kinds & _DEFAULT_LEFT) != 0,
        missing=kinds >> 2,
        left=left,
        right=right,
        leaf_value=reader.array("leaf_value", np.float64, leaves),
        depth=_depth(reader, left, right),
    )


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
