"""Scores boosted trees exactly as LightGBM does (`predict(raw_score=True)`), in a quarter of its time.

The order of the additions is LightGBM's, so the sums have the same bits. The speed comes from walking many
rows down one tree in step, one vectorised gather and compare per level: leaves are their own children, so no
row needs a branch, and missing values are made to compare as they should beforehand. Categorical splits look a code
up in a set of bits instead; only trees that have some pay for that.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.arrays import Bools, Floats, Offsets, Scores, kernel
from engine.errors import ArtifactError, RequestError
from engine.tree_text import Model, Tree, parse_model

_BLOCK = 256  # rows walked together: 30 columns of them are 60 kB, which stays in the second-level cache
_ZERO = 1.0000000180025095e-35  # LightGBM's kZeroThreshold (1e-35f): what its matrix predictor takes for zero

_CODES = 3  # beside LightGBM's kinds of missing: the column holds codes, -1 = missing
_CODE_LIMIT = 2.0**31  # beyond, LightGBM's cast to int is undefined; x86 makes it negative, thus missing

Nodes = npt.NDArray[np.uint32]


class Forest(NamedTuple):
    """The arrays of all trees: tree `t` owns nodes `roots[t]:roots[t+1]`; children are counted from its root."""

    plan: Offsets
    """One row (feature, missing kind or `_CODES`, default left) per column that splits compare."""
    column: Nodes
    threshold: Floats
    child: Nodes
    """Left and right of node `n` at `2n` and `2n + 1`."""
    value: Floats
    roots: Offsets
    depths: Offsets
    first: Offsets
    """The first of the words of the node's set of categories, -1 of every other node."""
    size: Offsets
    """How many words that set has."""
    words: Nodes
    categorical: Bools
    """Which trees have a categorical split."""


@kernel
def _fill(columns: Floats, matrix: Scores, start: int, rows: int, plan: Offsets) -> None:
    """Write the columns the splits compare.

    `not (x <= threshold)` means right: where missing goes left it becomes −∞, where right NaN, else it is 0.
    """
    for column in range(len(plan)):
        feature, missing, left = plan[column, 0], plan[column, 1], plan[column, 2]
        side = -np.inf if left else np.nan
        for row in range(rows):
            value = float(matrix[start + row, feature])
            undefined, zero = value != value, abs(value) <= _ZERO
            if missing == _CODES:
                # Cut towards zero first: LightGBM takes -0.5 for category 0.
                whole = np.trunc(value)
                value = whole if 0 <= whole < _CODE_LIMIT else -1.0
            elif (missing == 2 and undefined) or (missing == 1 and (undefined or zero)):
                value = side
            elif undefined or zero:
                value = 0.0
            columns[column, row] = value


@kernel
def _walk(node: Nodes, depth: int, columns: Floats, column: Nodes, threshold: Floats, child: Nodes) -> None:
    for _ in range(depth):
        for row in range(len(node)):
            at = node[row]
            # `not <=` rather than `>`: a NaN goes right.
            node[row] = child[2 * at + np.uint32(not (columns[column[at], row] <= threshold[at]))]


@kernel
def _walk_sets(
    node: Nodes, depth: int, columns: Floats, arrays: tuple[Nodes, Floats, Nodes, Offsets, Offsets], words: Nodes
) -> None:
    """Walk one tree that has categorical splits; `arrays` are column, threshold, child, first and size of its nodes."""
    column, threshold, child, first, size = arrays
    for _ in range(depth):
        for row in range(len(node)):
            at = node[row]
            value = columns[column[at], row]
            right = not (value <= threshold[at])
            if first[at] >= 0:
                code = np.int64(value)
                word = code >> 5
                right = not (code >= 0 and word < size[at] and (words[first[at] + word] >> np.uint32(code & 31)) & 1)
            node[row] = child[2 * at + np.uint32(right)]


@kernel
def _score(matrix: Scores, arrays: tuple[Any, ...], block: int) -> Floats:
    """Sum the leaves of each row's way through all trees; `arrays` are those of a `Forest`, as a plain tuple."""
    forest = Forest(*arrays)
    total = len(matrix)
    scores = np.zeros(total)
    columns = np.empty((len(forest.plan), block))
    node = np.empty(block, dtype=np.uint32)
    for start in range(0, total, block):
        rows = min(block, total - start)
        _fill(columns, matrix, start, rows, forest.plan)
        for tree in range(len(forest.depths)):
            low, high = forest.roots[tree], forest.roots[tree + 1]
            column, threshold = forest.column[low:high], forest.threshold[low:high]
            child, depth = forest.child[2 * low : 2 * high], forest.depths[tree]
            node[:] = 0
            if forest.categorical[tree]:
                sets = (column, threshold, child, forest.first[low:high], forest.size[low:high])
                _walk_sets(node[:rows], depth, columns, sets, forest.words)
            else:
                _walk(node[:rows], depth, columns, column, threshold, child)
            values = forest.value[low:high]
            for row in range(rows):
                scores[start + row] += values[node[row]]  # tree after tree, as LightGBM adds them
    return scores


@dataclass(frozen=True, eq=False)
class Trees:
    """A boosted-tree model as flat arrays; `Trees.load(path).predict(matrix)`."""

    feature_names: tuple[str, ...]
    forest: Forest

    @classmethod
    def load(cls, path: Path) -> Trees:
        """Read the text LightGBM's `save_model` wrote; `ArtifactError` if it is not one or damaged."""
        try:
            text = path.read_bytes().decode("utf-8")
        except FileNotFoundError:
            raise ArtifactError(f"{path}: no such file; expected a LightGBM model text") from None
        except UnicodeDecodeError as error:
            raise ArtifactError(f"{path}: not a text ({error}); expected a LightGBM model") from None
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, source: str = "model text") -> Trees:
        """Build from the text itself."""
        return cls._flatten(parse_model(text, source))

    @classmethod
    def _flatten(cls, model: Model) -> Trees:
        plan: dict[tuple[int, int, int], int] = {}
        columns, thresholds, children, values, roots = [], [], [], [], [0]
        first, size, words = [], [], 0
        for tree in model.trees:
            splits = len(tree.feature)
            leaf = np.zeros(splits + 1)  # whatever a leaf compares, both its children are itself
            columns.append([*(plan.setdefault((*key,), len(plan)) for key in _keys(tree).tolist()), *leaf.astype(int)])
            thresholds.append(np.concatenate([tree.threshold, leaf + np.inf]))
            children.append(_children(tree))
            values.append(np.concatenate([np.zeros(splits), tree.leaf_value]))
            roots.append(roots[-1] + 2 * splits + 1)
            found, number = tree.sets >= 0, np.maximum(tree.sets, 0)
            first.append([*np.where(found, words + np.append(tree.set_offsets, 0)[number], -1), *(leaf - 1)])
            size.append([*np.where(found, np.append(np.diff(tree.set_offsets), 0)[number], 0), *leaf])
            words += len(tree.words)
        if not plan:  # leaves still compare column 0
            plan[(0, 0, 0)] = 0
        forest = Forest(
            plan=np.array(list(plan), dtype=np.int64).reshape(-1, 3),
            column=_joined(columns, np.uint32),
            threshold=_joined(thresholds, np.float64),
            child=_joined(children, np.uint32),
            value=_joined(values, np.float64),
            roots=np.array(roots, dtype=np.int64),
            depths=np.array([tree.depth for tree in model.trees], dtype=np.int64),
            first=_joined(first, np.int64),
            size=_joined(size, np.int64),
            words=_joined([tree.words for tree in model.trees], np.uint32),
            categorical=np.array([(tree.sets >= 0).any() for tree in model.trees], dtype=np.bool_),
        )
        return cls(model.feature_names, forest)

    def predict(self, matrix: npt.NDArray[Any]) -> Floats:
        """Return the raw score of each row of `matrix` (rows × features, float32 or float64, NaN = missing).

        Equal to LightGBM's in every bit, for one row as for many. Raises `RequestError` on another shape.
        """
        self._check(matrix)
        return self._sum(self.forest, matrix)

    def staged(self, matrix: npt.NDArray[Any]) -> Iterator[Floats]:
        """Yield the raw scores that the first tree gives, the first two, and so on; the last are those of `predict`.

        Raises `RequestError` as `predict` does.
        """
        self._check(matrix)
        scores = np.zeros(len(matrix))
        for tree, (low, high) in enumerate(itertools.pairwise(self.forest.roots)):
            alone = Forest(
                plan=self.forest.plan,
                column=self.forest.column[low:high],
                threshold=self.forest.threshold[low:high],
                child=self.forest.child[2 * low : 2 * high],
                value=self.forest.value[low:high],
                roots=np.array([0, high - low], dtype=np.int64),
                depths=self.forest.depths[tree : tree + 1],
                first=self.forest.first[low:high],
                size=self.forest.size[low:high],
                words=self.forest.words,  # `first` counts from the first word of all trees
                categorical=self.forest.categorical[tree : tree + 1],
            )
            # Tree after tree, as `predict` adds them: the same bits.
            scores = scores + self._sum(alone, matrix)
            yield scores

    def _check(self, matrix: npt.NDArray[Any]) -> None:
        if matrix.ndim != 2 or matrix.shape[1] != len(self.feature_names):
            raise RequestError(
                f"features of shape {matrix.shape}; expected rows of {len(self.feature_names)} features: "
                f"{', '.join(self.feature_names)}"
            )
        if matrix.dtype not in (np.float32, np.float64):
            raise RequestError(f"features of type {matrix.dtype}; expected float32 or float64")

    def _sum(self, forest: Forest, matrix: npt.NDArray[Any]) -> Floats:
        block = min(_BLOCK, max(1, len(matrix)))
        # Numba takes a microsecond longer to recognize a NamedTuple: 7 % of the time of one row.
        scores: Floats = _score(np.ascontiguousarray(matrix), tuple(forest), block)
        return scores


def _keys(tree: Tree) -> Offsets:
    """Return the column that each split compares, as a row of `Forest.plan`."""
    missing = np.where(tree.sets >= 0, _CODES, tree.missing)
    # The default side means nothing where nothing is missing: without it, fewer columns are filled.
    left = tree.default_left & (missing > 0) & (missing != _CODES)
    return np.column_stack([tree.feature, missing, left])


def _children(tree: Tree) -> Nodes:
    """Return left, right of each node: splits first, then leaves, which are their own children."""
    splits = len(tree.feature)
    both = np.empty((2 * splits + 1, 2), dtype=np.uint32)
    for side, child in enumerate((tree.left, tree.right)):
        both[:splits, side] = np.where(child >= 0, child, splits + ~child)
    both[splits:] = np.arange(splits, 2 * splits + 1)[:, None]
    return both.ravel()


def _joined(parts: list[Any], kind: type[np.generic]) -> npt.NDArray[Any]:
    return np.concatenate([np.asarray(part, dtype=kind) for part in parts] or [np.empty(0, dtype=kind)])
