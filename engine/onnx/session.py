"""Runs models by onnxruntime: one thread, fixed options, and blocks of one size, so that a row has one score.

Libraries choose their kernels by the number of rows. In blocks of a fixed size, the last one filled up with zeros,
every row goes through the same ones, alone or among a million. Memory and time are bounded, since what a model asks
for is known only when it runs.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from engine.arrays import Singles
from engine.errors import ArtifactError
from engine.onnx.checks import Signature, checked_model, read_model
from engine.onnx.proto import FLOAT

if TYPE_CHECKING:
    import onnxruntime

BLOCK = 64
"""Rows that are run together."""
_MEMORY = 2**30
"""Bytes of all models of a process, with what they compute."""
_SECONDS = 5.0
"""For one block; one of a model of 64 MiB takes less than a tenth of it."""


@dataclass(frozen=True, eq=False)
class BlockModel:
    """A model that was checked.

    Attributes:
        session: runs it.
        path: for messages.
        signature: what it takes and gives.
        properties: what whoever exported it wrote down.
    """

    session: onnxruntime.InferenceSession
    path: Path
    signature: Signature
    properties: dict[str, str]

    @classmethod
    def load(cls, path: Path, signature: Signature) -> BlockModel:
        """Check a file, load it, and run it once.

        Raises:
            ArtifactError: it is no model that we run.
        """
        return cls.of(read_model(path), path, signature)

    @classmethod
    def of(cls, content: bytes, path: Path, signature: Signature) -> BlockModel:
        """Check what a file holds, as `load` does; `path` is for messages."""
        model = checked_model(content, path, signature)
        loaded = cls(_session(content, path), path, signature, model.properties)
        loaded.run(np.zeros((1, signature.inputs), dtype=np.float32 if signature.element == FLOAT else np.int64))
        return loaded

    def run(self, rows: npt.NDArray[Any]) -> Singles:
        """Compute what the model gives for each row (rows × outputs); `rows` are of its type and width.

        Raises:
            ArtifactError: it fails, or takes more memory or time than a model may.
        """
        import onnxruntime

        starts, options = range(0, len(rows), BLOCK), onnxruntime.RunOptions()
        # Looked at between two nodes. One timer for all blocks: a thread takes as long to start as a block to run.
        alarm = threading.Timer(_SECONDS * len(starts), setattr, (options, "terminate", True))
        alarm.daemon = True
        alarm.start()
        try:
            parts = [self._block(rows[start : start + BLOCK], options) for start in starts]
        finally:
            alarm.cancel()
        return np.concatenate(parts) if parts else np.empty((0, self.signature.outputs or 0), dtype=np.float32)

    def _block(self, rows: npt.NDArray[Any], options: onnxruntime.RunOptions) -> Singles:
        block = np.zeros((BLOCK, rows.shape[1]), dtype=rows.dtype)
        block[: len(rows)] = rows
        try:
            given = self.session.run(None, {self.session.get_inputs()[0].name: block}, options)[0]
        except Exception as error:  # the library's exceptions have no common base but this
            _refuse(self.path, "cannot be run", error)
        result: Singles = given[:, None] if given.ndim == 1 else given
        shape = (BLOCK, self.signature.outputs or result.shape[-1])
        if result.dtype != np.float32 or result.shape != shape:
            raise ArtifactError(
                f"{self.path}: gives {given.dtype} of the shape {given.shape} for {BLOCK} rows; expected "
                f"{self.signature.text}"
            )
        return result[: len(rows)]


def _session(content: bytes, path: Path) -> onnxruntime.InferenceSession:
    import onnxruntime

    _bound_memory()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    # What is fused, and so rounded once instead of twice, would be another release's choice.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4  # what is an error is raised
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        _refuse(path, "cannot be loaded", error)


@cache
def _bound_memory() -> None:
    """Give all sessions of this process one bounded allocator."""
    import onnxruntime

    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    # 1: a chunk is as large as what is asked for, not the next power of 2.
    arena = onnxruntime.OrtArenaCfg({"max_mem": _MEMORY, "arena_extend_strategy": 1})
    onnxruntime.create_and_register_allocator(memory, arena)


def _refuse(path: Path, what: str, error: Exception) -> NoReturn:
    said = " ".join(str(error).split())[:300]
    raise ArtifactError(f"{path}: a model of ONNX that {what} ({type(error).__name__}: {said})") from None
