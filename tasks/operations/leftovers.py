"""What killed processes left behind: unfinished files and folders that nobody reads, and nobody would remove.

Everything is written under a hidden name and renamed when it is whole (`tasks.store.atomic`). Names without a dot are
never touched here.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tasks.errors import MatineeError
from tasks.store.files import Home

PARTS = ("landing", "warehouse", "retrieval", "registry", "runs", "profiles", "quarantine", "alerts", "served", "cache")
KEPT = frozenset({".lock", ".user.yml"})
"""Hidden names that are no left-overs: locks between processes, and dbt's own file."""
OLD_ENOUGH = timedelta(days=1)
"""Longer than any step may take, so that nothing is removed under the hands of a living process."""
OBJECTS_UNUSED = timedelta(days=30)
"""What no landing has asked for since is a copy of an object that was replaced, or of old days."""


@dataclass(frozen=True)
class Leftover:
    """An unfinished file or folder.

    Attributes:
        path: where it is.
        bytes: its size, with all that is in it.
        changed: the last time at which anything of it was written.
    """

    path: Path
    bytes: int
    changed: datetime


def refuse_other_folders(home: Home) -> None:
    """Refuse a folder that no run and no Airflow has written to: nothing to remove there would be no news.

    Raises:
        MatineeError: it is none of matinee's.
    """
    if not any((home.root / part).is_dir() for part in (*PARTS, "airflow")):
        raise MatineeError(
            f"{home.root}: no state folder: found none of {', '.join(PARTS)} in it; correct MATINEE_HOME"
        )


def leftovers(home: Home, now: datetime, age: timedelta = OLD_ENOUGH) -> list[Leftover]:
    """List what killed processes left, by path.

    Args:
        home: the state folder.
        now: the clock.
        age: how long nothing of it must have been written.
    """
    candidates = [_measure(path, now) for part in PARTS for path in _hidden(home.root / part)]
    return [each for each in candidates if now - each.changed >= age]


def unused_objects(home: Home, now: datetime) -> list[Leftover]:
    """List the copies of objects that nobody has asked for in a month, by path; fetching them again gives the same."""
    folders = sorted(path for path in (home.root / "cache" / "objects").glob("[!.]*") if path.is_dir())
    # A copy that is used gets the folder's time anew.
    old = [each for each in folders if now.timestamp() - each.stat().st_mtime >= OBJECTS_UNUSED.total_seconds()]
    return [_measure(folder, now) for folder in old]


def remove(each: Leftover) -> None:
    """Remove a left-over; one that is gone meanwhile is no error."""
    if each.path.is_dir() and not each.path.is_symlink():
        shutil.rmtree(each.path, ignore_errors=True)
    else:
        each.path.unlink(missing_ok=True)


def _hidden(folder: Path) -> Iterator[Path]:
    """Walk a folder; what is below a hidden folder belongs to it."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") and path.name not in KEPT and path.suffix != ".lock":
            yield path
        elif path.is_dir():
            yield from _hidden(path)


def _measure(path: Path, now: datetime) -> Leftover:
    total, times = 0, []
    for file in (path, *(path.rglob("*") if path.is_dir() and not path.is_symlink() else ())):
        try:
            stat = file.lstat()
        except FileNotFoundError:  # its process is alive after all
            continue
        total += 0 if file.is_dir() else stat.st_size
        times.append(stat.st_mtime)
    return Leftover(path, total, datetime.fromtimestamp(max(times), now.tzinfo) if times else now)
