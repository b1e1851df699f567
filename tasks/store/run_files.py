"""What runs have left on disk, for the pages: what is missing or torn is None, never an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from tasks.errors import MatineeError
from tasks.store.files import Home, read_json
from tasks.store.records import warn_of_damage


class RunFiles(Protocol):
    """A run, as far as its files go: a `Run`, or an attempt that is only known from its folder."""

    @property
    def as_of(self) -> date:
        """Day of the run."""

    @property
    def dir(self) -> Path:
        """Folder of the attempt."""

    def step_dir(self, step: str) -> Path:
        """Folder of a step's results."""


@dataclass(frozen=True)
class Attempt:
    """An attempt at a day, found on disk; the pipeline file need not exist any more."""

    pipeline: str
    as_of: date
    dir: Path

    @property
    def name(self) -> str:
        """Name of the attempt."""
        return self.dir.name

    def step_dir(self, step: str) -> Path:
        """Folder of a step's results."""
        return self.dir / step


def optional(path: Path) -> Any:
    """Read a JSON file for a page: None if it is missing, torn, or cannot be read."""
    try:
        return read_json(path)
    except (MatineeError, OSError) as error:
        warn_of_damage(error)
        return None


def pipelines(home: Home) -> list[str]:
    """List the pipelines that have run or published something, by name; their files need not exist any more."""
    folders = [folder for top in ("runs", "registry") for folder in _folders(home.root / top)]
    return sorted({folder.name for folder in folders})


def days(home: Home, pipeline: str) -> list[date]:
    """List the as-of days with a run, in order."""
    as_of_days = []
    for folder in _folders(home.root / "runs" / pipeline):
        try:
            as_of_days.append(date.fromisoformat(folder.name))
        except ValueError:
            continue  # a folder that somebody else put there
    return sorted(as_of_days)


def attempts(home: Home, pipeline: str, day: date) -> list[Attempt]:
    """List the attempts at a day, the one that last did something first."""
    folders = _folders(home.root / "runs" / pipeline / day.isoformat())
    return [Attempt(pipeline, day, folder) for folder in sorted(folders, key=_last_done, reverse=True)]


def _last_done(folder: Path) -> tuple[int, str]:
    # A finished step replaces its folder, which touches that of the attempt; the name breaks ties.
    return folder.stat().st_mtime_ns, folder.name


def attempt_called(home: Home, pipeline: str, name: str) -> Sequence[Attempt]:
    """List the attempts of a name, whatever their day, the latest day first."""
    candidates = [
        Attempt(pipeline, day, home.root / "runs" / pipeline / day.isoformat() / name) for day in days(home, pipeline)
    ]
    return [attempt for attempt in reversed(candidates) if attempt.dir.is_dir()]


def _folders(path: Path) -> list[Path]:
    try:
        # Hidden folders are still being written (`atomic_dir`).
        return [entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:
        return []
