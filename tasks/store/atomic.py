"""The only ways in which state is written: as a whole or not at all, and by one process at a time.

Every write goes to a temporary name beside its target, is flushed to the disk, and is renamed: a crash at any point
leaves the old state or the new one.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import MatineeError

if TYPE_CHECKING:
    from filelock import FileLock

# Without figures, so that it is written by every command, those too that run no step.
log = logging.getLogger("matinee")
FIRST_NOTICE, NEXT_NOTICE = 2.0, 30.0
"""Seconds of a wait before it is spoken of, and between two lines."""


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Flush everything in a folder to the disk."""
    for path in sorted(folder.rglob("*")):
        sync(path)
    sync(folder)


@contextmanager
def atomic_dir(target: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `target` when the block ends without an error.

    An older `target` is replaced; it is put back when the new folder can't take its place, and is absent only if the
    process is killed between the two renames. Whatever is left of a failed attempt is removed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, because a rename is atomic only within one file system.
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    temporary.chmod(0o755)  # mkdtemp lets nobody else in, but reports are read by other users too
    try:
        yield temporary
        sync_tree(temporary)
        _replace_dir(temporary, target)
        sync(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace_dir(new: Path, target: Path) -> None:
    # rename() cannot replace a folder that is not empty, so the old one is moved aside first.
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
    try:
        if target.exists():
            target.rename(old / "old")
        try:
            new.rename(target)
        except OSError:
            if (old / "old").exists():
                (old / "old").rename(target)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def temporary_file(folder: Path, name: str) -> Iterator[Path]:
    """Yield a hidden file in a folder for the length of the block, until which `put` may have renamed it.

    Args:
        folder: where, on the file system of the target; it is created.
        name: what its own name is to remind of.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle, path = tempfile.mkstemp(prefix=f".{name}-", dir=folder)
    os.close(handle)
    temporary = Path(path)
    temporary.chmod(0o644)  # like the folder above: mkstemp lets nobody else read
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def put(temporary: Path, target: Path) -> None:
    """Flush a file to the disk, and give it the name of its target in the same folder."""
    sync(temporary)
    temporary.rename(target)
    sync(target.parent)  # else the rename itself may be lost with the power


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `target` when the block ends without an error."""
    with temporary_file(target.parent, target.name) as temporary:
        yield temporary
        put(temporary, target)


def _acquire(lock: FileLock, seconds: float, what: str) -> None:
    """Wait for a lock, and say so from time to time: minutes of silence look like a hang.

    Raises:
        Timeout: another process held it all that time.
    """
    from filelock import Timeout

    began, pause = time.monotonic(), FIRST_NOTICE
    while True:
        waited = time.monotonic() - began
        try:
            lock.acquire(timeout=max(0.0, min(pause, seconds - waited)))
        except Timeout:
            waited = time.monotonic() - began
            if waited >= seconds:
                raise
        else:
            return
        log.warning(
            "waiting for %s, which another process uses: %.0f s so far, at most %.0f s (Ctrl-C ends the wait)",
            what,
            waited,
            seconds,
        )
        pause = NEXT_NOTICE


@contextmanager
def locked(
    path: Path, busy: str, *, seconds: float, error: type[MatineeError] = MatineeError, what: str | None = None
) -> Iterator[None]:
    """Hold a lock between processes for the length of the block.

    Args:
        path: the lock file; its folder is created.
        busy: one sentence for whoever waits in vain: who holds the lock, and what to do.
        seconds: how long to wait for it; 0 does not wait.
        error: the class to raise.
        what: the thing that the lock is on, for whoever sees this one wait; the lock file if absent.

    Raises:
        MatineeError: of the class `error`, if another process held the lock all that time.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        _acquire(lock, seconds, what or str(path))
    except Timeout:
        raise error(f"{path}: {busy}") from None
    try:  # outside of the `except`: a timeout inside the block is not ours to explain
        yield
    finally:
        lock.release()
