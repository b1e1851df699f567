"""The files of the project that models are trained by: a version is named by what they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tasks.errors import SpecError
from tasks.spec.onnx_ranker import LEARNERS, OnnxRanker, TrainedByCommand
from tasks.spec.project import learners
from tasks.spec.rankers import BlendRanker, Ranker
from tasks.spec.retrievals.onnx import OnnxRetrieval
from tasks.spec.spec import Spec
from tasks.store.files import sha256_file

MOST_FILES = 200
MOST_BYTES = 16 * 2**20
"""Of a file: what is larger is data or an environment, and belongs elsewhere."""
_MADE = frozenset({"__pycache__", ".ipynb_checkpoints"})


def rankers_of_onnx(ranker: Ranker) -> Iterator[OnnxRanker]:
    """Yield the ranker, or the members of the blend, that are models of ONNX."""
    for part in ranker.of if isinstance(ranker, BlendRanker) else (ranker,):
        if isinstance(part, OnnxRanker):
            yield part


def learner_files(spec: Spec) -> dict[str, str]:
    """Give the digest of each file of the programs of a pipeline, by its path below `learners/`.

    Raises:
        SpecError: a folder is not there, has a link, or holds more than programs do.
    """
    ranking = [part.train for part in rankers_of_onnx(spec.ranker) if part.train is not None]
    return {**_digests(ranking), **retriever_files(spec)}


def retriever_files(spec: Spec) -> dict[str, str]:
    """Give the digest of each file of the programs that train for its retrieval, as `learner_files`."""
    return _digests([part.train for part in spec.retrieval if isinstance(part, OnnxRetrieval)])


def _digests(programs: list[TrainedByCommand]) -> dict[str, str]:
    return {
        str(path.relative_to(learners())): sha256_file(path)
        for code in sorted({program.code for program in programs})
        for path in code_files(code)
    }


def learner_problems(spec: Spec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield (place in the pipeline file, what is wrong) of programs and files of models that are not there."""
    for index, retrieval in enumerate(spec.retrieval):
        if isinstance(retrieval, OnnxRetrieval):
            yield from _code_problem(("retrieval", index, "train", "code"), retrieval.train.code)
    blended = isinstance(spec.ranker, BlendRanker)
    for index, part in enumerate(spec.ranker.of if isinstance(spec.ranker, BlendRanker) else (spec.ranker,)):
        place: tuple[str | int, ...] = ("ranker", "of", index) if blended else ("ranker",)
        if isinstance(part, OnnxRanker) and part.train is not None:
            yield from _code_problem((*place, "train", "code"), part.train.code)
        if isinstance(part, OnnxRanker) and part.file is not None and not (learners() / part.file.path).is_file():
            yield (*place, "file", "path"), f"found {part.file.path!r}, expected a file below {learners()}"


def _code_problem(place: tuple[str | int, ...], code: str) -> Iterator[tuple[tuple[str | int, ...], str]]:
    try:
        code_files(code)
    except SpecError as error:
        yield place, f"found {code!r}; {error}"


def code_files(code: str) -> list[Path]:
    """List the files of a program, in order.

    Raises:
        SpecError: its folder is not there, has a link, or holds more than programs do.
    """
    folder = learners() / code
    if not folder.is_dir():
        raise SpecError(f"{folder}: no such folder; expected the program that `code: {code}` names, below {LEARNERS}/")
    files = [path for path in sorted(folder.rglob("*")) if not _MADE & {*path.relative_to(folder).parts}]
    for path in files:
        if path.is_symlink():
            raise SpecError(f"{path}: a link; expected files, of which a version can be named")
        if path.is_file() and path.stat().st_size > MOST_BYTES:
            raise SpecError(f"{path}: {path.stat().st_size:,} bytes; expected files of at most {MOST_BYTES:,}")
    files = [path for path in files if path.is_file()]
    if len(files) > MOST_FILES:
        raise SpecError(f"{folder}: {len(files):,} files; expected at most {MOST_FILES}, of a program alone")
    return files
