"""Models of other libraries as rankers: a file of ONNX that is there, or that a program of the project trains."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import TrainingError
from tasks.runs.commands import run_command
from tasks.spec.learner_files import rankers_of_onnx
from tasks.spec.onnx_ranker import OnnxRanker, TrainedByCommand, TrainedElsewhere
from tasks.spec.project import learners
from tasks.spec.rankers import Ranker
from tasks.spec.resolved_features import CategoryFeature
from tasks.store.files import sha256_file, write_json
from tasks.store.settings import training_threads
from tasks.training.learners.labels import highest_grade, label_gain

if TYPE_CHECKING:
    import pyarrow as pa

    from engine.arrays import Singles
    from engine.functions.onnx import OnnxFunction
    from engine.functions.schema import OnnxNode
    from tasks.spec.spec import Spec

MODEL_FILE = "model.onnx"
JOB_FORMAT = "matinee-job/1"


@dataclass(frozen=True)
class TrainedOnnx:
    """A model of another library, as it was checked; `moved` is the importance of its features."""

    content: bytes
    function: OnnxFunction
    moved: dict[str, float]

    def scorer(self) -> OnnxFunction:
        """The function as the engine executes it."""
        return self.function

    def importance(self) -> dict[str, float]:
        """How far a score moves, on average, where the feature is that of another example."""
        return self.moved

    def splits(self) -> dict[str, int]:
        """Nothing: whether there are any is not known."""
        return {}

    def save(self, folder: Path) -> OnnxNode:
        """Write the model."""
        from engine.functions.schema import OnnxNode

        (folder / MODEL_FILE).write_bytes(self.content)
        return OnnxNode(artifact=MODEL_FILE)


def loss(spec: Spec, settings: OnnxRanker) -> str:
    """Say what training minimizes, for the descriptor."""
    del spec
    if settings.file is not None:
        return f"of a model trained elsewhere, on data up to {settings.file.until}"
    return f"that of learners/{settings.train.code}" if settings.train else "none"


def train(table: pa.Table, spec: Spec, settings: OnnxRanker) -> TrainedOnnx:
    """Let the program train a model, or take the one that is there; either is checked.

    Raises:
        TrainingError: all labels are the same, the program fails, or its model is none that we run.
    """
    highest_grade(table)  # raises where there is only one
    if settings.file is not None:
        return checked(_file(settings.file), table, spec)
    if settings.train is None:
        raise TrainingError("neither a file nor a program to train by; expected one of them below `ranker`")
    with tempfile.TemporaryDirectory(prefix="matinee-job-") as name:
        return checked(_trained(table, spec, settings, settings.train, Path(name)), table, spec)


def _file(given: TrainedElsewhere) -> Path:
    path = learners() / given.path
    if not path.is_file():
        raise TrainingError(f"{path}: no such file; expected the model that `file.path` names")
    if (found := sha256_file(path)) != given.sha256:
        raise TrainingError(
            f"{path}: sha256 {found}, expected {given.sha256}: another model than the pipeline file names. Give its "
            "digest and the last day of its data, or restore the file"
        )
    return path


def _trained(table: pa.Table, spec: Spec, settings: OnnxRanker, program: TrainedByCommand, folder: Path) -> Path:
    """Write what the program gets, and run it."""
    import pyarrow.parquet as pq

    job, model = folder / "job.json", folder / MODEL_FILE
    pq.write_table(table, folder / "examples.parquet")
    described: dict[str, Any] = {
        "format": JOB_FORMAT,
        "examples": str(folder / "examples.parquet"),
        "features": list(spec.features),
        "texts": [feature.name for feature in spec.resolved_features if isinstance(feature, CategoryFeature)],
        "group": "group_id",
        "label": "grade",
        "weight": "weight",
        "gains": list(label_gain(spec, highest_grade(table))),
        "metric": spec.gates[0].metric,
        "seed": settings.seed,
        "threads": training_threads(),
        "settings": program.settings,
        "model": str(model),
    }
    write_json(job, described)
    run_command(program, job)
    if model.is_symlink() or not model.is_file():
        raise TrainingError(
            f"learners/{program.code}: ended without a model; expected the file that `model` of its job names"
        )
    return model


def checked(path: Path, table: pa.Table, spec: Spec) -> TrainedOnnx:
    """Check a model on the examples: what it takes, that its scores are finite, and that a row has one of its own.

    Raises:
        TrainingError: it is none that we run.
    """
    import numpy as np

    from engine.errors import EngineError
    from engine.functions.load import load_function
    from engine.functions.onnx import OnnxFunction
    from engine.functions.schema import OnnxNode
    from tasks.examples.arrays import matrix
    from tasks.training.learners.permuted import permuted_importance

    features, names = matrix(table, spec.features), spec.features
    try:
        function = load_function(OnnxNode(artifact=path.name), path.parent, names)
        if not isinstance(function, OnnxFunction):
            raise AssertionError(type(function))
        function.predict(np.full((1, len(names)), np.nan, dtype=np.float32))
        _require_own_scores(function, features)
        return TrainedOnnx(path.read_bytes(), function, permuted_importance(function, features, names))
    except EngineError as error:
        raise TrainingError(str(error)) from None


def _require_own_scores(function: OnnxFunction, features: Singles) -> None:
    """Refuse a model that scores a row by the rows beside it: those in training, in evaluation and in a request differ.

    Raises:
        TrainingError: it does.
    """
    from engine.onnx.session import BLOCK

    some = features[: BLOCK + BLOCK // 2]
    together = function.predict(some)
    alone = [function.predict(row[None])[0] for row in some]
    turned = function.predict(some[::-1])[::-1]
    for scores in (alone, turned):
        if (differing := together != scores).any():
            row = int(differing.nonzero()[0][0])
            raise TrainingError(
                f"{function.model.path}: the score of an example depends on those beside it ({together[row]!r} among "
                f"others, {scores[row]!r} alone or in another order); expected a model that scores each row by itself"
            )


def require_unseen(settings: Ranker, first: date) -> None:
    """Refuse models that were trained on data of the test window: what they are measured on must be new to them.

    Args:
        settings: of the ranker.
        first: cut of the test window.

    Raises:
        TrainingError: one was trained on data after it.
    """
    for part in rankers_of_onnx(settings):
        if part.file is not None and part.file.until > first:
            raise TrainingError(
                f"learners/{part.file.path} was trained on data up to {part.file.until}, and the test window begins "
                f"with the cut {first}: it has seen what it would be measured on. Run a later day, or take a model "
                "that was trained earlier"
            )
