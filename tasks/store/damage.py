"""Whether a folder that was written once, with the digests of its files beside them, is still what was written."""

from __future__ import annotations

from pathlib import Path

from tasks.errors import MatineeError
from tasks.store.files import DIGESTS, contents, read_digests


def damage_of(folder: Path) -> str | None:
    """Say what of a folder is not as it was written; None if all of it is."""
    if not (folder / DIGESTS).is_file():
        return f"{DIGESTS} is missing"
    try:
        expected = read_digests(folder)
        found = {name: sha256 for name, sha256 in contents(folder).items() if name != DIGESTS}
    except MatineeError:
        return f"{DIGESTS} was changed"
    except OSError as error:  # a disk that gives back no bytes at all
        return f"{error.filename or 'a file'} cannot be read ({error.strerror})"
    names = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if not names:
        return None
    name, more = names[0], f", and {len(names) - 1} more" if len(names) > 1 else ""
    if name not in found:
        return f"{name} is missing{more}"
    return f"{name} was not written with the others{more}" if name not in expected else f"{name} was changed{more}"
