"""Records: closed, frozen shapes of the JSON files that steps write and read, and the values that they share."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from engine.sealed import sealed
from tasks.errors import DamagedFile, MatineeError, quoted
from tasks.store.files import WRITTEN_AGAIN, read_json, safe_name, write_json

Model = TypeVar("Model", bound=BaseModel)
log = logging.getLogger("matinee")


def _plain_name(name: str) -> str:
    try:
        return safe_name(name)
    except MatineeError:
        raise ValueError("expected a plain name: letters, digits and . _ + = : @ - only") from None


def _inside(path: str) -> str:
    for part in path.split("/"):
        _plain_name(part)
    return str(PurePosixPath(path))


def _instant(text: str) -> str:
    try:
        if datetime.fromisoformat(text).tzinfo is not None:
            return text
    except ValueError:
        pass
    raise ValueError("expected an instant with its offset, like 2026-02-28T06:00:00+00:00")


PlainName = Annotated[str, AfterValidator(_plain_name)]
"""The name of a file or folder beside the record: none that leads anywhere else."""
PathInside = Annotated[str, AfterValidator(_inside)]
"""A path below a folder, of plain names."""
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, strict=True)]
Instant = Annotated[str, AfterValidator(_instant)]
"""A point in time in ISO form; kept as the text that was written, so that a record comes back byte for byte."""


class Record(BaseModel):
    """A shape on disk: no other keys, no changes once it is made.

    Attributes:
        REMEDY: what to do about a file of this shape that cannot be read, for the error.
    """

    REMEDY: ClassVar[str] = WRITTEN_AGAIN

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> dict[str, Any]:
        """Turn the record into plain JSON values: days and instants become ISO texts."""
        return self.model_dump(mode="json")

    def write(self, path: Path) -> None:
        """Write the record atomically, as canonical JSON."""
        write_json(path, self.to_json())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record.

        Raises:
            MatineeError: the file is missing, is no JSON, or has another shape.
        """
        return cls.parse(read_json(path, cls.REMEDY), path)

    @classmethod
    def read_if_valid(cls, path: Path) -> Self | None:
        """Read a record for a page: None where the file is missing, torn, or has another shape."""
        try:
            return cls.read(path)
        except (MatineeError, OSError) as error:
            warn_of_damage(error)
            return None

    @classmethod
    def parse(cls, value: Any, path: Path) -> Self:
        """Check the shape of JSON that has been read from a file.

        Raises:
            MatineeError: naming the file, the key, what was found and what was expected.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise _other_shape(path, error, cls.REMEDY) from None


class SealedRecord(Record):
    """A record that carries its own checksum, as no other file has a digest of it."""

    def write(self, path: Path) -> None:
        """Write the record atomically, as canonical JSON with its checksum, which `read` compares."""
        write_json(path, sealed(self.to_json()))


def write_list(path: Path, records: Iterable[BaseModel]) -> None:
    """Write a file that is a list of records atomically, as canonical JSON; keys that were never set are left out."""
    write_json(path, [record.model_dump(mode="json", exclude_unset=True) for record in records])


def read_list(path: Path, kind: type[Model]) -> list[Model]:
    """Read a file that is a list of records.

    Raises:
        MatineeError: the file is missing, is no JSON, or has another shape.
    """
    records: list[Model] = _read_all(path, list[kind], kind)  # type: ignore[valid-type]
    return records


def read_map(path: Path, kind: type[Model]) -> dict[str, Model]:
    """Read a file that is an object of records by name.

    Raises:
        MatineeError: the file is missing, is no JSON, or has another shape.
    """
    records: dict[str, Model] = _read_all(path, dict[str, kind], kind)  # type: ignore[valid-type]
    return records


def _read_all(path: Path, shape: Any, kind: type[BaseModel]) -> Any:
    remedy = kind.REMEDY if issubclass(kind, Record) else WRITTEN_AGAIN
    value = read_json(path, remedy)
    try:
        return TypeAdapter(shape).validate_python(value)
    except ValidationError as error:
        raise _other_shape(path, error, remedy) from None


def read_list_if_valid(path: Path, kind: type[Model]) -> list[Model] | None:
    """Read a list of records for a page: None where the file is missing, torn, or has another shape."""
    try:
        return read_list(path, kind)
    except (MatineeError, OSError) as error:
        warn_of_damage(error)
        return None


def _other_shape(path: Path, error: ValidationError, remedy: str) -> MatineeError:
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        # Its name and value may be of any file, when the path is a link: neither is quoted.
        found = f"{'.'.join(map(str, problem['loc'][:-1])) or 'the whole file'}: found a key that does not belong there"
    elif problem["type"] == "missing":
        found = f"{key}: the key is missing"
    else:
        message = problem["msg"].removeprefix("Value error, ")
        found = f"{key or 'the whole file'}: found {_found(problem)}: {message[0].lower()}{message[1:]}"
    return MatineeError(f"{path}: {found}. A disk, a hand or another version may have written it: {remedy}")


def _found(problem: ErrorDetails) -> str:
    value = problem["input"]
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list | tuple) else quoted(value, 80)


def warn_of_damage(error: Exception) -> None:
    """Log that a page does without a file because it is damaged; that one is missing is nothing special."""
    if isinstance(error, DamagedFile):
        log.warning("left out of the page: %s", error)
