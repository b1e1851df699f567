"""The registry of a pipeline: its timeline line by line, every published version, every alias."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path

from engine.descriptor import Descriptor
from engine.errors import RESTORE, EngineError
from engine.ranking import load
from tasks.errors import MatineeError, first_line
from tasks.operations.retention import REMOVED, removed_versions
from tasks.operations.verification.faults import AGAIN, FROM_BACKUP, DiskFault, Progress, collected, fault_of
from tasks.store import registry
from tasks.store.files import Home
from tasks.store.registry import Alias
from tasks.store.timeline import TimelineEvent, inspect

MOVED_AGAIN = "publish a day again, which moves the alias, or restore the file from a backup"


@dataclass
class RegistryLook:
    """What is seen of a registry: its faults, as they are found, and the versions that are whole."""

    home: Home
    pipeline: str
    progress: Progress
    versions: int = 0
    whole: list[Descriptor] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The registry."""
        return self.home.registry(self.pipeline)

    def faults(self) -> Iterator[DiskFault]:
        """Look at all of it; a damaged line, version or alias hides none of the others."""
        if not self.folder.is_dir():
            return
        inspection = inspect(self.home, self.pipeline)
        events = inspection.events
        yield from (_fault(problem.place, problem.text, problem.remedy) for problem in inspection.problems)
        contents = {event.version: event.content for event in events}
        there = {path.name: path for path in sorted((self.folder / "versions").glob("[!.]*")) if path.is_dir()}
        for name, folder in there.items():
            self.progress(str(folder.relative_to(self.home.root)))
            self.versions += 1
            yield from self._version(folder, contents.get(name))
        yield from self._gone(contents.keys() - there.keys())
        yield from self._aliases(events)

    def _version(self, path: Path, content: str | None) -> Iterator[DiskFault]:
        if content is None:
            # Without the line the version is no champion of its day, so the next version's gate passes unopposed.
            remedy = f"restore timeline.jsonl and timeline_head.json from a backup, or {AGAIN}"
            yield _fault(path, "the timeline does not name this version", remedy)
        try:
            descriptor = load(path, content=content).descriptor
        except EngineError as error:
            said = first_line(error).removeprefix(f"{path}/").removesuffix(RESTORE).rstrip(" ;")
            yield _fault(path, said, f"{FROM_BACKUP}, or remove the folder and {AGAIN}")
            return
        except Exception as error:  # a library met something that its own checks did not foresee
            yield fault_of("registry", path, error, f"{FROM_BACKUP}, or remove the folder and {AGAIN}")
            return
        if descriptor.version != path.name:
            yield _fault(path, f"found the version {descriptor.version} in this folder", f"{FROM_BACKUP}, or {AGAIN}")
            return
        self.whole.append(descriptor)

    def _gone(self, names: set[str]) -> Iterator[DiskFault]:
        removed: set[str] = set()
        try:
            removed = removed_versions(self.home, self.pipeline)
        except MatineeError as error:
            yield fault_of("registry", self.folder / REMOVED, error, FROM_BACKUP)
        for name in sorted(names - removed):
            problem = "the timeline names this version, but its folder is not there"
            yield _fault(self.folder / "versions" / name, problem, f"{FROM_BACKUP}, or {AGAIN}")

    def _aliases(self, events: Sequence[TimelineEvent]) -> Iterator[DiskFault]:
        there = {path.stem: path for path in sorted((self.folder / "aliases").glob("[!.]*.json"))}
        live = {event.alias: event.version for event in events if event.live}
        for name in sorted(live.keys() - there.keys()):
            problem = f"no such file, though the timeline says that {live[name]} went live under this alias"
            yield _fault(self.folder / "aliases" / f"{name}.json", problem, MOVED_AGAIN)
        for path in there.values():
            yield from collected("registry", path, Alias.REMEDY, partial(self._alias, path, events))

    def _alias(self, path: Path, events: Sequence[TimelineEvent]) -> Iterator[DiskFault]:
        pointer = Alias.read(path)
        if not registry.version_dir(self.home, self.pipeline, pointer.version).is_dir():
            yield _fault(path, f"it points at {pointer.version}, whose folder is not there", MOVED_AGAIN)
        of_version = [event for event in events if (event.version, event.alias) == (pointer.version, path.stem)]
        if not of_version:
            yield _fault(path, f"it points at {pointer.version}, which the timeline does not name", MOVED_AGAIN)
        elif (pointer.as_of, pointer.content) != (of_version[-1].as_of, of_version[-1].content):
            expected = of_version[-1]
            problem = f"found the day {pointer.as_of} and the content {pointer.content[:12]}…, expected "
            expected_words = f"{expected.as_of} and {expected.content[:12]}… as in the timeline"
            yield _fault(path, f"{problem}{expected_words}", MOVED_AGAIN)
        last = max((event.as_of for event in events if event.alias == path.stem and event.live), default=date.min)
        if of_version and of_version[-1].as_of < last:
            yield _fault(path, f"it points at {of_version[-1].as_of}, though {last} was live", MOVED_AGAIN)


def _fault(place: Path | str, problem: str, remedy: str) -> DiskFault:
    return DiskFault(part="registry", place=str(place), problem=problem, next=remedy)
