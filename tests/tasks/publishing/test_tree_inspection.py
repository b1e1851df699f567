"""Trees as text: what a reader follows by hand is what the engine computes."""

from __future__ import annotations

import re
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest

from engine.functions.schema import LinearNode
from engine.ranking import Engine, load
from engine.tree_text import Tree, parse_model
from engine.trees import Trees
from tasks.errors import WrongArgument
from tasks.publishing import tree_inspection
from tasks.publishing.tree_inspection import lines, shown_trees
from tests.engine import tiny

NAMES = ("plays", "category")
TEXTS = ["action", "comedy", "drama"]


@pytest.fixture(scope="module")
def booster() -> lgb.Booster:
    """Trees that split on a number with missing values and on a category."""
    random = np.random.default_rng(0)
    matrix = np.stack([random.normal(size=400), random.integers(0, 3, 400)], axis=1)
    labels = (matrix[:, 0] > 0.3) + 2.0 * (matrix[:, 1] == 1) + random.normal(size=400) / 10
    matrix[::7, 0] = np.nan
    data = lgb.Dataset(matrix, labels, feature_name=list(NAMES), categorical_feature=["category"])
    settings = {"objective": "regression", "num_leaves": 5, "verbosity": -1, "min_data_per_group": 1, "num_threads": 1}
    return lgb.train({**settings, "cat_smooth": 1.0}, data, num_boost_round=4)


def followed(text: str, row: dict[str, float | str | None]) -> float:
    """Walk down a tree as a reader does."""
    shown = text.splitlines()
    at, depth = 0, 0
    while (split := re.search(r"(\w+) (<= (\S+)|is (.+))\? \(missing: (yes|no)\)$", shown[at])) is not None:
        value = row[split[1]]
        if value is None:
            answer = split[5]
        elif split[3] is not None:
            answer = "yes" if float(value) <= float(split[3]) else "no"
        else:
            answer = "yes" if repr(value) in split[4].split(" or ") else "no"
        mark = {"yes": "├─ yes: ", "no": "└─ no: "}[answer]
        at = next(n for n in range(at + 1, len(shown)) if shown[n].find(mark) == 3 * depth)
        depth += 1
    return float(shown[at].rpartition(" ")[2])


def test_a_reader_comes_to_the_score(booster: lgb.Booster) -> None:
    text = booster.model_to_string()
    trees = ["\n".join(lines(tree, NAMES, {"category": TEXTS})) for tree in parse_model(text, "trees").trees]
    rows: list[tuple[float | None, int]] = [(None, 0), (-1.5, 1), (0.1, 2), (0.9, 1), (2.0, 0), (None, 1)]
    matrix = np.array([[np.nan if plays is None else plays, category] for plays, category in rows])
    scores = Trees.parse(text).predict(matrix)
    for (plays, category), score in zip(rows, scores, strict=True):
        row: dict[str, float | str | None] = {"plays": plays, "category": TEXTS[category]}
        assert sum(followed(tree, row) for tree in trees) == pytest.approx(score, abs=1e-3)  # values have four digits


def test_many_categories_are_cut_off_and_codes_without_a_text_are_named_as_such() -> None:
    bits = sum(1 << code for code in (0, 2, 3, 4, 5, 6, 31))
    one = np.array([0])
    tree = Tree(
        feature=one, threshold=np.zeros(1), default_left=np.array([False]), missing=one, left=np.array([~0]),
        right=np.array([~1]), leaf_value=np.array([0.5, -1.0]), depth=1, sets=one, set_offsets=np.array([0, 1]),
        words=np.array([bits], dtype=np.uint32),
    )  # fmt: skip
    assert list(lines(tree, ("category",), {"category": TEXTS})) == [
        "category is 'action' or 'drama' or code 3 or code 4 or code 5 or 2 others? (missing: no)",
        "├─ yes: +0.5",
        "└─ no: -1",
    ]


@pytest.mark.parametrize(
    ("missing", "threshold", "default_left", "said"),
    [
        (0, 0.5, False, "plays <= 0.5? (missing: yes)"),
        (0, -0.5, True, "plays <= -0.5? (missing: no)"),
        (1, 0.5, False, "plays <= 0.5? (missing or 0: no)"),
        (2, -0.5, True, "plays <= -0.5? (missing: yes)"),
    ],
)
def test_missing_values_go_where_the_engine_sends_them(
    missing: int, threshold: float, default_left: bool, said: str
) -> None:
    zero, none = np.array([0]), np.zeros(0, dtype=np.uint32)
    tree = Tree(
        feature=zero, threshold=np.array([threshold]), default_left=np.array([default_left]),
        missing=np.array([missing]), left=np.array([~0]), right=np.array([~1]), leaf_value=np.array([1.0, 2.0]),
        depth=1, sets=np.array([-1]), set_offsets=np.zeros(1, dtype=np.int64), words=none,
    )  # fmt: skip
    assert next(lines(tree, ("plays",), {})) == said


def test_only_the_first_trees_of_each_model_are_shown(tmp_path: Path) -> None:
    folder = tiny.publish(tmp_path / "v")
    (shown,) = shown_trees(load(folder), folder, 2)
    assert (shown.population, shown.artifact, shown.count, len(shown.trees)) == ("*", "trees.txt", 10, 2)


def test_a_version_without_trees_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.publish(tmp_path / "v")
    engine: Engine = load(folder)
    ranker = next(ranker for name, ranker in tree_inspection.rankers_of(engine) if name == "BR")
    assert isinstance(ranker.scorer.function, LinearNode)
    monkeypatch.setattr(tree_inspection, "rankers_of", lambda _: [("BR", ranker)])
    with pytest.raises(WrongArgument, match="--trees: the version has no trees; its scores come from Linear"):
        shown_trees(engine, folder, 1)
