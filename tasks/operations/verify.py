"""Whether what lies on disk is whole: every landed partition, every published version, the tables and their ledger.

Nothing is written. Each fault says where it is, what was found and expected, and what to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

from engine.errors import EngineError
from engine.ranking import load
from tasks.errors import MatineeError, first_line
from tasks.features.engines import warehouse_of
from tasks.features.ledger import models
from tasks.operations.retention import removed_versions
from tasks.runs.failures import explained
from tasks.store import registry, run_files
from tasks.store.files import Home, sha256_file
from tasks.store.partitions import Manifest, read_manifest
from tasks.store.records import Record
from tasks.store.registry import Alias, TimelineEvent
from tasks.store.sql import identifier

FROM_BACKUP = "restore it from a backup"
AGAIN = "run the day again: equal inputs give the same version"
GRAINS = ("ds", "as_of", "cut")
Progress = Callable[[str], None]
"""Called with the place that is looked at."""


class DiskFault(Record):
    """Something on disk that is not as it was written.

    Attributes:
        part: landing, registry or warehouse.
        place: file or folder.
        problem: what was found, and what was expected.
        next: what to do.
    """

    part: str
    place: str
    problem: str
    next: str


class Verification(Record):
    """What was looked at, and what is wrong.

    Attributes:
        counted: partitions, versions and warehouses that were looked at.
        faults: all that was found.
    """

    counted: dict[str, int]
    faults: tuple[DiskFault, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def verify(home: Home, pipelines: Sequence[str] = (), *, progress: Progress = lambda _: None) -> Verification:
    """Walk landing, registry and warehouse, reading every byte that a digest covers.

    Args:
        home: the state folder.
        pipelines: whose registry and tables; all if none is named. The landing is looked at in any case.
        progress: told of each place.
    """
    counted: Counter[str] = Counter(partitions=0, versions=0, warehouses=0)
    faults = [*_landing(home, counted, progress)]
    for pipeline in pipelines or run_files.pipelines(home):
        faults += _registry(home, pipeline, counted, progress)
        faults += _warehouse(home, pipeline, counted, progress)
    return Verification(counted=dict(counted), faults=tuple(faults))


def _landing(home: Home, counted: Counter[str], progress: Progress) -> Iterator[DiskFault]:
    for folder in sorted((home.root / "landing").glob("*/*/ds=*")):
        progress(str(folder.relative_to(home.root)))
        counted["partitions"] += 1
        try:
            manifest = read_manifest(folder)
        except MatineeError as error:
            yield DiskFault(part="landing", place=str(folder / "manifest.json"), problem=str(error), next=FROM_BACKUP)
            continue
        if manifest is not None:
            yield from _partition(folder, manifest)


def _partition(folder: Path, manifest: Manifest) -> Iterator[DiskFault]:
    if (manifest.table, f"ds={manifest.ds}") != (folder.parent.name, folder.name):
        yield DiskFault(
            part="landing",
            place=str(folder / "manifest.json"),
            problem=f"found the manifest of {manifest.table} of {manifest.ds}, expected that of its own folder",
            next="delete this file and run `matinee land` again",
        )
    current = manifest.latest
    path = folder / current.file
    if path.parent.resolve() != folder.resolve() or not path.is_file():
        problem = "no such file in this folder"
    elif path.stat().st_size != current.bytes:
        problem = f"found {path.stat().st_size} bytes, expected {current.bytes}"
    elif (sha256 := sha256_file(path)) != current.sha256:
        problem = f"found sha256 {sha256}, expected {current.sha256}"
    else:
        return
    remedy = "delete it and run `matinee land` again: it is made anew from the source"
    yield DiskFault(part="landing", place=str(path), problem=problem, next=remedy)


def _registry(home: Home, pipeline: str, counted: Counter[str], progress: Progress) -> Iterator[DiskFault]:
    folder = home.registry(pipeline)
    if not folder.is_dir():
        return
    try:
        events = registry.timeline(home, pipeline)
    except MatineeError as error:
        yield _fault(folder / "timeline.jsonl", str(error), FROM_BACKUP)
        return
    contents = {event.version: event.content for event in events}
    versions = {path.name: path for path in sorted((folder / "versions").glob("[!.]*")) if path.is_dir()}
    for name, path in versions.items():
        progress(str(path.relative_to(home.root)))
        counted["versions"] += 1
        yield from _version(path, contents.get(name))
    for name in sorted(contents.keys() - versions.keys() - removed_versions(home, pipeline)):
        problem = "the timeline names this version, but its folder is not there"
        yield _fault(folder / "versions" / name, problem, f"{FROM_BACKUP}, or {AGAIN}")
    for path in sorted((folder / "aliases").glob("*.json")):
        yield from _alias(home, pipeline, path, events)


def _version(path: Path, content: str | None) -> Iterator[DiskFault]:
    if content is None:
        # Without the line the version is no champion of its day, so the next version's gate passes unopposed.
        yield _fault(
            path, "the timeline does not name this version", f"restore timeline.jsonl from a backup, or {AGAIN}"
        )
    try:
        descriptor = load(path, content=content).descriptor
    except EngineError as error:
        yield _fault(path, first_line(error), f"{FROM_BACKUP}, or remove the folder and {AGAIN}")
        return
    if descriptor.version != path.name:
        yield _fault(path, f"found the version {descriptor.version} in this folder", f"{FROM_BACKUP}, or {AGAIN}")


def _alias(home: Home, pipeline: str, path: Path, events: Sequence[TimelineEvent]) -> Iterator[DiskFault]:
    remedy = "publish a day again, which moves the alias, or restore the file from a backup"
    try:
        pointer = Alias.read(path)
    except MatineeError as error:
        yield _fault(path, str(error), remedy)
        return
    if not registry.version_dir(home, pipeline, pointer.version).is_dir():
        yield _fault(path, f"it points at {pointer.version}, whose folder is not there", remedy)
    of_version = [event for event in events if (event.version, event.alias) == (pointer.version, path.stem)]
    if not of_version:
        yield _fault(path, f"it points at {pointer.version}, which the timeline does not name", remedy)
    elif (pointer.as_of, pointer.content) != (of_version[-1].as_of, of_version[-1].content):
        expected = of_version[-1]
        problem = f"found the day {pointer.as_of} and the content {pointer.content[:12]}…, expected {expected.as_of} "
        yield _fault(path, f"{problem}and {expected.content[:12]}… as in the timeline", remedy)
    last = max((event.as_of for event in events if event.alias == path.stem and event.live), default=date.min)
    if of_version and of_version[-1].as_of < last:
        yield _fault(path, f"it points at {of_version[-1].as_of}, though {last} was live", remedy)


def _warehouse(home: Home, pipeline: str, counted: Counter[str], progress: Progress) -> Iterator[DiskFault]:
    warehouse = warehouse_of(home, pipeline)
    if not warehouse.exists():
        return
    progress(warehouse.location)
    counted["warehouses"] += 1
    try:
        with warehouse.open() as tables:
            # The last of a grain's models stands for its tests, and is no table.
            kept = {model for grain in GRAINS for model in models(grain)[:-1]}
            for model in sorted(kept & {model for model, _, _ in tables.ledger()}):
                # Every value, so that the engine compares the checksum of every block.
                tables.rows(f"select bit_xor(hash(one)) from {identifier(model)} as one")
    except Exception as error:
        said = explained(error)
        if said is None:
            raise
        remedy = "delete it and run the step `build` again: it is a cache of the landing"
        yield DiskFault(part="warehouse", place=warehouse.location, problem=first_line(said), next=remedy)


def _fault(path: Path, problem: str, remedy: str) -> DiskFault:
    return DiskFault(part="registry", place=str(path), problem=problem, next=remedy)
