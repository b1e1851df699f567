"""What the functions of a published version are, and their trees as text."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import WrongArgument
from tasks.store.records import Record

if TYPE_CHECKING:
    from engine.functions.load import Function
    from engine.functions.schema import FunctionNode, TreesNode
    from engine.node_schema import ScoringRankerNode
    from engine.ranking import Engine
    from engine.tree_text import Tree

MOST_TEXTS = 5
"""Texts of a categorical split that are shown."""
_ZERO_IS_MISSING, _NO_MISSING = 1, 0  # kinds of `Tree.missing`


class ShownTrees(Record):
    """The first trees of a file of trees.

    Attributes:
        population: whose ranker it is.
        artifact: the file; a blend has several.
        count: all trees of the file.
        trees: each as text, a line for each split and each leaf; a leaf's value is what it adds to the score.
    """

    population: str
    artifact: str
    count: int
    trees: tuple[str, ...]


def describe(function: Function) -> str:
    """Say what computes the scores."""
    from engine.functions.load import Blend
    from engine.trees import Trees

    if isinstance(function, Blend):
        return "blend of " + " and ".join(f"{part.weight:.3g} × {describe(part.function)}" for part in function.of)
    if not isinstance(function, Trees):
        return type(function).__name__
    forest = function.forest
    leaves = [(high - low + 1) // 2 for low, high in itertools.pairwise(forest.roots.tolist())]
    depth = int(forest.depths.max(initial=0))
    return f"{len(leaves):,} trees of at most {max(leaves, default=0):,} leaves, at most {depth} deep"


def shown_trees(engine: Engine, folder: Path, most: int) -> tuple[ShownTrees, ...]:
    """The first trees of every ranker of a version whose files lie in a folder.

    Raises:
        WrongArgument: it has none.
    """
    from engine.tree_text import parse_model

    shown = []
    for population, ranker in rankers_of(engine):
        texts = _texts(engine, ranker)
        for node in _tree_nodes(ranker.scorer.function):
            path = folder / node.artifact
            model = parse_model(path.read_text(encoding="utf-8"), str(path))
            trees = ("\n".join(lines(tree, model.feature_names, texts)) for tree in model.trees[:most])
            shown.append(
                ShownTrees(
                    population=population, artifact=node.artifact, count=len(model.trees), trees=tuple(trees),
                )
            )  # fmt: skip
    if not shown:
        kinds = sorted({ranker.scorer.function.type for _, ranker in rankers_of(engine)})
        raise WrongArgument(f"--trees: the version has no trees; its scores come from {', '.join(kinds)}")
    return tuple(shown)


def rankers_of(engine: Engine) -> Iterator[tuple[str, ScoringRankerNode]]:
    """The rankers of a version by population."""
    from engine.evaluation import EVERYBODY
    from engine.node_schema import PopulationRankerNode

    node = engine.descriptor.ranker
    if not isinstance(node, PopulationRankerNode):
        yield EVERYBODY, node
        return
    for population, ref in node.of.items():
        yield population, engine.descriptor.rankers[ref.target]


def _tree_nodes(node: FunctionNode) -> Iterator[TreesNode]:
    from engine.functions.schema import BlendNode, TreesNode

    if isinstance(node, TreesNode):
        yield node
    for part in node.of if isinstance(node, BlendNode) else ():
        yield from _tree_nodes(part.function)


def _texts(engine: Engine, ranker: ScoringRankerNode) -> dict[str, list[str]]:
    """The texts of each categorical feature; a code is a place among them."""
    from engine.node_schema import CategoryNode, RequestCategoryNode

    return {
        feature.name: list(engine.wiring.categories(feature.categories_artifact, feature.name).codes)
        for feature in ranker.scorer.features
        if isinstance(feature, CategoryNode | RequestCategoryNode)
    }


def lines(tree: Tree, names: tuple[str, ...], texts: dict[str, list[str]]) -> Iterator[str]:
    """Yield a line for each split and each leaf, from the root down.

    Args:
        tree: one tree.
        names: of the features.
        texts: of categorical features, by code.
    """
    # No recursion: a tree may be as deep as it has splits.
    stack = [(0 if len(tree.feature) else ~0, "", "")]
    while stack:
        node, lead, below = stack.pop()
        if node < 0:
            yield f"{lead}{tree.leaf_value[~node]:+.4g}"
            continue
        yield lead + _split(tree, node, names[tree.feature[node]], texts)
        stack.append((int(tree.right[node]), f"{below}└─ no: ", f"{below}   "))
        stack.append((int(tree.left[node]), f"{below}├─ yes: ", f"{below}│  "))


def _split(tree: Tree, node: int, name: str, texts: dict[str, list[str]]) -> str:
    if tree.sets[node] >= 0:
        return f"{name} is {_set(tree, int(tree.sets[node]), texts.get(name, []))}? (missing: no)"
    threshold, missing = float(tree.threshold[node]), int(tree.missing[node])
    # Where nothing is missing, LightGBM takes NaN for 0.
    left = threshold >= 0.0 if missing == _NO_MISSING else bool(tree.default_left[node])
    what = "missing or 0" if missing == _ZERO_IS_MISSING else "missing"
    return f"{name} <= {threshold:.6g}? ({what}: {'yes' if left else 'no'})"


def _set(tree: Tree, number: int, texts: list[str]) -> str:
    words = tree.words[tree.set_offsets[number] : tree.set_offsets[number + 1]].tolist()
    codes = [32 * place + bit for place, word in enumerate(words) for bit in range(32) if word >> bit & 1]
    shown = [repr(texts[code]) if code < len(texts) else f"code {code}" for code in codes[:MOST_TEXTS]]
    more = f" or {len(codes) - MOST_TEXTS:,} others" if len(codes) > MOST_TEXTS else ""
    return " or ".join(shown) + more
