"""Records: closed, frozen shapes of the JSON files that steps write and read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from tasks.errors import MatineeError
from tasks.store.files import read_json, write_json

Model = TypeVar("Model", bound=BaseModel)


class Record(BaseModel):
    """A shape on disk: no other keys, no changes once it is made."""

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
        return cls.parse(read_json(path), path)

    @classmethod
    def read_if_valid(cls, path: Path) -> Self | None:
        """Read a record for a page: None where the file is missing, torn, or has another shape."""
        try:
            return cls.read(path)
        except (MatineeError, OSError):
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
            raise _other_shape(path, error) from None


def write_list(path: Path, records: Iterable[BaseModel]) -> None:
    """Write a file that is a list of records atomically, as canonical JSON; keys that were never set are left out."""
    write_json(path, [record.model_dump(mode="json", exclude_unset=True) for record in records])


def read_list(path: Path, kind: type[Model]) -> list[Model]:
    """Read a file that is a list of records.

    Raises:
        MatineeError: the file is missing, is no JSON, or has another shape.
    """
    value = read_json(path)
    try:
        return TypeAdapter(list[kind]).validate_python(value)  # type: ignore[valid-type]
    except ValidationError as error:
        raise _other_shape(path, error) from None


def read_list_if_valid(path: Path, kind: type[Model]) -> list[Model] | None:
    """Read a list of records for a page: None where the file is missing, torn, or has another shape."""
    try:
        return read_list(path, kind)
    except (MatineeError, OSError):
        return None


def _other_shape(path: Path, error: ValidationError) -> MatineeError:
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"]) or "the whole file"
    return MatineeError(
        f"{path}: {key}: {problem['msg']}; found {str(problem['input'])[:80]!r}. Another version may "
        "have written it: run the step that writes it again"
    )
