"""What the results of a step were made by: pipeline file, code, SQL, dataset file and programs, as they were."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from tasks.errors import FilesChanged
from tasks.runs.provenance import code_digest
from tasks.runs.sql_lineage import PipelineSql, sql_of
from tasks.runs.staging_defaults import MADE
from tasks.spec.attributes import declaration_texts
from tasks.spec.feature_catalog import feature_catalog
from tasks.spec.learner_files import learner_files
from tasks.spec.parts import FilesSource
from tasks.spec.project import transforms
from tasks.spec.spec import Spec
from tasks.store.files import digest, sha256_file
from tasks.store.records import Record

FILE = "made_by.json"


class MadeBy(Record):
    """By which the steps of one attempt know each other.

    Attributes:
        pipeline: digest of the pipeline file.
        code: digest of the code.
        files: digest of each file of the pipeline's SQL, and of its dataset file, by path below `transforms/`.
        learners: digest of each file of the project's own programs that train for it, by path below `learners/`.
    """

    pipeline: str
    code: str
    files: dict[str, str]
    learners: dict[str, str] = Field(default_factory=dict, exclude_if=lambda files: not files)

    @classmethod
    def now(cls, spec: Spec) -> MadeBy:
        """What a step of a pipeline would be made by at this moment."""
        # What is made from the dataset file is no file that somebody edits: its own digest stands for it.
        sql = {path: digest for path, digest in sql_of(spec).digests.items() if Path(path).stem != MADE}
        files = {**sql, **_dataset_file(spec)}
        learners = learner_files(spec)
        return cls(pipeline=digest(spec.canonical()), code=code_digest(), files=files, learners=learners)

    @property
    def digest(self) -> str:
        """Digest of all of it."""
        return digest(self.to_json())


def _dataset_file(spec: Spec) -> dict[str, str]:
    """The digest of the file that says how the pipeline's files are read; none where there is no such file."""
    if not isinstance(spec.source, FilesSource):
        return {}
    name = f"datasets/{spec.source.dataset}.yaml"
    path = transforms().whole(name)
    return {name: sha256_file(path)} if path.is_file() else {}


def require_current_declarations(spec: Spec, sql: PipelineSql) -> None:
    """Refuse to build in a process that has read other features or attributes than the SQL declares now.

    They are read once a process, the SQL each time: the next day of a backfill would take its tables from after an edit
    and its features from before.

    Raises:
        FilesChanged: naming the files, and what to do.
    """
    read = {**feature_catalog().texts, **declaration_texts(spec.staging)}
    if changed := sorted(f"transforms/{path}" for path, text in read.items() if sql.files.get(path) != text):
        raise FilesChanged(
            f"changed since this command read which features and attributes there are: {', '.join(changed)}. Run the "
            "same command again: it reads them anew, and finished days are kept"
        )


def changed_since(folder: Path, now: MadeBy) -> tuple[str, ...]:
    """Name what has changed since a step left a folder: the pipeline file, the code, files below `transforms/`.

    Raises:
        DamagedFile: what it was made by is not what the step wrote.
        MatineeError: it is not there, or has another shape.
    """
    then = MadeBy.read(folder / FILE)
    others = {"the pipeline file": then.pipeline != now.pipeline, "the code of matinee": then.code != now.code}
    return (
        *(what for what, changed in others.items() if changed),
        *(f"transforms/{path}" for path in _differing(then.files, now.files)),
        *(f"learners/{path}" for path in _differing(then.learners, now.learners)),
    )


def _differing(then: dict[str, str], now: dict[str, str]) -> list[str]:
    return sorted(path for path in {*then, *now} if then.get(path) != now.get(path))
