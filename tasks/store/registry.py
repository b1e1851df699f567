"""Published versions, and the pointer to the champion.

A version's folder is written once and never changed. The alias is moved by compare-and-swap under a lock and never
backwards in as-of days. What became of both is in the timeline (`tasks/store/timeline.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from tasks.errors import RegistryError
from tasks.store.atomic import locked, sync, sync_tree
from tasks.store.files import Home, contents, safe_name
from tasks.store.records import PlainName, SealedRecord, Sha256
from tasks.store.timeline import TimelineEvent, append, content_of, settle_head, timeline, timeline_path

LOCK_SECONDS = 120


class Alias(SealedRecord):
    """What an alias points at: the name, day and content digest of a version."""

    # Publishing reads the alias first, so that it never goes back: a damaged one has to be out of the way.
    REMEDY = (
        "publish the last day again once this file is removed, or restore it from a backup; see also `matinee verify`"
    )

    version: PlainName
    as_of: date
    content: Sha256


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    busy = "another process is writing to the registry; try again"
    with locked(folder / ".lock", busy, seconds=LOCK_SECONDS, error=RegistryError):
        yield


def version_dir(home: Home, pipeline: str, version: str) -> Path:
    """Locate the folder of a version; it need not exist."""
    return home.registry(pipeline) / "versions" / safe_name(version)


def add_version(home: Home, pipeline: str, version: str, built: Path, content: str) -> bool:
    """Move a finished folder into the registry; return False when the same version is there already.

    Args:
        home: where the registry is.
        pipeline: whose version it is.
        version: its name.
        built: the folder.
        content: its content digest.

    Raises:
        RegistryError: the version is or was there with other contents: equal inputs gave unequal outputs.
    """
    target = version_dir(home, pipeline, version)
    with _locked(home.registry(pipeline)):
        if target.exists():
            there, new = contents(target), contents(built)
            if there != new:
                differing = sorted(name for name in there.keys() | new.keys() if there.get(name) != new.get(name))
                raise RegistryError(
                    f"{target}: this version is published already with other contents ({', '.join(differing)}); "
                    "versions never change. Equal inputs gave unequal outputs: compare the two runs' files, or "
                    "remove the published version if it was damaged"
                )
            return False
        _refuse_other_content(home, pipeline, version, content)
        # Everything is on the disk before the rename makes it a version; the parent's entry follows.
        sync_tree(built)
        target.parent.mkdir(parents=True, exist_ok=True)
        built.rename(target)
        sync(target.parent)
    return True


def _refuse_other_content(home: Home, pipeline: str, version: str, content: str) -> None:
    """Keep a name from standing for two contents, although the folder of the first is gone."""
    before = content_of(home, pipeline, version)
    if before is not None and before != content:
        raise RegistryError(
            f"{timeline_path(home, pipeline)}: the version {version} was published with the content "
            f"{before[:12]}…; found {content[:12]}…. Versions never change. Equal "
            "inputs gave unequal outputs: restore the version's folder from a backup, or publish on a machine like "
            "the first one"
        )


def alias(home: Home, pipeline: str, name: str) -> Alias | None:
    """Read what an alias points at; None before anything was published."""
    path = _alias_path(home, pipeline, name)
    return Alias.read(path) if path.exists() else None


def _alias_path(home: Home, pipeline: str, name: str) -> Path:
    return home.registry(pipeline) / "aliases" / f"{name}.json"


def move_alias(home: Home, pipeline: str, event: TimelineEvent) -> bool:
    """Point an alias at a version unless it points at a later day; record it in the timeline either way.

    Args:
        home: where the registry is.
        pipeline: whose alias it is.
        event: the version, the alias, and what the timeline says of them; `live` is set here.

    Returns:
        Whether the alias points at the version now.
    """
    with _locked(home.registry(pipeline)):
        current = alias(home, pipeline, event.alias)
        # A new version of the same day takes over: it was made from a corrected landing or by other code.
        moves = current is None or current.as_of <= event.as_of
        moved = moves and (current is None or current.version != event.version)
        # First the timeline and its head, then the alias: killed in between, the next publication of the version moves
        # the alias.
        _record(home, pipeline, event.model_copy(update={"live": moves}), moved)
        if moved:
            pointer = Alias(version=event.version, as_of=event.as_of, content=event.content)
            pointer.write(_alias_path(home, pipeline, event.alias))
    return moves


def withdraw(home: Home, pipeline: str, event: TimelineEvent) -> None:
    """Record that a published version, evaluated again, did not pass: it is no champion of its day any more.

    The alias is left where it is: what is served is changed by people, or by a later version.
    """
    with _locked(home.registry(pipeline)):
        _record(home, pipeline, event.model_copy(update={"withdrawn": True, "live": False}), False)


def _record(home: Home, pipeline: str, event: TimelineEvent, moved: bool) -> None:
    """Append an event to the timeline, unless it repeats the last one of its day and of what is live."""
    events = [earlier for earlier in timeline(home, pipeline) if earlier.alias == event.alias]
    of_day = [earlier for earlier in events if earlier.as_of == event.as_of]
    last = next((earlier for earlier in reversed(events) if earlier.version == event.version), None)
    # A version that is published again gets a new line if its figures are new, if another version of its day was
    # recorded since, or if the alias comes back to it. Otherwise every repeated step would add a line.
    news = last is None or last.model_copy(update={"live": event.live}) != event
    overtaken = [earlier.version for earlier in of_day][-1:] != [event.version]
    left = moved and [earlier.version for earlier in events if earlier.live][-1:] != [event.version]
    if news or overtaken or left:
        append(home, pipeline, event)
    settle_head(home, pipeline)
