"""A log of the features that answers were computed from, to compare with the tables later (`matinee skew`).

Opt-in, for a share of the users, chosen by a hash: the same users on every day and machine. A line of JSON an answer:
version, user id, items, features, scores, and nothing else of the request but the context that features read. One
thread writes; when it cannot keep up, or the day's share of the disk is used up, answers go unlogged, never unanswered.
A file is written under a hidden name and appears when it is complete: `<folder>/ds=<UTC day>/<process>-<number>.jsonl`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import queue
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import BinaryIO

from engine.descriptor import Request
from engine.ranking import Explanation, Response
from engine.sealed import sealed
from serving.champion import Loaded

_LOG = logging.getLogger("matinee.serving")


def utc_now() -> datetime:
    """Return the time of the machine, in UTC."""
    return datetime.now(UTC)


def clock(day: date | None) -> Callable[[], datetime]:
    """Return the machine's clock, or one that always shows the given day."""
    return utc_now if day is None else lambda: datetime.combine(day, utc_now().timetz())


@dataclass(frozen=True)
class Limits:
    """Bounds of the log."""

    waiting: int = 256
    """Answers that may wait to be written."""
    file_bytes: int = 8 * 2**20
    file_seconds: float = 60.0
    """A file appears when it is this large, or this old."""
    day_bytes: int = 64 * 2**20
    """Bytes of a day, of all processes that were there when it began to write."""


@dataclass(frozen=True, eq=False)
class _Entry:
    at: datetime
    loaded: Loaded
    request: Request
    answer: Response
    explanation: Explanation

    def line(self) -> bytes:
        values = self.explanation.values.astype(float).T.tolist()
        plain = {
            "at": self.at.isoformat(timespec="seconds"),
            "version": self.loaded.version,
            "as_of": self.loaded.engine.descriptor.as_of.isoformat(),
            "user_id": self.request.user_id,
            "population": self.answer.population,
            "k": self.request.k,
            "context": dict(self.explanation.context),
            "given": self.request.candidates is not None,
            "items": self.answer.items,
            "scores": self.answer.scores,
            **({} if self.answer.propensities is None else self._drawn()),
            "features": {
                name: [None if math.isnan(value) else value for value in column]
                for name, column in zip(self.explanation.names, values, strict=True)
            },
        }
        return json.dumps(sealed(plain), ensure_ascii=False, allow_nan=False).encode() + b"\n"

    def _drawn(self) -> dict[str, object]:
        return {"request_id": self.request.request_id, "propensities": self.answer.propensities}


class FeatureLog:
    """Writes what `offer` is given, in the background; `start` and `stop` belong to the application's life."""

    def __init__(
        self, folder: Path, share: float, limits: Limits | None = None, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self.folder, self.share, self.limits, self._now = folder, share, limits or Limits(), now
        self.unlogged = 0
        self._waiting: queue.Queue[_Entry | None] = queue.Queue(self.limits.waiting)
        self._thread = threading.Thread(target=self._run, name="feature-log", daemon=True)
        # A pid alone comes again: in a container it may be the same at every start.
        self._process = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._number = 0
        self._file: BinaryIO | None = None
        self._target = self._temporary = folder
        self._opened = 0.0
        self._day, self._used = "", 0

    def wants(self, user_id: str) -> bool:
        """Tell whether the answers to a user are logged: by a hash of the id, so always or never."""
        number = int(hashlib.md5(f"feature-log:{user_id}".encode(), usedforsecurity=False).hexdigest()[:12], 16)
        return number < self.share * 16**12

    def offer(self, loaded: Loaded, request: Request, answer: Response, explanation: Explanation) -> None:
        """Take in an answer, if there is room; never waits, never fails."""
        try:
            self._waiting.put_nowait(_Entry(self._now(), loaded, request, answer, explanation))
        except queue.Full:
            self.unlogged += 1

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end."""
        self._waiting.put(None)  # waits for room, unlike `offer`: the end must get through
        self._thread.join()

    def _run(self) -> None:
        going = True
        while going:
            try:
                # Without a timeout an old file would stay hidden until the next answer.
                entry = self._waiting.get(timeout=min(1.0, self.limits.file_seconds))
                going = entry is not None
                if entry is not None:
                    self._write(entry)
            except queue.Empty:
                pass
            except Exception:  # a full disk, a folder that went: answers go on
                self.unlogged += 1
                _LOG.exception("the features of an answer could not be logged")
                self._drop()
            self._close_if_due(force=not going)

    def _write(self, entry: _Entry) -> None:
        day = f"{entry.at:%Y-%m-%d}"
        if day != self._day:
            self._close_if_due(force=True)
            self._day, self._used = day, _size(self.folder / f"ds={day}")
        line = entry.line()
        if self._used + len(line) > self.limits.day_bytes:
            self.unlogged += 1
            return
        if self._file is None:
            self._open()
        if self._file is not None:
            self._file.write(line)
            self._used += len(line)

    def _open(self) -> None:
        folder = self.folder / f"ds={self._day}"
        folder.mkdir(parents=True, exist_ok=True)
        self._number += 1
        self._target = folder / f"{self._process}-{self._number:06}.jsonl"
        self._temporary = self._target.with_name(f".{self._target.name}")
        self._file = self._temporary.open("wb")
        self._opened = time.monotonic()  # a clock that is set back would keep the file open

    def _drop(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()

    def _close_if_due(self, *, force: bool) -> None:
        file = self._file
        if file is None:
            return
        old = time.monotonic() - self._opened >= self.limits.file_seconds
        if not (force or old or file.tell() >= self.limits.file_bytes):
            return
        self._file = None
        try:
            with file:
                file.flush()
                os.fsync(file.fileno())  # before the rename: a name that is seen has its bytes
            self._temporary.rename(self._target)
        except OSError:
            _LOG.exception("%s could not be kept", self._target)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir()) if folder.is_dir() else 0
