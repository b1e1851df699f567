"""Folders that are written once, with the sha256 of every file in `digests.json` beside them: a flip is noticed."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tasks.errors import MatineeError
from tasks.store.files import contents, read_json, sha256_file, write_json

DIGESTS = "digests.json"
_SHAPE = TypeAdapter(dict[str, str])


def write_digests(folder: Path) -> None:
    """Write down the sha256 of every file of a folder, beside them."""
    write_json(folder / DIGESTS, contents(folder))


def read_digests(folder: Path) -> dict[str, str]:
    """Read the sha256 of every file of a folder, by its path within.

    Raises:
        MatineeError: they are missing, or cannot be read.
    """
    path = folder / DIGESTS
    try:
        return _SHAPE.validate_python(read_json(path, _remedy(folder)), strict=True)
    except ValidationError:
        raise MatineeError(f"{path}: expected the sha256 of each file by its name; {_remedy(folder)}") from None


def checked_file(folder: Path, name: str) -> Path:
    """Locate a file of a folder with digests, whose bytes are those that were written.

    Raises:
        MatineeError: they are others: a disk or a hand has changed them since.
    """
    path = folder / name
    expected = read_digests(folder).get(name)
    if not path.is_file():
        raise MatineeError(f"{path}: missing, expected sha256 {expected}; {_remedy(folder)}")
    if (found := sha256_file(path)) != expected:
        raise MatineeError(
            f"{path}: found sha256 {found}, expected {expected}: changed since it was written; {_remedy(folder)}"
        )
    return path


def damage_of(folder: Path) -> str | None:
    """Say what of a folder is not as it was written; None if all of it is."""
    if not (folder / DIGESTS).is_file():
        return f"{DIGESTS} is missing"
    try:
        expected = read_digests(folder)
        found = {name: sha for name, sha in contents(folder).items() if name != DIGESTS}
    except MatineeError:
        return f"{DIGESTS} was changed"
    except OSError as error:  # a disk that gives back no bytes at all
        return f"{error.filename or 'a file'} cannot be read ({error.strerror})"
    names = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if not names:
        return None
    name = names[0]
    more = f", and {len(names) - 1} more" if len(names) > 1 else ""
    if name not in found:
        return f"{name} is missing{more}"
    return f"{name} was not written with the others{more}" if name not in expected else f"{name} was changed{more}"


def _remedy(folder: Path) -> str:
    return f"delete the folder {folder.name} and run the step that makes it again"
