"""`matinee verify`: every landed partition, published version, retrieval folder and table, read from end to end.

Nothing is written. Each fault says where it is, what was found and expected, and what to do; none hides another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date

from engine.descriptor import Descriptor
from tasks.errors import MatineeError, SpecError, quoted
from tasks.features.engines import warehouse_of
from tasks.features.ledger import Entry
from tasks.operations.verification import caches
from tasks.operations.verification.faults import DiskFault, Progress
from tasks.operations.verification.landing import missing_days, partition_faults, partitions
from tasks.operations.verification.registry import RegistryLook
from tasks.sources.land import open_source
from tasks.sources.source import Source
from tasks.spec.load import load_shape
from tasks.spec.project import PIPELINE_NAME, pipeline_name, pipeline_names, pipelines_folder
from tasks.spec.spec import Spec
from tasks.spec.windows import landing_start
from tasks.spec.yaml_lines import nearest
from tasks.store.files import Home
from tasks.store.records import Record

TOPS = ("registry", "runs", "retrieval", "quarantine")
"""Parts of the state folder with a folder for each pipeline."""


class Verification(Record):
    """What was looked at, and what is wrong.

    Attributes:
        counted: partitions, versions, cuts and warehouses that were looked at.
        faults: all that was found.
    """

    counted: dict[str, int]
    faults: tuple[DiskFault, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def verify(home: Home, pipelines: Sequence[str] = (), *, progress: Progress = lambda _: None) -> Verification:
    """Walk landing, registry, retrieval, quarantine and warehouse, reading every byte that a digest covers.

    Args:
        home: the state folder.
        pipelines: whose registry and tables; all if none is named. The landing is looked at in any case.
        progress: told of each place.

    Raises:
        SpecError: a pipeline that is named does not exist.
        MatineeError: there is nothing to look at, which is no good news.
    """
    chosen = _chosen(home, pipelines)
    walk = _Walk(home, progress)
    faults = [*partition_faults(home, progress)]
    for pipeline in chosen:
        faults += walk.pipeline(pipeline)
    # Known only now: what was built and published says what must have landed.
    faults += missing_days(home, walk.known)
    walk.counted["partitions"] = len(partitions(home))
    if not walk.counted.total():
        raise MatineeError(
            f"{home.root}: nothing to verify: found neither landing, registry, retrieval nor warehouse. Correct "
            "MATINEE_HOME, or run a day first: `matinee run <pipeline> --as-of …`"
        )
    order = ("partitions", "versions", "cuts", "steps", "warehouses")
    counted = {name: walk.counted[name] for name in order}
    return Verification(counted=counted, faults=tuple(sorted(faults, key=lambda fault: fault.part)))


def _chosen(home: Home, pipelines: Sequence[str]) -> list[str]:
    """Choose what is looked at: what is named, if it exists, or everything that has left something.

    Raises:
        SpecError: a pipeline that is named has neither a file nor left anything.
        MatineeError: it has left nothing.
    """
    there = {path.name for top in TOPS for path in (home.root / top).glob("[!.]*") if path.is_dir()}
    there |= {path.stem for path in (home.root / "warehouse").glob("[!.]*.duckdb")}
    there = {name for name in there if PIPELINE_NAME.fullmatch(name)}
    known = sorted(there | {*pipeline_names()})
    for given in pipelines:
        name = pipeline_name(given)
        # A name that leads elsewhere is none, though its last part may be the name of a pipeline.
        if name not in known or ("/" in given and not given.endswith((".yaml", ".yml"))):
            hint = nearest(name, known) or f"; expected one of {', '.join(known) or 'none at all'}"
            raise SpecError(f"no pipeline {quoted(given)}, neither in {home.root} nor in {pipelines_folder()}{hint}")
        if name not in there:
            raise MatineeError(f"{home.root}: {name} has left nothing here; run a day first, or correct MATINEE_HOME")
    return sorted({*map(pipeline_name, pipelines)}) or sorted(there)


class _Walk:
    """Looks at pipelines one by one, and gathers the days that they know to have landed."""

    def __init__(self, home: Home, progress: Progress) -> None:
        self.home, self.progress = home, progress
        self.counted: Counter[str] = Counter()
        self.known: dict[tuple[str, str], dict[date, str]] = {}
        self.sources: dict[str, Source] = {}

    def pipeline(self, name: str) -> Iterator[DiskFault]:
        """Look at everything but the landing."""
        registry = RegistryLook(self.home, name, self.progress)
        yield from registry.faults()
        self.counted["versions"] += registry.versions
        yield from caches.retrieval_faults(self.home, name, self.progress)
        self.counted["cuts"] += len(caches.cut_folders(self.home, name))
        yield from caches.runs_faults(self.home, name, self.progress)
        self.counted["steps"] += len(caches.step_folders(self.home, name))
        yield from caches.quarantine_faults(self.home, name)
        ledger: dict[Entry, str] = {}
        if warehouse_of(self.home, name).exists():
            self.progress(warehouse_of(self.home, name).location)
            self.counted["warehouses"] += 1
            yield from caches.warehouse_faults(self.home, name, ledger)
        specs = [(version, spec) for version in registry.whole if (spec := _spec_of(version)) is not None]
        for version, spec in specs:
            # A data set that is declared otherwise by now, or no more, says nothing of the days it had.
            with suppress(MatineeError):
                self._know_versions_days(version, spec)
        source = next((spec.source_name for spec in (_spec_now(name), *(spec for _, spec in specs[-1:])) if spec), None)
        # Without a pipeline file and without a version nobody says which source the tables are of.
        for table, day in caches.loaded_days(ledger) if source is not None else ():
            self._know(source, table, [day], f"a table of {name}")

    def _know_versions_days(self, version: Descriptor, spec: Spec) -> None:
        # Opened once: versions of a pipeline have one source, as a rule, and a simulated one takes a while.
        if spec.source_name not in self.sources:
            self.sources[spec.source_name] = open_source(spec, self.home)
        source = self.sources[spec.source_name]
        start = landing_start(spec, version.as_of)
        for table in source.tables:
            days = source.partitions(table, start, version.as_of)
            self._know(source.name, table, days, f"the version {version.version}")

    def _know(self, source: str | None, table: str, days: Iterable[date], who: str) -> None:
        if source is not None:
            known = self.known.setdefault((source, table), {})
            for day in days:
                known.setdefault(day, who)


def _spec_now(name: str) -> Spec | None:
    try:
        return load_shape(pipelines_folder() / f"{name}.yaml")
    except SpecError:
        return None


def _spec_of(version: Descriptor) -> Spec | None:
    """Read the pipeline file that a version was made by; None of an older version of matinee."""
    try:
        return Spec.model_validate(version.lineage["spec"])
    except (KeyError, ValueError):
        return None
