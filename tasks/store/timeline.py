"""The timeline of a registry: which version from when, why, by which run, measured how; append-only.

    {…the event…, "line": 1, "before": "", "checksum": "3f9a…"}
    {…the event…, "line": 2, "before": "3f9a…", "checksum": "71c0…"}

A line names its place and the checksum of the line before it, and `timeline_head.json` names the last one. So whoever
reads the timeline notices a line that is lost, moved or put in: without it, another version would be the champion of
its day, and the next version's gate would pass unopposed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from json import JSONDecoder
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from engine.sealed import CHECKSUM, sealed, unsealed
from tasks.errors import MatineeError, RegistryError, count_of
from tasks.store.files import Home
from tasks.store.records import PlainName, Record, SealedRecord, Sha256

REMEDY = (
    "restore timeline.jsonl and timeline_head.json from a backup, or remove both and aliases/ beside them and run the "
    "days again, oldest first; see also `matinee verify`"
)
FROM_BEFORE = (
    "State from before 0.1 is not migrated: keep `landing/`, delete the rest of MATINEE_HOME, and run the days again, "
    "oldest first"
)
LINK = ("line", "before")


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


class _Link(Record):
    """What a line says of its place: its number from 1, and the checksums of the line before it and of itself."""

    line: Annotated[int, Field(ge=1, strict=True)]
    before: Literal[""] | Sha256
    checksum: Sha256


class TimelineHead(SealedRecord):
    """Which line of a timeline is the last one: how many there are, and its checksum.

    A file of its own, as an alias says nothing of the lines behind its own: of backfills and of withdrawn versions.
    """

    REMEDY = REMEDY

    lines: Annotated[int, Field(ge=1, strict=True)]
    last: Sha256


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a timeline.

    Attributes:
        place: the file, with the number of the line where it is one.
        text: what was found, and what was expected.
        remedy: what to do.
    """

    place: str
    text: str
    remedy: str = REMEDY


@dataclass(frozen=True)
class Inspection:
    """A timeline as it is on the disk: the events that can be read, and all that is wrong."""

    events: tuple[TimelineEvent, ...]
    problems: tuple[Problem, ...]


def timeline_path(home: Home, pipeline: str) -> Path:
    """Locate the timeline of a pipeline; it need not exist."""
    return home.registry(pipeline) / "timeline.jsonl"


def _head_path(home: Home, pipeline: str) -> Path:
    return home.registry(pipeline) / "timeline_head.json"


def timeline(home: Home, pipeline: str) -> list[TimelineEvent]:
    """Read the timeline's events in the order in which they were written.

    Raises:
        RegistryError: a line is torn, changed, lost or not in its place; or the file is gone, though something was
            published.
    """
    inspection = inspect(home, pipeline)
    for problem in inspection.problems:
        raise RegistryError(f"{problem.place}: {problem.text}; {problem.remedy}")
    return list(inspection.events)


def verdict_on(home: Home, pipeline: str, name: str, version: str) -> TimelineEvent | None:
    """Find the last event of a version under an alias; None if it was never published there."""
    events = (event for event in reversed(timeline(home, pipeline)) if (event.version, event.alias) == (version, name))
    return next(events, None)


def content_of(home: Home, pipeline: str, version: str) -> str | None:
    """Find the content digest that the timeline has for a version; None if it was never published."""
    return next((event.content for event in reversed(timeline(home, pipeline)) if event.version == version), None)


def append(home: Home, pipeline: str, event: TimelineEvent) -> None:
    """Write an event behind the last line of a whole timeline; its head follows (`settle_head`)."""
    path = timeline_path(home, pipeline)
    complete = _complete(path.read_bytes()) if path.exists() else b""
    last = _link(_lines(complete)[-1]) if complete else None
    link = {"line": last.line + 1, "before": last.checksum} if last else {"line": 1, "before": ""}
    with path.open("ab") as stream:
        stream.truncate(len(complete))  # what a killed writer left of a line, or the next line would join it
        stream.write(json.dumps(sealed({**event.to_json(), **link}), sort_keys=True).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def settle_head(home: Home, pipeline: str) -> None:
    """Let the head name the last line of a whole timeline, also of one whose writer was killed before it did."""
    path, lines = _head_path(home, pipeline), _lines(timeline_path(home, pipeline).read_bytes())
    head = TimelineHead(lines=len(lines), last=_link(lines[-1]).checksum)
    if not path.exists() or TimelineHead.read(path) != head:
        head.write(path)


def inspect(home: Home, pipeline: str) -> Inspection:
    """Read a timeline from end to end, and find everything that is wrong with it."""
    path, problems = timeline_path(home, pipeline), []
    # Read without the lock, and the head first: what is written meanwhile is only behind the line that the head names.
    try:
        head = _head(home, pipeline)
    except MatineeError as error:
        said = str(error).removeprefix(f"{_head_path(home, pipeline)}: ").removesuffix(REMEDY).rstrip(" ;:")
        head, problems = None, [Problem(str(_head_path(home, pipeline)), said)]
    if not path.exists():
        return Inspection((), (*problems, *_lost(home, pipeline, "missing")))
    content = path.read_bytes()
    lines = _lines(content)
    events, torn = _followed(path, lines)
    problems += torn
    if _lost_its_end(content):
        # Taken for one that was being written, the event would be gone: another version would be the champion.
        problems.append(Problem(f"{path}:{len(lines) + 1}", "a line without its end"))
    if not lines:
        problems += _lost(home, pipeline, "without a line")
    elif not problems:
        problems += _of_the_end(home, pipeline, head, lines)
    return Inspection(tuple(events), tuple(problems))


def _head(home: Home, pipeline: str) -> TimelineHead | None:
    path = _head_path(home, pipeline)
    return TimelineHead.read(path) if path.exists() else None


def _followed(path: Path, lines: Sequence[bytes]) -> tuple[list[TimelineEvent], list[Problem]]:
    """Read the events of all lines, each of which has to name the one before it."""
    events: list[TimelineEvent] = []
    problems: list[Problem] = []
    number = 1
    before: str | None = ""  # None behind a line that cannot be read
    for place, line in enumerate(lines, start=1):
        try:
            event, link = _event(line), _link(line)
        except (ValueError, RecursionError):
            problems.append(_unread(f"{path}:{place}", line))
            number, before = number + 1, None
            continue
        events.append(event)
        if link.line != number:
            text = f"found the line that was written as line {link.line}, expected line {number}"
            problems.append(Problem(f"{path}:{place}", f"{text}: lines are lost or not in their places"))
        elif before is not None and link.before != before:
            text = f"found a line that was written behind the checksum {link.before[:12]}…, expected {before[:12]}…"
            problems.append(Problem(f"{path}:{place}", f"{text}: the line before it is another"))
        number, before = link.line + 1, link.checksum
    return events, problems


def _unread(place: str, line: bytes) -> Problem:
    """Say why a line cannot be read."""
    try:
        TimelineEvent.model_validate(unsealed(json.loads(line)))
    except (ValueError, RecursionError):
        return Problem(place, "a torn line, expected an event of the timeline")
    text = "found a line without `line` and `before`, expected one that names the line before it"
    return Problem(place, text, FROM_BEFORE)


def _of_the_end(home: Home, pipeline: str, head: TimelineHead | None, lines: Sequence[bytes]) -> Iterator[Problem]:
    """Compare a chain that is whole with its head: it may go on behind the line that is named, but not end before."""
    path, at = timeline_path(home, pipeline), _head_path(home, pipeline)
    if head is None:
        # A first line without a head: its writer was killed in between. Or two were written since the head was read.
        if len(lines) > 1 and _head(home, pipeline) is None:
            yield Problem(str(at), f"missing, expected one that names the last of {len(lines)} lines of {path.name}")
    elif head.lines > len(lines):
        yield Problem(
            str(path), f"found {count_of(len(lines), 'line')}, expected {head.lines} as in {at.name}: the end is lost"
        )
    elif (found := _link(lines[head.lines - 1]).checksum) != head.last:
        text = f"found the checksum {found[:12]}…, expected {head.last[:12]}… as in {at.name}: another line was there"
        yield Problem(f"{path}:{head.lines}", text)


def _lost(home: Home, pipeline: str, found: str) -> Iterator[Problem]:
    # An alias and the head are written after a line, so one without a timeline has lost it. Taken for an empty one, no
    # version would have a champion to beat.
    witnesses = [*sorted((home.registry(pipeline) / "aliases").glob("*.json")), _head_path(home, pipeline)]
    for path in [path for path in witnesses if path.exists()][:1]:
        yield Problem(str(timeline_path(home, pipeline)), f"{found}, though {path} names what must be in it")


def _complete(content: bytes) -> bytes:
    """Keep the lines that have an end; a last one without was being written when its process died."""
    return content[: content.rfind(b"\n") + 1]


def _lines(content: bytes) -> list[bytes]:
    return _complete(content).split(b"\n")[:-1]


def _lost_its_end(content: bytes) -> bool:
    """Whether behind the last line end there is a whole line with something else in the place of its end."""
    rest = content[len(_complete(content)) :].decode("utf-8", errors="replace")
    try:
        return JSONDecoder().raw_decode(rest)[1] < len(rest)
    except ValueError:
        return False


def _event(line: bytes) -> TimelineEvent:
    """Read the event of a line; ValueError if it is torn, changed, or has other keys."""
    value = unsealed(json.loads(line))
    if not isinstance(value, dict):
        raise ValueError("expected an object")
    return TimelineEvent.model_validate({key: entry for key, entry in value.items() if key not in LINK})


def _link(line: bytes) -> _Link:
    """Read what a line says of its place; ValueError if it says nothing."""
    value = json.loads(line)
    return _Link.model_validate({key: value[key] for key in (*LINK, CHECKSUM) if key in value})
