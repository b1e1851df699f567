"""Follows a pipeline's alias: loads the version it names, and keeps the old one where the new one does not load."""

from __future__ import annotations

import json
import logging
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from engine.errors import EngineError
from engine.ranking import Engine, load
from engine.sealed import unsealed

_LOG = logging.getLogger("matinee.serving")
_CONTENT = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=:@-]*")  # a folder's name: no slash, no dot first
_AGAIN = "publish a day again, which moves the alias, or restore the file from a backup"


@dataclass(frozen=True)
class Loaded:
    """The served version. `refused` says why the alias' version is not the served one, if it is not."""

    engine: Engine
    version: str
    refused: str | None = None


@dataclass(frozen=True)
class Pointer:
    """What an alias points at: the name of a version, and its content digest."""

    version: str
    content: str


def read_alias(registry: Path, pipeline: str, alias: str = "champion") -> Pointer:
    """Return what the alias points at; raise `EngineError` if there is none or it is malformed."""
    path = registry / pipeline / "aliases" / f"{alias}.json"
    try:
        pointer = unsealed(json.loads(path.read_text(encoding="utf-8")))
        version, content = pointer["version"], pointer["content"]
    except FileNotFoundError:
        raise EngineError(f"{path}: no such alias; publish a version of {pipeline!r} first") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        expected = 'expected {"version": …, "content": …}'
        raise EngineError(f"{path}: not readable ({type(error).__name__}), {expected}; {_AGAIN}") from None
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise EngineError(f"{path}: {str(version)[:80]!r} is no version; {_AGAIN}")
    if not isinstance(content, str) or not _CONTENT.fullmatch(content):
        raise EngineError(f"{path}: {str(content)[:80]!r} is no content digest; {_AGAIN}")
    return Pointer(version, content)


class Champion:
    """The engine that answers now. `current` is safe to call from any thread and never waits for a load."""

    def __init__(self, registry: Path, pipeline: str, alias: str = "champion") -> None:
        self._registry, self._pipeline, self._alias = registry, pipeline, alias
        self._lock = threading.Lock()
        pointer = read_alias(registry, pipeline, alias)
        self._tried: Pointer | None = pointer
        self._loaded = Loaded(self._load(pointer), pointer.version)

    @property
    def current(self) -> Loaded:
        """The served version."""
        # Replaced as a whole by one assignment, so readers need no lock.
        return self._loaded

    def follow(self) -> bool:
        """Load the alias' version if it is a new one; return whether the served version changed.

        A version that is refused is not tried again until the alias moves.
        """
        with self._lock:
            served = self._loaded
            try:
                pointer = self._moved()
                if pointer is None:
                    return False
                self._loaded = Loaded(self._load(pointer), pointer.version)
            except EngineError as error:
                if served.refused != str(error):  # once, not at every poll
                    _LOG.error("%s is still served: %s", served.version, error)
                self._loaded = Loaded(served.engine, served.version, str(error))
                return False
            _LOG.info("%s is served", pointer.version)
            return True

    def _moved(self) -> Pointer | None:
        """Return what the alias points at if it is neither the served version nor the one refused last."""
        # Forgotten while the alias is read: if that fails, the next version that is read counts as new.
        served, tried, self._tried = self._loaded, self._tried, None
        self._tried = pointer = read_alias(self._registry, self._pipeline, self._alias)
        if pointer == Pointer(served.version, served.engine.descriptor.content):
            self._loaded = Loaded(served.engine, served.version)  # the alias moved back: nothing is refused
            return None
        return None if pointer == tried else pointer

    def watch(self, stop: threading.Event, seconds: float) -> None:
        """Follow the alias every so many seconds until told to stop."""
        while not stop.wait(seconds):
            self.follow()

    def _load(self, pointer: Pointer) -> Engine:
        folder = self._registry / self._pipeline / "versions" / pointer.version
        engine = load(folder, content=pointer.content)
        # The content digest covers the artifacts, not the name that the descriptor gives itself.
        if engine.descriptor.version != pointer.version:
            raise EngineError(f"the folder of {pointer.version} holds version {engine.descriptor.version}: not served")
        return engine
