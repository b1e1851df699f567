"""Trees score as LightGBM does, to the last bit, and refuse what they cannot score."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ArtifactError, RequestError
from engine.trees import Trees


def trained(seed: int = 0, features: int = 4, rounds: int = 12, **parameters: Any) -> tuple[lgb.Booster, Any]:
    """Return a small model and a matrix full of NaNs, zeros and infinities."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(400, features)).round(1)
    matrix[random.random(matrix.shape) < 0.2] = np.nan
    matrix[random.random(matrix.shape) < 0.2] = 0.0
    target = np.nan_to_num(matrix[:, 0], nan=2.0) + np.isnan(matrix[:, 1]) + random.normal(0, 0.1, 400)
    settings = {
        "objective": "regression",
        "num_leaves": 15,
        "min_data_in_leaf": 3,
        "verbose": -1,
        "num_threads": 1,
        "seed": seed,
        **parameters,
    }
    model = lgb.train(settings, lgb.Dataset(matrix, target), rounds)
    extremes = np.array([np.inf, -np.inf, 1e-36, -1e-35, 1e-34, 1e308, np.nan, 0.0])
    probe = np.vstack([matrix, random.choice(extremes, (60, features))])
    return model, probe


def assert_equal_bits(model: lgb.Booster, probe: Any) -> None:
    trees = Trees.parse(model.model_to_string())
    for kind in (np.float64, np.float32):
        given = probe.astype(kind)
        expected = model.predict(given, raw_score=True, num_threads=1)
        np.testing.assert_array_equal(trees.predict(given), expected)


@given(
    seed=st.integers(0, 10_000),
    leaves=st.integers(2, 40),
    zero_as_missing=st.booleans(),
    use_missing=st.booleans(),
    rounds=st.integers(1, 8),
)
@settings(max_examples=25, deadline=None)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_equals_lightgbm(seed: int, leaves: int, zero_as_missing: bool, use_missing: bool, rounds: int) -> None:
    model, probe = trained(
        seed, rounds=rounds, num_leaves=leaves, zero_as_missing=zero_as_missing, use_missing=use_missing
    )
    assert_equal_bits(model, probe)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_a_random_forest_scores_with_the_sum_of_its_trees_as_lightgbm_does() -> None:
    model, probe = trained(boosting="rf", bagging_freq=1, bagging_fraction=0.6)
    assert "average_output" in model.model_to_string()
    assert_equal_bits(model, probe)


@given(seed=st.integers(0, 10_000), rounds=st.integers(1, 8))
@settings(max_examples=15, deadline=None)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_stages_are_the_scores_of_so_many_rounds(seed: int, rounds: int) -> None:
    model, probe = trained(seed, rounds=rounds)
    trees = Trees.parse(model.model_to_string())

    stages = list(trees.staged(probe))

    assert len(stages) == rounds
    for number, scores in enumerate(stages, 1):
        expected = model.predict(probe, raw_score=True, num_iteration=number, num_threads=1)
        np.testing.assert_array_equal(scores, expected)
    np.testing.assert_array_equal(stages[-1], trees.predict(probe))


def test_stages_refuse_a_matrix_of_another_shape() -> None:
    model, probe = trained()

    with pytest.raises(RequestError, match="expected rows of 4 features"):
        next(Trees.parse(model.model_to_string()).staged(probe[:, :2]))


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_equals_lightgbm_for_a_ranker() -> None:
    random = np.random.default_rng(1)
    matrix = random.normal(size=(600, 5))
    matrix[matrix > 1.5] = np.nan
    grades = random.integers(0, 4, 600)
    model = lgb.train(
        {"objective": "lambdarank", "verbose": -1, "num_threads": 1, "num_leaves": 63, "min_data_in_leaf": 2},
        lgb.Dataset(matrix, grades, group=[20] * 30),
        30,
    )
    assert_equal_bits(model, matrix)


def trained_on_categories(seed: int, kinds: int = 70, rounds: int = 6, **parameters: Any) -> tuple[lgb.Booster, Any]:
    """Return a model with a categorical column 0 and 1, and rows with codes that are rare, unseen, negative or none."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(900, 4)).round(1)
    matrix[:, 0] = random.integers(0, kinds, 900)
    matrix[:, 1] = random.integers(0, 3, 900)
    matrix[random.random(matrix.shape) < 0.1] = np.nan
    effect = random.normal(size=kinds + 1)
    target = effect[np.nan_to_num(matrix[:, 0], nan=kinds).astype(int)] + np.nan_to_num(matrix[:, 2]) + matrix[:, 1]
    target = np.nan_to_num(target) + random.normal(0, 0.1, 900)
    settings = {
        "objective": "regression", "num_leaves": 12, "min_data_in_leaf": 2, "min_data_per_group": 2, "cat_smooth": 1,
        "verbose": -1, "num_threads": 1, "seed": seed, **parameters,
    }  # fmt: skip
    data = lgb.Dataset(matrix, target, categorical_feature=[0, 1])
    probe = matrix.copy()
    strange = np.array([kinds, kinds + 40, 31, 32, 63, 64, -1, -0.5, -3, 0.5, 1e-36, 1e6, 2e9, 3e9, np.inf, np.nan])
    probe[: len(strange), 0] = strange
    probe[len(strange) : 2 * len(strange), 1] = strange
    return lgb.train(settings, data, rounds), probe


@given(seed=st.integers(0, 10_000), kinds=st.sampled_from([2, 5, 33, 70, 300]), one_hot=st.sampled_from([1, 4, 100]))
@settings(max_examples=25, deadline=None)
def test_categorical_splits_equal_lightgbm(seed: int, kinds: int, one_hot: int) -> None:
    model, probe = trained_on_categories(seed, kinds, max_cat_to_onehot=one_hot, max_cat_threshold=64)
    assert "num_cat=0" not in model.model_to_string().partition("Tree=1")[0]
    assert_equal_bits(model, probe)


def test_stages_of_categorical_splits_are_the_scores_of_so_many_rounds() -> None:
    model, probe = trained_on_categories(3)
    trees = Trees.parse(model.model_to_string())
    for number, scores in enumerate(trees.staged(probe), 1):
        np.testing.assert_array_equal(scores, model.predict(probe, raw_score=True, num_iteration=number, num_threads=1))
    np.testing.assert_array_equal(scores, trees.predict(probe))


def test_a_category_that_is_missing_or_was_never_seen_goes_right() -> None:
    model, probe = trained_on_categories(3)
    trees = Trees.parse(model.model_to_string())
    rows = np.repeat(probe[200:201], 5, axis=0)
    rows[:, 0] = [np.nan, -1.0, -7.0, 5000.0, np.inf]
    assert len(set(trees.predict(rows).tolist())) == 1


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("num_cat=", "num_cat=-", "num_cat=-"),
        ("cat_boundaries=0", "cat_boundaries=1", "cat_boundaries do not ascend from 0"),
        ("cat_threshold=", "cat_threshold=-", "no word of 32 bits"),
        ("decision_type=1", "decision_type=13", "a kind of split that is unknown"),
    ],
)
def test_damaged_categories_are_named(old: str, new: str, text: str) -> None:
    model, _ = trained_on_categories(0)
    whole = model.model_to_string()
    assert old in whole
    with pytest.raises(ArtifactError, match=text):
        Trees.parse(whole.replace(old, new, 1))


def test_a_set_of_categories_that_is_not_there_is_named() -> None:
    whole = trained_on_categories(0)[0].model_to_string()
    kinds = re.findall(r"\ndecision_type=(.*)", whole)[0].split()
    (line,) = re.findall(r"\nthreshold=(.*)", whole)[:1]
    words = line.split()
    words[next(n for n, kind in enumerate(kinds) if int(kind) & 1)] = "77"
    with pytest.raises(ArtifactError, match="names a set of categories that is not there; expected 0 to"):
        Trees.parse(whole.replace(line, " ".join(words), 1))


def test_a_model_of_one_leaf_is_its_constant() -> None:
    model = lgb.train(
        {"objective": "regression", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 1000},
        lgb.Dataset(np.ones((50, 2)), np.arange(50.0)),
        3,
    )
    assert_equal_bits(model, np.ones((4, 2)))


def test_one_row_scores_as_among_many() -> None:
    model, probe = trained()
    trees = Trees.parse(model.model_to_string())
    probe = np.vstack([probe, probe])
    many = trees.predict(probe)
    np.testing.assert_array_equal(many, [trees.predict(probe[n : n + 1])[0] for n in range(len(probe))])
    assert trees.predict(probe[:0]).shape == (0,)


def test_saved_models_load(tmp_path: Path) -> None:
    model, probe = trained()
    model.save_model(tmp_path / "trees.txt")
    trees = Trees.load(tmp_path / "trees.txt")
    assert trees.feature_names == ("Column_0", "Column_1", "Column_2", "Column_3")
    np.testing.assert_array_equal(trees.predict(probe), model.predict(probe, raw_score=True))


def test_every_truncation_is_an_error_not_a_crash() -> None:
    model, _ = trained(rounds=3)
    text = model.model_to_string()
    end = text.index("end of trees")
    for cut in range(0, end + len("end of trees"), 23):
        with pytest.raises(ArtifactError):
            Trees.parse(text[:cut])


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_damage_is_an_error_or_harmless(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([DAMAGED, trained_on_categories(0, rounds=2)[0].model_to_string()]))
    at = data.draw(st.integers(0, len(text) - 1))
    put = data.draw(st.sampled_from(["9", "-", " ", "\n", "=", "nan", "99999999999999999999", "x", ""]))
    try:
        trees = Trees.parse(text[:at] + put + text[at + 1 :])
    except ArtifactError:
        return
    assert trees.predict(np.zeros((3, len(trees.feature_names)))).shape == (3,)


DAMAGED = trained(rounds=2)[0].model_to_string()


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("version=v4", "version=v3", "version v4"),
        ("num_class=1", "num_class=3", "several classes"),
        ("num_cat=0", "num_cat=2", "tree 0: no 'cat_boundaries'"),
        ("is_linear=0", "is_linear=1", "tree 0: it has linear leaves"),
        ("left_child=1", "left_child=0", "has two parents"),
        ("num_leaves=15", "num_leaves=14", "has 14 values; expected 13"),
        ("\nend of trees", "\n", "no 'end of trees'"),
    ],
)
def test_what_cannot_be_scored_is_named(old: str, new: str, text: str) -> None:
    assert old in DAMAGED
    with pytest.raises(ArtifactError, match=text):
        Trees.parse(DAMAGED.replace(old, new, 1))


def test_files_that_are_no_models_are_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such file"):
        Trees.load(tmp_path / "absent.txt")
    (tmp_path / "noise.txt").write_bytes(b"\x80\x81")
    with pytest.raises(ArtifactError, match="not a text"):
        Trees.load(tmp_path / "noise.txt")


def test_a_matrix_of_another_shape_is_refused() -> None:
    trees = Trees.parse(DAMAGED)
    with pytest.raises(RequestError, match="expected rows of 4 features"):
        trees.predict(np.zeros((2, 3)))
    with pytest.raises(RequestError, match="float32 or float64"):
        trees.predict(np.zeros((2, 4), dtype=np.int64))
