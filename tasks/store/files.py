"""Where state lives on disk, in which form it is written, and how a reader knows that it is what was written.

JSON is written in one canonical form, so that equal values are equal bytes. A finished folder has the sha256 of its
files beside them (`digests.json`), and whoever reads one of them compares it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from engine.sealed import CHECKSUM, sealed, unsealed
from tasks.errors import DamagedFile, MatineeError
from tasks.store.atomic import atomic_file

DIGESTS = "digests.json"
_PATTERN_MARKS = "*?["
WRITTEN_AGAIN = "run the step that writes it again"
"""What to do about a damaged file, unless something else is said of its kind."""
# No leading dot: `..` leads out, and hidden names are reserved for unfinished files and folders.
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=:@-]*")


def safe_name(name: str) -> str:
    """Let a name pass that can be one path component, so that none leads out of its folder.

    Raises:
        MatineeError: it has other characters, or begins with a dot.
    """
    if not _SAFE_NAME.fullmatch(name):
        raise MatineeError(f"{name!r} cannot name a folder: expected letters, digits and . _ + = : @ - only")
    return name


@dataclass(frozen=True)
class Home:
    """The state folder (`MATINEE_HOME`).

    Raises:
        MatineeError: its path has characters that DuckDB takes for a pattern.
    """

    root: Path

    def __post_init__(self) -> None:
        # Of `/data/a*`, DuckDB would read `/data/ab` as well, and it cuts the name of its log off at a `?`.
        if found := sorted(set(_PATTERN_MARKS) & set(str(self.root))):
            raise MatineeError(
                f"{self.root}: found {' '.join(found)} in the path of the state folder, which DuckDB reads as a "
                "pattern of several paths; expected none of * ? [ in it. Rename the folder, or name another one in "
                "MATINEE_HOME"
            )

    def landing(self, source: str) -> Path:
        """Folder of a source's landed partitions: the truth everything else is made from."""
        return self.root / "landing" / safe_name(source)

    def warehouse(self, pipeline: str) -> Path:
        """DuckDB file of a pipeline: a cache of the landing."""
        return self.root / "warehouse" / f"{safe_name(pipeline)}.duckdb"

    def runs(self, pipeline: str, as_of: date) -> Path:
        """Folder of all attempts at one day."""
        return self.root / "runs" / safe_name(pipeline) / as_of.isoformat()

    def run_dir(self, pipeline: str, as_of: date, attempt: str) -> Path:
        """Folder of one attempt at one day."""
        return self.runs(pipeline, as_of) / safe_name(attempt)

    def retrieval(self, pipeline: str) -> Path:
        """Retrieval models and candidates, kept per cut because they depend on nothing else."""
        return self.root / "retrieval" / safe_name(pipeline)

    def tunings(self, pipeline: str) -> Path:
        """Searches for settings that are kept for several days, by the day as of which they are: a cache."""
        return self.root / "tunings" / safe_name(pipeline)

    def registry(self, pipeline: str) -> Path:
        """Published versions, aliases and the timeline."""
        return self.root / "registry" / safe_name(pipeline)

    def profiles(self, source: str, table: str) -> Path:
        """Measures of landed partitions by digest: a cache, to be deleted at any time."""
        return self.root / "profiles" / safe_name(source) / safe_name(table)

    def quarantine(self, pipeline: str) -> Path:
        """Rows kept out, with the rule that kept them out."""
        return self.root / "quarantine" / safe_name(pipeline)

    def served(self, pipeline: str) -> Path:
        """What the serving application has logged of its answers, a folder for each UTC day."""
        return self.root / "served" / safe_name(pipeline)


def default_home() -> Home:
    """Locate the state folder: `MATINEE_HOME`, or `var` in the project that `MATINEE_PROJECT` names, or `./var`."""
    return Home(Path(os.environ.get("MATINEE_HOME") or Path(os.environ.get("MATINEE_PROJECT", ""), "var")).resolve())


def json_number(value: float | None, digits: int | None = None) -> float | None:
    """Make a number fit for JSON, which knows neither NaN nor infinity: both become None.

    Args:
        value: a number of Python or NumPy.
        digits: round to this many decimals.
    """
    if value is None or not math.isfinite(value):
        return None
    return float(value) if digits is None else round(float(value), digits)


def canonical_json(value: Any) -> str:
    """Encode a value as the one JSON text it has: sorted keys, no NaN, days in ISO form."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False, default=_iso) + "\n"


def _iso(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no canonical JSON form")


def digest(value: Any) -> str:
    """Hash the canonical JSON of a value: sha256, in hex."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """Hash a file of any size: sha256, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write canonical JSON atomically."""
    write_text(path, canonical_json(value))


def read_json(path: Path, remedy: str = WRITTEN_AGAIN, *, has_checksum: bool = False) -> Any:
    """Read a JSON file written by matinee, whose bytes are those that were written.

    Args:
        path: the file.
        remedy: what to do about a damaged file, for the error.
        has_checksum: whether it is always written with one, so that one without is damaged, too.

    Raises:
        DamagedFile: they are not those of the digests beside it, or of the checksum in it; or they are no JSON.
        MatineeError: it is missing.
    """
    content = checked_bytes(path, remedy)
    # Every write is whole or absent, so no JSON is damage too. The second is of brackets that are nested thousands
    # deep. The text itself is quoted in neither case: it may be anything, when the file is a link.
    try:
        value = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"{path}: not valid JSON ({_json_problem(error)}); {remedy}") from None
    if has_checksum and not (isinstance(value, dict) and CHECKSUM in value):
        raise DamagedFile(f"{path}: found no checksum, expected one: changed since written; {remedy}")
    try:
        return unsealed(value)
    except ValueError as error:
        raise DamagedFile(f"{path}: {error}; {remedy}") from None


def _json_problem(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}: {error.msg}" if error.doc.strip() else "the file is empty"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is no UTF-8"
    return "nested too deeply" if isinstance(error, RecursionError) else "a number is too long"


def contents(folder: Path) -> dict[str, str]:
    """Hash every file below a folder, by its path within it."""
    return {str(p.relative_to(folder)): sha256_file(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def write_digests(folder: Path) -> None:
    """Write down the sha256 of every file of a folder, beside them, for `checked_file`."""
    write_json(folder / DIGESTS, sealed(contents(folder)))


def read_digests(folder: Path) -> dict[str, str]:
    """Read the sha256 of every file of a folder, by its path within.

    Raises:
        MatineeError: they are missing, or cannot be read.
    """
    remedy = f"delete the folder {folder.name} and run the step that makes it again"
    digests = read_json(folder / DIGESTS, remedy, has_checksum=True)
    if not isinstance(digests, dict) or not all(isinstance(sha256, str) for sha256 in digests.values()):
        raise MatineeError(f"{folder / DIGESTS}: expected the sha256 of each file by its name; {remedy}")
    return digests


def checked_file(folder: Path, name: str) -> Path:
    """Locate a file of a folder with digests, whose bytes are those that were written.

    Raises:
        DamagedFile: they are others: a disk or a hand has changed them since.
    """
    path = folder / name
    _compare(folder, name, sha256_file(path) if path.is_file() else "of no file")
    return path


def checked_bytes(path: Path, remedy: str = WRITTEN_AGAIN) -> bytes:
    """Read a file, and compare it with the digests beside it, if its folder has some.

    Raises:
        MatineeError: it is missing; a DamagedFile: it is not what was written.
    """
    try:
        return _compared(path, remedy)
    except DamagedFile:
        # Once more: pages read without a lock, and a step may have replaced the folder between file and digests.
        return _compared(path, remedy)


def _compared(path: Path, remedy: str) -> bytes:
    try:
        content = path.read_bytes()  # read once: what is parsed are the bytes that were compared
    except FileNotFoundError:
        hint = "has the step that writes it run?" if remedy == WRITTEN_AGAIN else remedy
        raise MatineeError(f"{path}: no such file; {hint}") from None
    except IsADirectoryError:
        raise MatineeError(f"{path}: is a folder, expected a file; remove it, then {remedy}") from None
    if path.name != DIGESTS and has_digests(path.parent):
        _compare(path.parent, path.name, hashlib.sha256(content).hexdigest())
    return content


def has_digests(folder: Path) -> bool:
    """Whether somebody has written down what the folder holds: every step does."""
    return (folder / DIGESTS).exists()


def _compare(folder: Path, name: str, found: str) -> None:
    expected = read_digests(folder).get(name)
    if found != expected:
        raise DamagedFile(
            f"{folder / name}: found sha256 {found}, expected {expected} ({DIGESTS} beside it): changed since it was "
            f"written; delete the folder {folder.name} and run the step that makes it again"
        )
