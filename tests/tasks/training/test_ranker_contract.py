"""What every ranker of the registry keeps: one test for all of them, with each loss, boosting and composition."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest

from engine.functions.load import load_function
from engine.functions.schema import FunctionNode
from engine.node_schema import FeatureScorerNode
from tasks.errors import TrainingError
from tasks.examples.arrays import matrix
from tasks.spec.rankers import BlendRanker, LightGBM, Ranker
from tasks.spec.spec import Spec
from tasks.training.learners.blend import TrainedBlend
from tasks.training.learners.lightgbm import TrainedTrees
from tasks.training.learners.protocol import TrainedRanker
from tasks.training.measure import mean_and_error
from tasks.training.models import FUNCTION_FILE, save_model
from tasks.training.rankers import RANKERS, loss, settle, train_ranker
from tests.onnx_models import linear
from tests.tasks.handmade import examples, group, spec_of

CLUE, HINT, NOISE = "item_actions_28d", "user_item_actions_28d", "user_tenure_days"
FEATURES = [CLUE, HINT, NOISE]
TREES: dict[str, Any] = {"type": "lightgbm", "rounds": 15, "min_data_in_leaf": 5, "num_leaves": 7}
OBJECTIVES = get_args(LightGBM.model_fields["objective"].annotation)
PROGRAM: dict[str, Any] = {"command": ["python", "fit.py"], "code": "least_squares"}
GIVEN = linear([1.0, 0.3, 0.0], FEATURES).SerializeToString()
SHA = hashlib.sha256(GIVEN).hexdigest()
CASES: dict[str, dict[str, Any]] = {
    **{name: {**TREES, "objective": name} for name in OBJECTIVES},
    "dart": {**TREES, "boosting": "dart"},
    "random forest": {**TREES, "boosting": "rf", "bagging_fraction": 0.6},
    "regression forest": {**TREES, "objective": "regression", "boosting": "rf", "bagging_fraction": 0.6},
    "early stopping": {**TREES, "early_stopping": 4},
    "ridge": {"type": "linear", "loss": "squared"},
    "least squares": {"type": "linear", "l2": 0.0},
    "elastic net": {"type": "linear", "l1": 0.01, "l2": 0.01},
    "logistic": {"type": "linear", "loss": "logistic"},
    "logistic elastic net": {"type": "linear", "loss": "logistic", "l1": 0.005},
    "bagged trees": {**TREES, "bagging_fraction": 0.7, "seeds": 3},
    "bagged machines": {"type": "fm", "factors": 3, "epochs": 5, "seeds": 2},
    "blend": {"type": "blend", "of": [TREES, {"type": "linear"}]},
    "blend of three": {
        "type": "blend",
        "of": [{**TREES, "early_stopping": 4}, {"type": "linear"}, {"type": "fm", "seeds": 2}],
    },
    "blend by hand": {"type": "blend", "of": [TREES, {"type": "linear"}], "weights": [0.25, 0.75]},
    "pairwise machine": {"type": "fm", "factors": 4},
    "pointwise machine": {"type": "fm", "factors": 4, "loss": "logistic"},
    "a program": {"type": "onnx", "train": PROGRAM},
    "a program with seeds": {"type": "onnx", "train": {**PROGRAM, "settings": {"share": 0.5}}, "seeds": 2},
    "a model from elsewhere": {"type": "onnx", "file": {"path": "given.onnx", "sha256": SHA, "until": "2026-01-01"}},
    "blend with a program": {"type": "blend", "of": [TREES, {"type": "onnx", "train": PROGRAM}]},
}
"""The ranker of a pipeline file, by what is special about it."""


def planted(seed: int, groups: int = 60) -> pa.Table:
    """Grades follow the clue, and a little the hint, which is missing for every fourth item; the third is noise."""
    numbers = np.random.default_rng(seed)
    made = []
    for n in range(groups):
        clue, hint, noise = (numbers.random(10) for _ in range(3))
        order = np.argsort(clue + 0.3 * hint)
        grades = np.zeros(10, dtype=int)
        grades[order[-3:]] = [1, 2, 3]
        given = [None if n % 4 == 0 else float(value) for n, value in enumerate(hint)]
        made.append(
            group(f"g{n:03}", f"u{n}", grades.tolist(), **{CLUE: clue.tolist(), HINT: given, NOISE: noise.tolist()})
        )
    table = examples(*made)
    return table.set_column(table.column_names.index(HINT), HINT, table[HINT].cast(pa.float32()))


WINDOWS = {"train": planted(1), "validation": planted(2, 30)}
UNSEEN = planted(3, 40)


@pytest.fixture(autouse=True)
def project(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project with a program that trains, and with a model that is there already."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(Path(__file__).parents[2] / "learners", folder / "learners")
    (folder / "learners" / "given.onnx").write_bytes(GIVEN)
    monkeypatch.setenv("MATINEE_PROJECT", str(folder))


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def spec(request: pytest.FixtureRequest) -> Spec:
    return spec_of(ranker=request.param, features=FEATURES)


def trained(spec: Spec) -> TrainedRanker:
    return train_ranker(WINDOWS["train"], spec, settle(spec, spec.ranker, WINDOWS.__getitem__).settings)


def written(model: TrainedRanker, folder: Path) -> dict[str, bytes]:
    """The files of a saved model."""
    save_model(model, folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def ndcg(scores: Any) -> float:
    return mean_and_error("ndcg", scores, UNSEEN)[0]


def test_it_finds_what_was_planted(spec: Spec) -> None:
    model = trained(spec)
    scores = model.scorer().predict(matrix(UNSEEN, FEATURES))

    chance = ndcg(np.random.default_rng(0).random(UNSEEN.num_rows))
    assert ndcg(scores) > chance + 0.75 * (1 - chance)
    importance = model.importance()
    assert list(importance) == FEATURES
    assert importance[CLUE] > 4 * importance[NOISE] >= 0


def test_equal_examples_give_equal_bytes_for_any_number_of_threads(
    spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for n, threads in enumerate(("1", "2", "2")):
        monkeypatch.setenv("MATINEE_THREADS", threads)
        monkeypatch.setattr("os.cpu_count", lambda: 2)
        files.append(written(trained(spec), tmp_path / str(n)))
    assert files[0] == files[1] == files[2]
    assert all(b"num_threads" not in content for content in files[0].values())


def test_settings_that_are_settled_give_the_same_model_and_stay_as_they_are(spec: Spec, tmp_path: Path) -> None:
    first = settle(spec, spec.ranker, WINDOWS.__getitem__).settings
    again = Spec.model_validate({**spec.canonical(), "ranker": first.model_dump(mode="json")})

    assert settle(again, again.ranker, WINDOWS.__getitem__).settings == first
    assert written(trained(again), tmp_path / "again") == written(trained(spec), tmp_path / "first")


def test_the_engine_scores_as_the_learner_does_one_row_as_many(spec: Spec, tmp_path: Path) -> None:
    model = trained(spec)
    save_model(model, tmp_path / "model")
    node = scorer_node((tmp_path / "model" / FUNCTION_FILE).read_text())
    features = matrix(UNSEEN, FEATURES)

    function = load_function(node, tmp_path / "model", FEATURES)

    many = function.predict(features)
    assert np.isfinite(many).all()
    assert many.tobytes() == model.scorer().predict(features).tobytes()
    assert b"".join(function.predict(row[None]).tobytes() for row in features) == many.tobytes()
    assert function.predict(features[:0]).shape == (0,)


def test_trees_are_scored_as_by_lightgbm_itself(spec: Spec) -> None:
    model, features = trained(spec), matrix(UNSEEN, FEATURES)
    if isinstance(model, TrainedTrees):
        theirs = model.booster.predict(features, raw_score=True, num_threads=1)
        assert np.asarray(theirs).tobytes() == model.scorer().predict(features).tobytes()
    else:
        assert not model.splits() or isinstance(model, TrainedBlend)


def scorer_node(function: str) -> FunctionNode:
    """Read the function as a descriptor has it."""
    lookup = {"type": "Lookup", "entity": "item", "default": None, "artifact": "x"}
    features = [{**lookup, "name": name} for name in FEATURES]
    return FeatureScorerNode.model_validate({"features": features, "function": json.loads(function)}).function


def test_missing_values_are_scored(spec: Spec) -> None:
    nothing = np.full((3, len(FEATURES)), np.nan, dtype=np.float32)
    assert np.isfinite(trained(spec).scorer().predict(nothing)).all()


def test_examples_of_one_grade_are_refused(spec: Spec) -> None:
    table = WINDOWS["train"]
    flat = table.set_column(table.column_names.index("grade"), "grade", pa.array([1] * table.num_rows, pa.int8()))
    settings = settle(spec, spec.ranker, WINDOWS.__getitem__).settings
    with pytest.raises(TrainingError, match="single-class label: all 600 examples have the grade 1"):
        train_ranker(flat, spec, settings)


def test_the_descriptor_says_what_was_minimized(spec: Spec) -> None:
    assert loss(spec, spec.ranker)


def test_every_ranker_has_cases() -> None:
    assert {case["type"] for case in CASES.values()} == {*RANKERS, "blend"}
    assert {*(ranker.settings for ranker in RANKERS.values()), BlendRanker} == {*get_args(get_args(Ranker)[0])}


@pytest.mark.parametrize(
    ("type_", "key"), [("lightgbm", "objective"), ("lightgbm", "boosting"), ("linear", "loss"), ("fm", "loss")]
)
def test_every_kind_of_a_ranker_has_a_case(type_: str, key: str) -> None:
    field = RANKERS[type_].settings.model_fields[key]
    kinds = {case.get(key, field.default) for case in CASES.values() if case["type"] == type_}
    assert kinds == set(get_args(field.annotation))
