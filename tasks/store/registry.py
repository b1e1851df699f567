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
from pathlib import Path
from typing import Any

from tasks.errors import RegistryError
from tasks.store.files import Home, locked, read_json, safe_name, sha256_file, sync_tree, write_json

LOCK_SECONDS = 120


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    busy = "another process is writing to the registry; try again"
    with locked(folder / ".lock", busy, seconds=LOCK_SECONDS, error=RegistryError):
        yield


def version_dir(home: Home, pipeline: str, version: str) -> Path:
    """Return the folder of a version."""
    return home.registry(pipeline) / "versions" / safe_name(version)


def contents(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file below a folder."""
    return {str(p.relative_to(folder)): sha256_file(p) for p in sorted(folder.rglob("*")) if p.is_file()}


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
        sync_tree(built)
        target.parent.mkdir(parents=True, exist_ok=True)
        built.rename(target)
        _sync(target.parent)
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


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def alias(home: Home, pipeline: str, name: str) -> dict[str, Any] | None:
    """Return what an alias points at: `{"version", "as_of", "content"}`, or None."""
    path = home.registry(pipeline) / "aliases" / f"{name}.json"
    if not path.exists():
        return None
    found: dict[str, Any] = read_json(path)
    return found


def move_alias(home: Home, pipeline: str, name: str, version: str, as_of: date, event: dict[str, Any]) -> bool:
    """Point the alias at a version unless it points at a later day; record it in the timeline either way.

    Args:
        home: where the registry is.
        pipeline: whose alias it is.
        name: of the alias.
        version: to point at.
        as_of: the version's day.
        event: the rest of the timeline's line; `content`, the version's content digest, is kept in the alias, too.

    Returns:
        Whether the alias points at the version now.
    """
    with _locked(home.registry(pipeline)):
        current = alias(home, pipeline, name)
        moves = current is None or date.fromisoformat(current["as_of"]) <= as_of
        moved = moves and (current is None or current["version"] != version)
        _record(home, pipeline, {**event, "version": version, "alias": name, "as_of": as_of.isoformat()}, moves, moved)
        if moved:
            path = home.registry(pipeline) / "aliases" / f"{name}.json"
            write_json(path, {"version": version, "as_of": as_of.isoformat(), "content": event["content"]})
    return moves


def withdraw(home: Home, pipeline: str, name: str, version: str, as_of: date, event: dict[str, Any]) -> None:
    """Record that a published version, judged again, did not hold: it is no champion of its day any more.

    The alias is left where it is: what is served is changed by people, or by a later version.
    """
    with _locked(home.registry(pipeline)):
        line = {**event, "version": version, "alias": name, "as_of": as_of.isoformat(), "withdrawn": True}
        _record(home, pipeline, line, False, False)


def _record(home: Home, pipeline: str, line: dict[str, Any], live: bool, moved: bool) -> None:
    """Append a line to the timeline, unless it says what is there already, last of its day and of what is live."""
    events = [event for event in timeline(home, pipeline) if event["alias"] == line["alias"]]
    of_day = [event for event in events if event["as_of"] == line["as_of"]]
    last = next((event for event in reversed(events) if event["version"] == line["version"]), None)
    news = last is None or {**last, "live": live} != {**line, "live": live}
    overtaken = [event["version"] for event in of_day][-1:] != [line["version"]]
    left = moved and [event["version"] for event in events if event["live"]][-1:] != [line["version"]]
    if news or overtaken or left:
        _append(home.registry(pipeline) / "timeline.jsonl", {**line, "live": live})


def verdict_on(home: Home, pipeline: str, name: str, version: str) -> dict[str, Any] | None:
    """Return the last line of the timeline on a version; None if it was never published."""
    return next(
        (line for line in reversed(timeline(home, pipeline)) if (line["version"], line["alias"]) == (version, name)),
        None,
    )


def content_of(home: Home, pipeline: str, version: str) -> str | None:
    """Return the content digest that the timeline has for a version; None if it was never published."""
    events = (event for event in reversed(timeline(home, pipeline)) if event["version"] == version)
    return next((event["content"] for event in events), None)


def _append(path: Path, line: dict[str, Any]) -> None:
    complete = _complete(path.read_bytes()) if path.exists() else b""
    with path.open("ab") as stream:
        stream.truncate(len(complete))
        stream.write(json.dumps(line, sort_keys=True).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def _complete(content: bytes) -> bytes:
    """Return the lines that have an end; a last one without was being written when its process died."""
    return content[: content.rfind(b"\n") + 1]


def timeline(home: Home, pipeline: str) -> list[dict[str, Any]]:
    """Return the timeline's events in the order in which they were written."""
    path = home.registry(pipeline) / "timeline.jsonl"
    if not path.exists():
        return []
    events = []
    for number, text in enumerate(_complete(path.read_bytes()).splitlines(), start=1):
        try:
            events.append(json.loads(text))
        except ValueError:
            raise RegistryError(f"{path}:{number}: a torn line; restore the file from a backup") from None
    return events
