"""Two towers that a program of the project trains: a model of a user's last items, and a vector for each item."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import TrainingError
from tasks.examples.learners.protocol import Arrays, AsOf, RetrievalModel
from tasks.examples.retrieval_models import Past
from tasks.runs.commands import run_command
from tasks.spec.retrievals.onnx import OnnxRetrieval
from tasks.store.files import write_json
from tasks.store.settings import training_threads

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

JOB_FORMAT = "matinee-job/1"
LONGEST_VECTOR = 1_024


@dataclass(frozen=True, eq=False)
class Towers:
    """What a program has trained: ids in ascending order, a vector for each, and the model of users as a file."""

    items: npt.NDArray[np.str_]
    vectors: npt.NDArray[np.float32]
    model: bytes


@dataclass(frozen=True, eq=False)
class Sequences:
    """The items of each user, the oldest first, those of one day by number: user `u` has `offsets[u]:offsets[u+1]`."""

    users: npt.NDArray[np.str_]
    offsets: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    ages: npt.NDArray[np.int64]
    actions: npt.NDArray[np.float64]

    @classmethod
    def of(cls, past: Past, items: npt.NDArray[np.str_]) -> Sequences:
        """Order the past; `items` are those that are numbered, ascending, others are left out."""
        import numpy as np

        at, known = past.places(items)
        rows = np.flatnonzero(known[past.item])
        rows = rows[np.lexsort((past.item[rows], -past.age[rows], past.user[rows]))]
        owners, starts = np.unique(past.user[rows], return_index=True)
        offsets = np.append(starts, len(rows)).astype(np.int64)
        return cls(past.users[owners], offsets, at[past.item[rows]], past.age[rows], past.actions[rows])


def fit_towers(past: Past, part: OnnxRetrieval) -> Towers:
    """Have the program train on the past as of a refit day.

    Raises:
        TrainingError: there is no action to learn from, the program fails, or what it left cannot be served.
    """
    if not len(past.item):
        raise TrainingError("onnx: no action of any user on any item is known yet; start the pipeline later")
    with tempfile.TemporaryDirectory(prefix="matinee-job-") as name:
        folder = Path(name)
        _write_job(past, part, folder)
        run_command(part.train, folder / "job.json")
        return _trained(past, part, folder)


def _write_job(past: Past, part: OnnxRetrieval, folder: Path) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    own = Sequences.of(past, past.items)
    owners = np.repeat(np.arange(len(own.users)), np.diff(own.offsets))
    rows = pa.table({"user": owners, "item": own.items, "age": own.ages, "actions": own.actions})
    pq.write_table(rows, folder / "actions.parquet")
    pq.write_table(pa.table({"item_id": past.items.tolist()}), folder / "items.parquet")
    described = {
        "format": JOB_FORMAT,
        "actions": str(folder / "actions.parquet"),
        "item_ids": str(folder / "items.parquet"),
        "users": len(own.users),
        "items": len(past.items),
        "last": part.last,
        "seed": part.seed,
        "threads": training_threads(),
        "settings": part.train.settings,
        "vectors": str(folder / "vectors.npy"),
        "model": str(folder / "model.onnx"),
    }
    write_json(folder / "job.json", described)


def _trained(past: Past, part: OnnxRetrieval, folder: Path) -> Towers:
    """Read and check what the program left."""
    import numpy as np

    from engine.errors import EngineError
    from engine.onnx.checks import Signature, read_model
    from engine.onnx.proto import INT64
    from engine.onnx.session import BlockModel

    for file in ("vectors.npy", "model.onnx"):
        if (folder / file).is_symlink() or not (folder / file).is_file():
            raise TrainingError(
                f"learners/{part.train.code}: ended without {file}, which its job names; expected a file"
            )
    try:
        vectors = np.load(folder / "vectors.npy", mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise TrainingError(f"learners/{part.train.code}: vectors.npy is no array ({error})") from None
    shape = (len(past.items), vectors.shape[-1] if vectors.ndim else 0)
    if vectors.dtype != np.float32 or vectors.shape != shape or not 0 < shape[1] <= LONGEST_VECTOR:
        raise TrainingError(
            f"learners/{part.train.code}: vectors of {vectors.dtype} and the shape {vectors.shape}; expected float32 "
            f"[{len(past.items)}, at most {LONGEST_VECTOR}]: one for each item"
        )
    if not np.isfinite(vectors).all():
        raise TrainingError(f"learners/{part.train.code}: a vector is not finite; expected numbers")
    try:
        content = read_model(folder / "model.onnx")
        model = BlockModel.of(content, folder / "model.onnx", Signature(INT64, part.last, shape[1]))
        _require_own_vectors(model, len(past.items), part)
    except EngineError as error:
        raise TrainingError(str(error)) from None
    return Towers(past.items, np.array(vectors), content)


def _require_own_vectors(model: object, items: int, part: OnnxRetrieval) -> None:
    """Refuse a model that makes a user's vector of other users beside it, or whose vectors are not finite."""
    import numpy as np

    from engine.onnx.session import BLOCK, BlockModel

    if not isinstance(model, BlockModel):
        raise AssertionError(type(model))
    rows = np.random.default_rng(0).integers(0, items, (BLOCK + BLOCK // 2, part.last))
    lengths = np.arange(len(rows)) % part.last + 1
    rows[np.arange(part.last)[None, :] < part.last - lengths[:, None]] = items  # as `TwoTowers` fills up
    together, turned = model.run(rows), model.run(rows[::-1])[::-1]
    alone = np.concatenate([model.run(row[None]) for row in rows])
    if not np.isfinite(together).all():
        raise TrainingError(f"learners/{part.train.code}: a user's vector is not finite; expected numbers")
    if together.tobytes() != alone.tobytes() or together.tobytes() != turned.tobytes():
        raise TrainingError(
            f"learners/{part.train.code}: a user's vector depends on the users beside it; expected a model that makes "
            "it of the user's own items"
        )


def _arrays(part: OnnxRetrieval, now: AsOf, fitted: Towers) -> Arrays:
    """The last items of each user as of the cut, beside what was trained on the refit day."""
    import numpy as np

    own = Sequences.of(now.past, fitted.items)
    lengths = np.minimum(np.diff(own.offsets), part.last)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    # Place `n` of what is kept is as far from the end of its user's items as it was.
    rows = np.arange(starts[-1]) + np.repeat(own.offsets[1:] - starts[1:], lengths)
    return {
        "user_ids": own.users,
        "item_ids": fitted.items,
        "offsets": starts,
        "items": own.items[rows].astype("i4"),
        "last": np.int64(part.last),
        "item_vectors": fitted.vectors,
        "model": np.frombuffer(fitted.model, dtype=np.uint8),
    }


TWO_TOWERS = RetrievalModel(OnnxRetrieval, "TwoTowers", _arrays, fit_towers, processor_dependent=lambda _: True)
