"""Land: a source's days become immutable parquet partitions with a manifest.

Landing is idempotent and order-free: a day whose inputs (a generator and its parameters, or a file's bytes
and its declaration) are those its manifest was made from is left alone; other bytes for a landed day are a
new landing that later steps notice. How partitions are written and read: `tasks.store.partitions`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import LandingError, count_of
from tasks.runs.narration import amounts, counting, say, warn
from tasks.sources.registry import open_source
from tasks.sources.rejects import REJECTS, count_by_table, told_rejects
from tasks.sources.source import Source
from tasks.store.atomic import locked
from tasks.store.files import Home, digest
from tasks.store.partitions import Landed, Partition, partition_dir, read_manifest, read_manifests, store, whole
from tasks.store.records import Record

if TYPE_CHECKING:
    from tasks.runs.run import Run
    from tasks.spec.spec import Spec

__all__ = [
    "Landed",
    "Partition",
    "land",
    "land_day",
    "land_parts",
    "land_step",
    "landed_for",
    "landing_lock",
    "open_source",
    "read_manifests",
    "unlanded",
]

LOCK_SECONDS = 1800
WRITERS = 4
Progress = Callable[[int, int, date], None]
"""Called with (days done, days in all, the day just done)."""


@dataclass(frozen=True)
class LandedRange:
    """What landing a range of days did."""

    source: str
    start: date
    end: date
    unchanged: int
    landed: tuple[Landed, ...]

    @property
    def rows(self) -> dict[str, int]:
        """Rows newly landed, by table."""
        totals: dict[str, int] = {}
        for part in self.landed:
            totals[part.table] = totals.get(part.table, 0) + part.rows * part.new
        return totals


class LandResult(Record):
    """What the step `land` leaves: a function of the landing, not of when or how often it was made.

    Attributes:
        source: folder of the source in the landing.
        start: first landed day that the run depends on.
        end: the as-of day.
        partitions: how many the run reads, by table.
        rows: in them, by table.
        rows_of_day: rows of the as-of day, by table.
        rejects: lines that could not be read.
        digest: of all partitions.
    """

    source: str
    start: date
    end: date
    partitions: dict[str, int]
    rows: dict[str, int]
    rows_of_day: dict[str, int]
    rejects: int
    digest: str

    def summary(self) -> str:
        """The rows that the run reads, and those of its day."""
        of_day = amounts(self.rows_of_day)
        lost = f"; {self.rejects:,} lines could not be read" if self.rejects else ""
        return f"{self.start} to {self.end} of {self.source}: {amounts(self.rows)}; on {self.end}: {of_day}{lost}"


def land(
    spec: Spec,
    home: Home,
    start: date,
    end: date,
    *,
    data: Path | None = None,
    progress: Progress | None = None,
) -> LandedRange:
    """Land the days in [start, end] of a pipeline's source that are not landed, or whose input changed."""
    return land_range(open_source(spec, home, data), home, start, end, progress=progress)


def land_range(source: Source, home: Home, start: date, end: date, *, progress: Progress | None = None) -> LandedRange:
    """Land the days in [start, end] of a source, and what of its entities they need.

    Raises:
        SourceError: input is missing (nothing has been landed) or unreadable (the days before it have been).
        LandingError: another process held the landing for half an hour.
    """
    with landing_lock(home, source.name):
        # Under the lock: another process may just have landed the same days.
        stale, current = _stale(source, home, start, end)
        say(
            "{source}, {start} to {end}: {stale:,} partitions to land, {current:,} are landed as the source has them",
            source=source.name, start=start, end=end, current=current, stale=len(stale),
        )  # fmt: skip
        landed = LandedRange(source.name, start, end, current, tuple(_land(source, home, stale, progress)))
    _say_what_is_new(landed)
    return landed


def _say_what_is_new(landed: LandedRange) -> None:
    new = [part for part in landed.landed if part.new]
    if landed.landed:
        say(
            "{read:,} partitions read, {new:,} of them are new: {rows}",
            read=len(landed.landed), new=len(new), rows=landed.rows,
        )  # fmt: skip
    # What was made of the rows before is stale now, and no other line would say why days are built again.
    if replaced := sorted({part.ds for part in new if part.replaced}):
        text = "the source has changed days that were landed before ({days:,}): {which}"
        warn(text, days=len(replaced), which=replaced)


def unlanded(source: Source, home: Home, start: date, end: date) -> dict[tuple[str, date], bool]:
    """List the (table, day) that a landing of [start, end] would write; True for those that are landed otherwise.

    Raises:
        SourceError: input is missing.
    """
    stale, _ = _stale(source, home, start, end)
    return {
        (table, day): read_manifest(partition_dir(home, source.name, table, day)) is not None
        for day, table in sorted(stale)
    }


def _stale(source: Source, home: Home, start: date, end: date) -> tuple[dict[tuple[date, str], str], int]:
    """Find each (day, table) that is not landed from its present inputs, with their digest; count the others."""
    inputs = {
        (day, table): source.inputs(table, day)
        for table in source.tables
        for day in source.partitions(table, start, end)
    }
    stale = {key: made_of for key, made_of in inputs.items() if not _is_current(source, home, *key, made_of)}
    return stale, len(inputs) - len(stale)


def land_day(source: Source, home: Home, day: date) -> list[Landed]:
    """Land one day of a source, whether or not its inputs have changed."""
    return land_parts(source, home, [(t, day) for t in source.tables if day in set(source.partitions(t, day, day))])


def land_parts(source: Source, home: Home, parts: Iterable[tuple[str, date]]) -> list[Landed]:
    """Land some tables' days, whether or not their inputs have changed."""
    with landing_lock(home, source.name):
        return _land(source, home, {(day, table): source.inputs(table, day) for table, day in parts}, None)


def _is_current(source: Source, home: Home, day: date, table: str, inputs: str) -> bool:
    folder = partition_dir(home, source.name, table, day)
    manifest = read_manifest(folder)
    # By its size alone, as this is asked for every day of a run's past.
    return manifest is not None and manifest.inputs == inputs and whole(folder, manifest)


def _land(source: Source, home: Home, inputs: dict[tuple[date, str], str], progress: Progress | None) -> list[Landed]:
    """Read the days in order; write them in threads, because flushing to the disk is most of the time."""
    landed: list[Landed] = []
    writing: deque[tuple[date, list[Future[Landed]]]] = deque()
    tables: dict[date, list[str]] = {}
    # By the day alone: the sort is stable, and leaves the tables in the source's order.
    for day, table in sorted(inputs, key=lambda key: key[0]):
        tables.setdefault(day, []).append(table)

    def finish(done: int) -> None:
        day, parts = writing.popleft()
        landed.extend(part.result() for part in parts)
        count.done = done
        if progress is not None:
            progress(done, len(tables), day)

    with counting("days", len(tables)) as count, ThreadPoolExecutor(WRITERS) as pool:
        for number, (day, names) in enumerate(tables.items()):
            # Unreadable lines come along, since the manifest of each table counts its own.
            rows = source.read(day, {*names, *({REJECTS} & {*source.tables})})
            rejects = count_by_table(rows[REJECTS]) if REJECTS in rows else {}
            writing.append((day, [
                pool.submit(
                    store, partition_dir(home, source.name, name, day), rows[name],
                    inputs=inputs[day, name], rejects=rejects.get(name, 0),
                )
                for name in names
            ]))  # fmt: skip
            if len(writing) > WRITERS:  # else all the rows that are read would wait in memory for the disk
                finish(number - WRITERS + 1)
        while writing:
            finish(len(tables) - len(writing) + 1)
    return landed


@contextmanager
def landing_lock(home: Home, source_name: str) -> Iterator[None]:
    """Hold the lock of a source's landing.

    Raises:
        LandingError: another process held it for half an hour.
    """
    busy = (
        f"another process has been landing {source_name} for {LOCK_SECONDS // 60} minutes; "
        "wait for it or end it, then run this step again"
    )
    path, what = home.landing(source_name) / ".lock", f"the landing of {source_name}"
    with locked(path, busy, seconds=LOCK_SECONDS, error=LandingError, what=what):
        yield


def land_step(run: Run, progress: Progress | None = None) -> LandResult:
    """Land what a run depends on: the days from its lookback's start to its as-of day, in this order."""
    source = open_source(run.spec, run.home, run.data)
    land_range(source, run.home, run.landing_start, run.as_of, progress=progress)
    partitions = landed_for(source, run.home, run.landing_start, run.as_of)
    result = LandResult(
        source=source.name,
        start=run.landing_start,
        end=run.as_of,
        partitions={t: sum(p.table == t for p in partitions) for t in source.tables},
        rows={t: sum(p.rows for p in partitions if p.table == t) for t in source.tables},
        rows_of_day={p.table: p.rows for p in partitions if p.ds == run.as_of},
        rejects=sum(p.rejects for p in partitions),
        digest=_digest_of(partitions),
    )
    for part in partitions:
        if part.table == REJECTS and part.ds == run.as_of and part.rows:
            warn("lines of {day} that could not be read: {lines}", day=run.as_of, lines=told_rejects(part.path))
    with run.write("land") as folder:
        folder.result = result
    return result


def _digest_of(partitions: Sequence[Partition]) -> str:
    # Of bytes, not of inputs: a source that gives the same rows by other code makes nothing stale.
    return digest([[part.table, part.ds, part.sha256] for part in partitions])


def landing_digest(run: Run) -> str:
    """Digest the landing that a run depends on, as it is now; equal to what its step `land` recorded if it is the same.

    Raises:
        LandingError: a day has not been landed.
    """
    source = open_source(run.spec, run.home, run.data)
    return _digest_of(landed_for(source, run.home, run.landing_start, run.as_of))


def landed_for(
    source: Source, home: Home, start: date, end: date, *, verify: bool = False, instead: Sequence[Partition] = ()
) -> list[Partition]:
    """List the partitions a run over [start, end] reads: those days, and tables of changes from their start.

    Args:
        source: whose.
        home: where they are landed.
        start: first day.
        end: last day.
        verify: read every file and compare its sha256.
        instead: take these for what is landed, or not landed, of their tables and days.

    Raises:
        LandingError: one of them has not been landed, or is not what its manifest says.
    """
    partitions: list[Partition] = []
    for table in source.tables:
        wanted = set(source.partitions(table, start, end))
        given = {part.ds: part for part in instead if part.table == table}
        here = read_manifests(home, source.name, [table], min(wanted), max(wanted), verify=verify)
        here = sorted([*given.values(), *(p for p in here if p.ds not in given)], key=lambda part: part.ds)
        partitions += [part for part in here if part.ds in wanted]
        if missing := sorted(wanted - {part.ds for part in here}):
            raise LandingError(
                f"{home.landing(source.name) / table}: not landed: {count_of(len(missing), 'day')}, the first is "
                f"{missing[0]}; run `matinee land` up to {end}"
            )
    return partitions
