"""What every model of a descriptor has in common: closed shapes, and names of files inside the version's folder."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_ARTIFACT_NAME_LENGTH = 400


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    # One spelling a file: `a//b` and `./a` are refused, too.
    plain = name == str(path) and not path.is_absolute() and ".." not in path.parts and name != "."
    # A backslash separates folders on Windows, a zero byte ends a path in C.
    if not plain or "\\" in name or "\0" in name or len(name) > _ARTIFACT_NAME_LENGTH:
        raise ValueError(f"{name!r} is no path inside the version's folder: expected e.g. 'BR/trees.txt'")
    return name


ArtifactName = Annotated[str, AfterValidator(_inside)]
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=100_000)]


class Closed(BaseModel):
    """Base of all models: no unknown keys, no changes, no coercion of texts to numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
