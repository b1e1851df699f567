"""What the results of a step were made by: the pipeline file, the code and the SQL, as they were then."""

from __future__ import annotations

from pathlib import Path

from tasks.errors import MatineeError
from tasks.runs.provenance import code_digest
from tasks.runs.sql_lineage import sql_of
from tasks.spec.project import TRANSFORMS
from tasks.spec.spec import Spec
from tasks.store.files import digest
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


def changed_since(folder: Path, now: MadeBy) -> tuple[str, ...]:
    """Name what has changed since a step left a folder: files of the SQL, the pipeline file, the code."""
    try:
        then = MadeBy.read(folder / FILE)
    except MatineeError:
        # Of an older version of matinee, whose code is another, too.
        return ("the code of matinee",)
    others = {"the pipeline file": then.pipeline != now.pipeline, "the code of matinee": then.code != now.code}
    paths = sorted(path for path in {*then.sql, *now.sql} if then.sql.get(path) != now.sql.get(path))
    return (*(what for what, changed in others.items() if changed), *(f"{TRANSFORMS.name}/{path}" for path in paths))
