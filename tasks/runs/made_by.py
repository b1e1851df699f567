"""What the results of a step were made by: the pipeline file, the code and the SQL, as they were then."""

from __future__ import annotations

from pathlib import Path

from tasks.errors import FilesChanged
from tasks.runs.provenance import code_digest
from tasks.runs.sql_lineage import PipelineSql, sql_of
from tasks.spec.attributes import declaration_texts
from tasks.spec.feature_catalog import feature_catalog
from tasks.spec.project import TRANSFORMS
from tasks.spec.spec import Spec
from tasks.store.files import digest, read_json
from tasks.store.records import Record

FILE = "made_by.json"


class MadeBy(Record):
    """By which the steps of one attempt know each other.

    Attributes:
        pipeline: digest of the pipeline file.
        code: digest of the code.
        sql: digest of each file of the pipeline's SQL, by path below `transforms/`.
    """

    pipeline: str
    code: str
    sql: dict[str, str]

    @classmethod
    def now(cls, spec: Spec) -> MadeBy:
        """What a step of a pipeline would be made by at this moment."""
        return cls(pipeline=digest(spec.canonical()), code=code_digest(), sql=sql_of(spec).digests)

    @property
    def digest(self) -> str:
        """Digest of all of it."""
        return digest(self.to_json())


def require_current_declarations(spec: Spec, sql: PipelineSql) -> None:
    """Refuse to build in a process that has read other features or attributes than the SQL declares now.

    They are read once a process, the SQL each time: the next day of a backfill would take its tables from after an edit
    and its features from before.

    Raises:
        FilesChanged: naming the files, and what to do.
    """
    read = {**feature_catalog().texts, **declaration_texts(spec.staging)}
    if changed := sorted(f"{TRANSFORMS.name}/{path}" for path, text in read.items() if sql.files.get(path) != text):
        raise FilesChanged(
            f"changed since this command read which features and attributes there are: {', '.join(changed)}. Run the "
            "same command again: it reads them anew, and finished days are kept"
        )


def changed_since(folder: Path, now: MadeBy) -> tuple[str, ...]:
    """Name what has changed since a step left a folder: files of the SQL, the pipeline file, the code.

    Raises:
        DamagedFile: what it was made by is not what the step wrote.
        MatineeError: it is not there, or has another shape.
    """
    value = read_json(folder / FILE)
    if isinstance(value, str):
        # One digest of everything: of an older version of matinee, whose code is another, too.
        return ("the code of matinee",)
    then = MadeBy.parse(value, folder / FILE)
    others = {"the pipeline file": then.pipeline != now.pipeline, "the code of matinee": then.code != now.code}
    paths = sorted(path for path in {*then.sql, *now.sql} if then.sql.get(path) != now.sql.get(path))
    return (*(what for what, changed in others.items() if changed), *(f"{TRANSFORMS.name}/{path}" for path in paths))
