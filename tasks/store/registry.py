"""Published versions, the pointer to the champion, and the timeline.

A version's folder is written once and never changed. The alias is moved by compare-and-swap under a lock and never
backwards in as-of days. The timeline is append-only: which version from when, why, by which run, measured how.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from json import JSONDecoder
from pathlib import Path
from typing import Any

from pydantic import Field

from engine.sealed import sealed, unsealed
from tasks.errors import RegistryError
from tasks.store.atomic import locked, sync, sync_tree
from tasks.store.files import Home, contents, safe_name
from tasks.store.records import PlainName, Record, SealedRecord, Sha256

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


class TimelineEvent(Record):
    """A line of the timeline: a version was published, compared anew, or withdrawn.

    Attributes:
        version: its name.
        alias: under which it was published.
        as_of: its day.
        content: digest of all its artifacts.
        why: one sentence.
        run: `<pipeline>/<as-of day>`.
        metrics: of the model on the held-out window.
        champion: the version that it was compared with; None if nothing was published before.
        against_champion: verdicts of the gates that compare with the champion.
        live: whether the alias pointed at it, or at an equal day, afterwards; set by the registry.
        withdrawn: whether it is no champion of its day any more.
    """

    version: PlainName
    alias: PlainName
    as_of: date
    content: Sha256
    why: str = ""
    run: str = ""
    metrics: dict[str, float | None] = Field(default_factory=dict)
    champion: PlainName | None = None
    against_champion: tuple[dict[str, Any], ...] = ()
    live: bool = False
    withdrawn: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the line as plain JSON values, without the keys that nobody gave."""
        return self.model_dump(mode="json", exclude_unset=True)


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
            f"{home.registry(pipeline) / 'timeline.jsonl'}: the version {version} was published with the content "
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
        # First the timeline, then the alias: killed in between, the next publication of the version moves the alias.
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
        _append(home.registry(pipeline) / "timeline.jsonl", event)


def verdict_on(home: Home, pipeline: str, name: str, version: str) -> TimelineEvent | None:
    """Find the last event of a version under an alias; None if it was never published there."""
    events = (event for event in reversed(timeline(home, pipeline)) if (event.version, event.alias) == (version, name))
    return next(events, None)


def content_of(home: Home, pipeline: str, version: str) -> str | None:
    """Find the content digest that the timeline has for a version; None if it was never published."""
    return next((event.content for event in reversed(timeline(home, pipeline)) if event.version == version), None)


def _append(path: Path, event: TimelineEvent) -> None:
    complete = _complete(path.read_bytes()) if path.exists() else b""
    with path.open("ab") as stream:
        stream.truncate(len(complete))  # what a killed writer left of a line, or the next line would join it
        stream.write(json.dumps(sealed(event.to_json()), sort_keys=True).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def _complete(content: bytes) -> bytes:
    """Keep the lines that have an end; a last one without was being written when its process died."""
    return content[: content.rfind(b"\n") + 1]


def _lost_its_end(content: bytes) -> bool:
    """Whether behind the last line end there is a whole line with something else in the place of its end."""
    rest = content[len(_complete(content)) :].decode("utf-8", errors="replace")
    try:
        return JSONDecoder().raw_decode(rest)[1] < len(rest)
    except ValueError:
        return False


def timeline(home: Home, pipeline: str) -> list[TimelineEvent]:
    """Read the timeline's events in the order in which they were written.

    Raises:
        RegistryError: a line is torn, changed, or has other keys; or the file is gone, though something was published.
    """
    # Read without the lock: a line that is still being written has no line end, and is left out.
    path = home.registry(pipeline) / "timeline.jsonl"
    if not path.exists():
        _refuse_lost(home, pipeline, "missing")
        return []
    events, content = [], path.read_bytes()
    for number, line in numbered_lines(path):
        event = parse_line(line)
        if event is None:
            raise RegistryError(f"{path}:{number}: a torn line; restore the file from a backup")
        events.append(event)
    if _lost_its_end(content):
        # Taken for one that was being written, the event would be gone: another version would be the champion.
        raise RegistryError(f"{path}:{len(events) + 1}: a line without its end; restore the file from a backup")
    if not events:
        _refuse_lost(home, pipeline, "without a line")
    return events


def _refuse_lost(home: Home, pipeline: str, found: str) -> None:
    # An alias moves after its line is written, so one without a timeline has lost it. Taken for an empty one, no
    # version would have a champion to beat.
    if aliases := sorted((home.registry(pipeline) / "aliases").glob("*.json")):
        raise RegistryError(
            f"{home.registry(pipeline) / 'timeline.jsonl'}: {found}, though {aliases[0]} points at a version that it "
            "must name; restore it from a backup, or remove the alias and run the days again, oldest first; see also "
            "`matinee verify`"
        )


def numbered_lines(path: Path) -> list[tuple[int, bytes]]:
    """Read the lines of a timeline that have an end, each with its number from 1."""
    return list(enumerate(_complete(path.read_bytes()).split(b"\n")[:-1], start=1))


def parse_line(line: bytes) -> TimelineEvent | None:
    """Read a line of a timeline; None if it is torn, or has other keys."""
    try:
        return TimelineEvent.model_validate(unsealed(json.loads(line)))
    except (ValueError, RecursionError):
        return None
