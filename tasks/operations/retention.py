"""What is older than a pipeline file wants it kept (`keep`), and is needed by nothing.

Landing and timeline are never among it: everything else can be made again from the one, and the other says what was.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from tasks.errors import MatineeError
from tasks.evaluation.champion import valid_versions
from tasks.operations.leftovers import OLD_ENOUGH
from tasks.spec.spec import Spec
from tasks.store import registry, run_files
from tasks.store.files import Home
from tasks.store.records import PlainName, Record
from tasks.store.timeline import timeline

REMOVED = "removed.jsonl"


class RemovedVersion(Record):
    """A line of `removed.jsonl`: a version that had outlived its time."""

    version: PlainName
    as_of: date


FINISHED = "report/result.json"
"""What a run writes last, whether it went well or not."""


@dataclass(frozen=True)
class Outlived:
    """Something that has outlived its time.

    Attributes:
        kind: runs, tunings, retrieval or versions.
        path: its folder.
        day: its as-of day, or cut.
    """

    kind: str
    path: Path
    day: date

    @property
    def bytes(self) -> int:
        """Size of all that is in it."""
        return sum(path.lstat().st_size for path in self.path.rglob("*") if not path.is_dir())


def under_way(home: Home, pipeline: str, now: datetime, age: timedelta = OLD_ENOUGH) -> list[Path]:
    """List the attempts of a pipeline that may be under way: without a report of what they did last.

    Args:
        home: the state folder.
        pipeline: whose.
        now: the clock.
        age: an attempt that wrote nothing for so long was killed: nobody goes on from it.
    """
    attempts = [
        attempt.dir for day in run_files.days(home, pipeline) for attempt in run_files.attempts(home, pipeline, day)
    ]
    return sorted(
        folder
        for folder in attempts
        if now.timestamp() - _written(folder) < age.total_seconds() and not _finished(folder)
    )


def _written(attempt: Path) -> float:
    """When a step last began or ended: each writes beside its folder, in the attempt's or one of a population's."""
    return max(path.stat().st_mtime for path in (attempt, *attempt.iterdir()))


def _finished(attempt: Path) -> bool:
    report = attempt / FINISHED
    # A hidden folder is of a step that works. A day that is run again in the same attempt has results after its report.
    if not report.exists() or any(attempt.glob(".*")) or any(attempt.glob("*/.*")):
        return False
    last = report.stat().st_mtime_ns
    return all(
        path.stat().st_mtime_ns <= last for path in (*attempt.glob("*/result.json"), *attempt.glob("*/*/result.json"))
    )


def outlived(spec: Spec, home: Home, today: date) -> list[Outlived]:
    """List what has outlived its time, by kind and day.

    Args:
        spec: the pipeline.
        home: its state.
        today: the day from which ages are counted.
    """
    keep = spec.keep
    outdated: list[Outlived] = []
    if keep.runs is not None:
        first = today - timedelta(days=keep.runs)
        outdated += [
            Outlived("runs", home.runs(spec.name, day), day) for day in run_files.days(home, spec.name) if day < first
        ]
        outdated += [each for each in _dated("tunings", home.tunings(spec.name), "as-of=") if each.day < first]
    if keep.retrieval is not None:
        first = today - timedelta(days=keep.retrieval)
        outdated += [each for each in _dated("retrieval", home.retrieval(spec.name), "cut=") if each.day < first]
    if keep.versions is not None:
        outdated += _versions(spec, home, today - timedelta(days=keep.versions))
    return outdated


def _dated(kind: str, folder: Path, prefix: str) -> Iterator[Outlived]:
    for path in sorted(folder.glob(f"{prefix}*")):
        try:
            yield Outlived(kind, path, date.fromisoformat(path.name.removeprefix(prefix)))
        except ValueError:
            continue  # a folder that somebody else put there


def _versions(spec: Spec, home: Home, first: date) -> list[Outlived]:
    """List versions of days before `first`, without those that are pointed at, or that a later day is compared with."""
    folder = home.registry(spec.name)
    needed = {
        pointer.version
        for path in (folder / "aliases").glob("*.json")
        if (pointer := registry.alias(home, spec.name, path.stem)) is not None
    }
    old = [event for event in valid_versions(home, spec) if event.as_of < first]
    # The gate of the first day that is kept compares with the champion before it.
    needed |= {event.version for event in old[-1:]}
    days = {event.version: event.as_of for event in timeline(home, spec.name)}
    # A folder that the timeline does not name yet is being published.
    candidates = [(days[path.name], path) for path in (folder / "versions").glob("[!.]*") if path.name in days]
    return [
        Outlived("versions", path, day) for day, path in sorted(candidates) if day < first and path.name not in needed
    ]


def remove(each: Outlived) -> None:
    """Remove a folder: first its name, so that nobody sees half of it, then its content."""
    hidden = each.path.with_name(f".removed-{each.path.name}")
    shutil.rmtree(hidden, ignore_errors=True)  # of an earlier removal that was killed
    if each.kind == "versions":
        # Before the folder goes: a version that is missing without this line is a fault (`matinee verify`).
        with (each.path.parents[1] / REMOVED).open("ab+") as stream:
            stream.seek(0)
            # What a killed removal left of a line goes, or the next line would join it.
            stream.truncate(stream.read().rfind(b"\n") + 1)
            removed = RemovedVersion(version=each.path.name, as_of=each.day)
            stream.write(json.dumps(removed.to_json()).encode() + b"\n")
    each.path.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def removed_versions(home: Home, pipeline: str) -> set[str]:
    """Name the versions that were removed because they had outlived their time.

    Raises:
        MatineeError: a line is torn, or has other keys.
    """
    path = home.registry(pipeline) / REMOVED
    if not path.exists():
        return set()
    names = set()
    # Without what is behind the last line end: its process was killed before it removed anything.
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            names.add(RemovedVersion.model_validate_json(line).version)
        except ValueError:
            raise MatineeError(f"{path}:{number}: a torn line; restore the file from a backup") from None
    return names
