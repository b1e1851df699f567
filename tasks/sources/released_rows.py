"""Released rows: corrected rows that take the place of rejected rows of a source.

    landing/<source>/_releases/<number>-<digest>/release.json     who, when, why, and which partitions it touches
    landing/<source>/_releases/<number>-<digest>/<table>.parquet  id, ds, reject_ds, line, raw, before, after
    landing/<source>/_releases/<number>-<digest>/digests.json     of these files

A release is written once, by one rename, and never changed. It belongs to the landing: a day's partition is a function
of its source and of the releases that touch it, and their digests are among its inputs, so that the next landing of the
day has the corrected rows in it, whenever and by whomever it is made. A corrected row takes the place of one with equal
content (`before`), a corrected line that of the line that could not be read; where the source no longer sends that row
or line, nothing is put in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.sources.rejects import LINE_NUMBER, REJECTS
from tasks.store.atomic import atomic_dir
from tasks.store.database import memory
from tasks.store.files import Home, checked_file, digest, sha256_file, write_digests
from tasks.store.partitions import Rows
from tasks.store.records import Record
from tasks.store.sql import render

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.sources.source import Source

SQL = Path(__file__).parent / "sql"
_AT = "_at"


class ReleaseRecord(Record):
    """What `release.json` says of a release.

    Attributes:
        number: counts the releases of a source from 1; 0 until it has been written.
        made_at: UTC instant in ISO form.
        who: released it.
        why: in the words of whoever released it.
        pipeline: whose quarantine the rows were in.
        kind: whether rows were corrected, or a rule.
        rows: how many came back, by table and rule.
        days: of the rows that came back.
        touches: how many rows of which partitions it changes, by table and day.
        digest: of its rows, by which the same release is known again.
    """

    number: int = 0
    made_at: str
    who: str
    why: str
    pipeline: str
    kind: str
    rows: tuple[tuple[str, str, int], ...]
    days: tuple[date, ...]
    touches: dict[str, dict[date, int]]
    digest: str


@dataclass(frozen=True)
class RowRelease:
    """A release that has been made.

    Attributes:
        folder: where it is; its name is the release's.
        record: what `release.json` says.
        digest: of everything that the landing takes from it.
    """

    folder: Path
    record: ReleaseRecord
    digest: str

    def touches(self, table: str, day: date) -> bool:
        """Tell whether it changes a partition."""
        return day in self.record.touches.get(table, {})

    def corrections(self, table: str) -> pa.Table:
        """Read its corrected rows of a table: id, ds, reject_ds, line, raw, before, after."""
        import pyarrow.parquet as pq

        return pq.read_table(checked_file(self.folder, f"{table}.parquet"))

    @property
    def ids(self) -> set[str]:
        """Ids of the rejected rows that it corrected."""
        return {name for table in self.tables for name in self.corrections(table)["id"].to_pylist()}

    @property
    def parts(self) -> list[tuple[str, date]]:
        """The partitions that it changes: table and day."""
        return [(table, day) for table, days in self.record.touches.items() for day in days]

    @property
    def tables(self) -> list[str]:
        """Tables that it has corrected rows of."""
        return sorted(path.stem for path in self.folder.glob("*.parquet"))


def releases_of(home: Home, source: str) -> list[RowRelease]:
    """Read the releases of a source in the order in which they were made."""
    releases = []
    # One that is being written begins with a dot. Four digits, so that names sort as the numbers do.
    for folder in sorted(_folder(home, source).glob("[0-9]*-*")):
        record = ReleaseRecord.read(folder / "release.json")
        # A flipped bit would be another release, and the next landing would take its rows for new ones.
        files = {path.name: sha256_file(checked_file(folder, path.name)) for path in sorted(folder.glob("*.parquet"))}
        releases.append(RowRelease(folder, record, digest([folder.name, files])))
    return releases


def _folder(home: Home, source: str) -> Path:
    return home.landing(source) / "_releases"


def add_release(home: Home, source: str, record: ReleaseRecord, corrections: Mapping[str, pa.Table]) -> RowRelease:
    """Write a release; whoever calls holds the lock of the landing.

    Args:
        home: the state folder.
        source: the source's folder in the landing.
        record: who made it when, why, and what it touches.
        corrections: its corrected rows by table.
    """
    import pyarrow.parquet as pq

    number = 1 + max((release.record.number for release in releases_of(home, source)), default=0)
    folder = _folder(home, source) / f"{number:04d}-{record.digest[:8]}"
    with atomic_dir(folder) as temporary:
        for table, rows in corrections.items():
            pq.write_table(rows, temporary / f"{table}.parquet", compression="zstd")
        record.model_copy(update={"number": number}).write(temporary / "release.json")
        write_digests(temporary)
    return releases_of(home, source)[-1]


class ReleasedSource:
    """A source whose released rows are in the places of those that were rejected."""

    def __init__(self, source: Source, home: Home) -> None:
        """Take a source; its releases are looked at anew whenever the landing asks, because they are made meanwhile."""
        self.source, self.home = source, home
        self.name, self.tables, self.entities = source.name, source.tables, source.entities
        self._known: list[RowRelease] = []

    def _releases(self, table: str, day: date) -> list[RowRelease]:
        # Looked up each time, because people release rows while a backfill is landing.
        folder = _folder(self.home, self.name)
        names = sorted(path.name for path in folder.glob("[0-9]*-*")) if folder.is_dir() else []
        if names != [release.folder.name for release in self._known]:
            self._known = releases_of(self.home, self.name)
        return [release for release in self._known if release.touches(table, day)]

    def partitions(self, table: str, start: date, end: date) -> Iterable[date]:
        """List the days of a table that a reader of the days [start, end] needs."""
        return self.source.partitions(table, start, end)

    def inputs(self, table: str, day: date) -> str:
        """Hash what makes a partition: what the source says, and the releases that touch it."""
        made_of = self.source.inputs(table, day)
        released = [release.digest for release in self._releases(table, day)]
        # Untouched partitions keep the source's own digest: a release makes stale only what it changes.
        return digest({"source": made_of, "releases": released}) if released else made_of

    def read(self, day: date, tables: Iterable[str]) -> dict[str, Rows]:
        """Read the rows of the tables that arrived on a day, with those that were released."""
        rows = self.source.read(day, tables)
        return {table: self._corrected(table, day, landed) for table, landed in rows.items()}

    def _corrected(self, table: str, day: date, landed: Rows) -> Rows:
        releases = self._releases(table, day)
        if not releases:
            return landed
        # Corrected rows take the places of others anywhere in the day: such a day is held in memory as a whole.
        rows = landed.to_reader().read_all()
        for release in releases:
            if table == REJECTS:
                rows = without_lines(rows, day, {name: release.corrections(name) for name in release.tables})
                continue
            corrections = release.corrections(table)
            rows = with_corrections(rows, of_day(corrections, "ds", day), self._unread(table, corrections))
        corrected: Rows = rows
        return corrected

    def _unread(self, table: str, corrections: pa.Table) -> set[tuple[int, str]]:
        """Find the lines of a table, of those that a release corrects, which the source still sends unreadable."""
        days = {day for day in corrections["reject_ds"].to_pylist() if day is not None}
        return {line for day in days for line in _lines(self._rejects(day), table)}

    def _rejects(self, day: date) -> pa.Table:
        return self.source.read(day, [REJECTS])[REJECTS].to_reader().read_all()


def of_day(corrections: pa.Table, column: str, day: date) -> pa.Table:
    """Keep the corrections whose `ds`, or `reject_ds`, is a day."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return corrections.filter(pc.fill_null(pc.equal(corrections[column], pa.scalar(day, pa.date32())), False))


def _lines(rejects: pa.Table, table: str) -> Iterator[tuple[int, str]]:
    for name, line, raw in zip(*(rejects[c].to_pylist() for c in ("table_name", "line", "raw")), strict=True):
        if name == table:
            yield line, raw


def without_lines(rejects: pa.Table, day: date, corrections: Mapping[str, pa.Table]) -> pa.Table:
    """Take the corrected lines out of the unreadable ones of a day."""
    import pyarrow as pa

    gone = {
        (table, line, raw)
        for table, rows in corrections.items()
        for line, raw in zip(*(of_day(rows, "reject_ds", day)[c].to_pylist() for c in ("line", "raw")), strict=True)
    }
    keys = zip(*(rejects[name].to_pylist() for name in ("table_name", "line", "raw")), strict=True)
    return rejects.filter(pa.array([key not in gone for key in keys], pa.bool_()))


def with_corrections(rows: pa.Table, corrections: pa.Table, unread: set[tuple[int, str]]) -> pa.Table:
    """Put corrected rows in the places of those that they correct.

    Args:
        rows: the day's rows in their order.
        corrections: `before` and `after`; or, where a line could not be read, `line`, `raw` and `after`.
        unread: lines and texts that the source sends unreadable; other lines are not put in.
    """
    import pyarrow as pa

    readable = corrections["line"].is_null()
    keys = zip(corrections["line"].to_pylist(), corrections["raw"].to_pylist(), strict=True)
    new = corrections.filter(pa.array([key in unread for key in keys], pa.bool_()))
    line = LINE_NUMBER if LINE_NUMBER in rows.column_names else ""
    with memory() as connection:
        # A query has no order of its own: the rows get their numbers along, and come back by them.
        connection.register("landed", rows.append_column(_AT, pa.array(range(rows.num_rows), pa.int64())))
        connection.register("corrections", corrections.filter(readable))
        connection.register("new", new)
        query = render(SQL, "corrected", columns=rows.column_names, line=line)
        return connection.sql(query).to_arrow_table().select(rows.column_names).cast(rows.schema)
