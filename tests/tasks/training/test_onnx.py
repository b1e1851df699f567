"""Models of other libraries: what their program gets, and which models are refused before they are evaluated."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from tasks.errors import SpecError, TrainingError
from tasks.runs.made_by import MadeBy, changed_since
from tasks.spec.learner_files import learner_files, learner_problems
from tasks.store.files import sha256_file, write_json
from tasks.training.learners.onnx import require_unseen, train
from tests.onnx_models import constant, linear, model_of, save
from tests.tasks.handmade import examples, group, spec_of

FEATURES = ["item_actions_28d", "user_tenure_days"]
TABLE = examples(
    *(
        group(f"g{n:03}", f"u{n}", [0, 1, 0, 2], item_actions_28d=[n, n + 1, 3, 9], user_tenure_days=[1, 2, 3, n])
        for n in range(40)
    )
)
PROGRAM: dict[str, Any] = {"command": ["python", "main.py"], "code": "mine", "settings": {"hidden": 8}}


@pytest.fixture
def learners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project" / "learners"
    shutil.copytree(Path(__file__).parents[2] / "learners", folder)
    (folder / "mine").mkdir()
    monkeypatch.setenv("MATINEE_PROJECT", str(tmp_path / "project"))
    return folder


def ranker(**more: Any) -> dict[str, Any]:
    return {"type": "onnx", **more}


def given(path: Path, **more: Any) -> dict[str, Any]:
    return ranker(file={"path": path.name, "sha256": sha256_file(path), "until": "2026-01-20", **more})


def train_with(settings: dict[str, Any]) -> Any:
    spec = spec_of(ranker=settings, features=FEATURES)
    return train(TABLE, spec, spec.ranker)


def test_a_program_gets_the_examples_and_says_nothing_of_where_it_ran(learners: Path) -> None:
    (learners / "mine" / "main.py").write_text(
        "import json, shutil, sys\njob = json.load(open(sys.argv[1]))\n"
        "shutil.copy(sys.argv[1], 'seen.json')\nshutil.copy(job['examples'], 'seen.parquet')\n"
        "shutil.copy('given.onnx', job['model'])\n"
    )
    save(linear([1.0, 2.0], FEATURES), learners / "mine" / "given.onnx")
    trained = train_with(ranker(train=PROGRAM, seed=7))
    job = json.loads((learners / "mine" / "seen.json").read_text())

    assert (job["seed"], job["settings"], job["features"]) == (7, {"hidden": 8}, FEATURES)
    assert (job["label"], job["group"], job["weight"]) == ("grade", "group_id", "weight")
    assert job["gains"][:3] == [0.0, 1.0, 2.0]
    assert trained.scorer().predict(np.array([[1.0, 2.0]], np.float32)).tolist() == [5.0]
    assert trained.importance()["item_actions_28d"] > 0


def test_a_program_that_leaves_no_model_is_refused(learners: Path) -> None:
    (learners / "mine" / "main.py").write_text("")
    with pytest.raises(TrainingError, match="learners/mine: ended without a model; expected the file that `model`"):
        train_with(ranker(train=PROGRAM))
    (learners / "mine" / "main.py").write_text(
        "import json, os, sys\nos.symlink('/etc/passwd', json.load(open(sys.argv[1]))['model'])"
    )
    with pytest.raises(TrainingError, match="ended without a model"):
        train_with(ranker(train=PROGRAM))


def beside() -> onnx.ModelProto:
    """Scores a row by its distance from the mean of all rows."""
    nodes = [
        helper.make_node("IsNaN", ["x"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "x"], ["given"]),
        helper.make_node("ReduceMean", ["given", "rows"], ["mean"]),
        helper.make_node("Sub", ["given", "mean"], ["apart"]),
        helper.make_node("ReduceSum", ["apart", "columns"], ["y"]),
    ]
    constants = [constant("zero", 0.0), constant("rows", [0], np.int64), constant("columns", [1], np.int64)]
    return model_of(nodes, constants, names=FEATURES, input_shape=("rows", 2))


def no_number() -> onnx.ModelProto:
    """Lets missing features through."""
    weights = [constant("w", [[1.0], [1.0]])]
    return model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], weights, names=FEATURES, input_shape=("rows", 2))


def external() -> onnx.ModelProto:
    model = linear([1.0, 2.0], FEATURES)
    onnx.external_data_helper.set_external_data(model.graph.initializer[1], "../../etc/passwd")
    return model


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (beside(), "the score of an example depends on those beside it"),
        (no_number(), r"gives the score nan for the features \[nan, nan\]; expected finite numbers, also where"),
        (external(), "the tensor 'w' lies in another file"),
        (linear([1.0, 2.0], FEATURES[::-1]), "trained on user_tenure_days, item_actions_28d; the descriptor computes"),
        (linear([1.0], FEATURES[:1]), r"the input 'x' is float32 \[rows, 1\]; expected float32 \[rows, 2\]"),
    ],
)
def test_models_that_cannot_be_served_are_refused(learners: Path, model: onnx.ModelProto, text: str) -> None:
    path = save(model, learners / "given.onnx")
    with pytest.raises(TrainingError, match=text):
        train_with(given(path))


def test_another_file_than_the_pipeline_names_is_refused(learners: Path) -> None:
    path = save(linear([1.0, 2.0], FEATURES), learners / "given.onnx")
    assert train_with(given(path)).scorer().predict(np.ones((1, 2), np.float32)).tolist() == [3.0]
    with pytest.raises(TrainingError, match=r"given\.onnx: sha256 .*, expected 000.*: another model than"):
        train_with(given(path, sha256="0" * 64))


def test_a_model_that_has_seen_the_test_window_is_refused(learners: Path) -> None:
    path = save(linear([1.0, 2.0], FEATURES), learners / "given.onnx")
    spec = spec_of(ranker=given(path), features=FEATURES)
    require_unseen(spec.ranker, date(2026, 1, 20))
    blend = spec_of(ranker={"type": "blend", "of": [given(path), {"type": "linear"}]}, features=FEATURES)
    for settings in (spec.ranker, blend.ranker):
        with pytest.raises(TrainingError, match="trained on data up to 2026-01-20, and the test window begins with"):
            require_unseen(settings, date(2026, 1, 19))


def test_a_version_is_named_by_the_files_of_its_programs(learners: Path, tmp_path: Path) -> None:
    (learners / "mine" / "main.py").write_text("1")
    (learners / "mine" / "__pycache__").mkdir()
    (learners / "mine" / "__pycache__" / "main.pyc").write_text("x")
    spec = spec_of(ranker=ranker(train=PROGRAM), features=FEATURES)
    before = MadeBy.now(spec)
    assert list(learner_files(spec)) == ["mine/main.py"]
    assert learner_files(spec_of(features=FEATURES)) == {}
    assert "learners" not in MadeBy.now(spec_of(features=FEATURES)).to_json()

    (tmp_path / "step").mkdir()
    write_json(tmp_path / "step" / "made_by.json", before.to_json())
    (learners / "mine" / "main.py").write_text("2")
    assert changed_since(tmp_path / "step", MadeBy.now(spec)) == ("learners/mine/main.py",)


def test_programs_are_files_of_the_project(learners: Path) -> None:
    spec = spec_of(ranker=ranker(train=PROGRAM), features=FEATURES)
    assert list(learner_problems(spec)) == []
    (learners / "mine" / "main.py").symlink_to("/etc/passwd")
    with pytest.raises(SpecError, match=r"main\.py: a link; expected files"):
        learner_files(spec)
    shutil.rmtree(learners / "mine")
    ((place, text),) = learner_problems(spec)
    assert place == ("ranker", "train", "code")
    assert "no such folder; expected the program that `code: mine` names" in text
