"""Landed partitions: immutable parquet files and the manifests that name them.

    landing/<source>/<table>/ds=YYYY-MM-DD/<sha256[:16]>.parquet   written once, never changed
    landing/<source>/<table>/ds=YYYY-MM-DD/manifest.json           which of them counts, and the history

`ds` is the UTC day on which the rows arrived. A parquet file is written under a temporary name, flushed and
renamed before the manifest that names it is replaced in the same way: killed anywhere, the old state or the
new one is left. The same bytes again change nothing; other bytes for a landed day are appended to the history
and become current. `landed_at` is the only wall-clock value; no digest covers it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

from pydantic import Field, model_validator

from tasks.errors import LandingError, MatineeError, quoted
from tasks.store.atomic import put, temporary_file
from tasks.store.files import Home, sha256_file
from tasks.store.records import Count, Instant, PlainName, Record, SealedRecord, Sha256

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 122_880
"""As in DuckDB's own files: one row group is what one of its threads reads at a time."""


class Rows(Protocol):
    """Rows of a table's day in their order, to be read a part at a time; an Arrow table is one that is all there."""

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""

    def to_reader(self) -> pa.RecordBatchReader:
        """Read them from the first row on."""


@dataclass(frozen=True)
class Landed:
    """A partition that has been written (or was found to be the same)."""

    table: str
    ds: date
    path: Path
    sha256: str
    rows: int
    new: bool
    replaced: bool = False
    """Whether other bytes were landed for its day before."""


@dataclass(frozen=True)
class Partition:
    """The current landing of a table's day."""

    table: str
    ds: date
    path: Path
    sha256: str
    rows: int
    rejects: int = 0


LAND_AGAIN = "run `matinee land` again: it is made anew from the source"


class Landing(Record):
    """One landing of a table's day, as its manifest remembers it.

    Attributes:
        file: name of the parquet file, beside the manifest.
        sha256: of the file.
        rows: in the file.
        bytes: size of the file.
        rejects: lines of the input that could not be read.
        landed_at: UTC instant in ISO form; no digest covers it.
    """

    file: PlainName
    sha256: Sha256
    rows: Count
    bytes: Count
    rejects: Count
    landed_at: Instant


class Manifest(SealedRecord):
    """Which file of a table's day counts, and all that were landed for it, the latest last.

    Attributes:
        table: the table.
        ds: UTC day on which the rows arrived.
        current: name of the file that counts: that of the latest landing.
        landings: the history.
        inputs: digest of what the current rows were made from.
    """

    REMEDY = f"delete this file and {LAND_AGAIN}"

    table: str
    ds: date
    current: PlainName
    landings: Annotated[tuple[Landing, ...], Field(min_length=1)]
    inputs: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _current_is_the_latest(self) -> Manifest:
        if self.latest.file != self.current:
            raise ValueError(f"expected the latest landing, {self.latest.file}, to be current; found {self.current}")
        return self

    @property
    def latest(self) -> Landing:
        """The landing that counts."""
        return self.landings[-1]


def partition_dir(home: Home, source_name: str, table: str, day: date) -> Path:
    """Locate the folder of a table's day; it need not exist."""
    return home.landing(source_name) / table / f"ds={day.isoformat()}"


def store(folder: Path, rows: Rows, *, inputs: str, rejects: int = 0) -> Landed:
    """Write a partition, unless its bytes are there already.

    Args:
        folder: `…/<table>/ds=<day>`.
        rows: the partition's rows, in the order in which they are to lie in the file.
        inputs: digest of what the rows were made from, kept to find out cheaply whether they are current.
        rejects: lines of the input that could not be read.
    """
    table, day = folder.parent.name, date.fromisoformat(folder.name.removeprefix("ds="))
    with temporary_file(folder, "rows.parquet") as temporary:
        count = _write(rows, temporary)
        sha256, size = sha256_file(temporary), temporary.stat().st_size
        path = folder / f"{sha256[:16]}.parquet"
        # A file of this name and another size was truncated after it was written: the name is the digest of its bytes.
        if not path.exists() or path.stat().st_size != size:
            put(temporary, path)
    # The file is complete before the manifest names it: killed in between, it is litter that nobody reads.
    before = read_manifest(folder)
    # Names are digests of the bytes, so the same bytes again are not a new landing.
    new = before is None or before.current != path.name
    landings = () if before is None else before.landings
    if new:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        landing = Landing(file=path.name, sha256=sha256, rows=count, bytes=size, rejects=rejects, landed_at=now)
        landings = (*landings, landing)
    if new or before is None or before.inputs != inputs:
        manifest = Manifest(table=table, ds=day, current=path.name, landings=landings, inputs=inputs)
        manifest.write(folder / "manifest.json")
    return Landed(table, day, path, sha256, count, new, replaced=new and before is not None)


def _write(rows: Rows, path: Path) -> int:
    """Write rows as parquet, a row group at a time, so that equal rows give equal bytes; count them."""
    import pyarrow.parquet as pq

    # Metadata of the source would get into the file.
    schema, count = rows.schema.remove_metadata(), 0
    with pq.ParquetWriter(
        path, schema, version="2.6", compression="zstd", store_schema=False, write_page_checksum=True
    ) as writer:
        for group in _row_groups(rows.to_reader(), schema):
            writer.write_table(group, row_group_size=ROW_GROUP)
            count += group.num_rows
    return count


def _row_groups(reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.Table]:
    """Cut rows into tables of `ROW_GROUP` rows, whatever their batches are; of no rows, one without any."""
    import pyarrow as pa

    waiting, held, first = [schema.empty_table()], 0, True
    for batch in reader:
        waiting.append(pa.table(batch).replace_schema_metadata(None))
        held += batch.num_rows
        while held >= ROW_GROUP:
            rows = pa.concat_tables(waiting)
            # In one chunk each, because chunks would get into the pages of the file.
            yield rows.slice(0, ROW_GROUP).combine_chunks()
            waiting, held, first = [rows.slice(ROW_GROUP)], held - ROW_GROUP, False
    if first or held:
        yield pa.concat_tables(waiting).combine_chunks()


def read_manifests(
    home: Home,
    source_name: str,
    tables: Iterable[str],
    start: date | None,
    end: date,
    *,
    verify: bool = False,
) -> list[Partition]:
    """Read the current partitions of the days in [start, end], by table and day.

    Args:
        home: the state folder.
        source_name: the source's folder in the landing.
        tables: which tables.
        start: first day; None for all days there are (what entities need).
        end: last day.
        verify: read every file and compare its sha256, not only its size.

    Raises:
        LandingError: a partition's file is missing, torn or changed, or its manifest cannot be read.
    """
    partitions: list[Partition] = []
    for table in tables:
        # Names with ISO days sort by day.
        for folder in sorted((home.landing(source_name) / table).glob("ds=*")):
            day = day_of(folder)
            if (start is None or start <= day) and day <= end:
                manifest = read_manifest(folder)
                partitions += [] if manifest is None else [_partition(folder, manifest, verify=verify)]
    return partitions


def day_of(folder: Path) -> date:
    """Read the day that a folder `ds=<day>` is of.

    Raises:
        LandingError: its name has no day.
    """
    try:
        day = date.fromisoformat(folder.name.removeprefix("ds="))
    except ValueError:
        day = date.min
    # Compared with its name, because Python reads 20260228 and 2026-W09-6 as days, too.
    if folder.name != f"ds={day}" or day == date.min:
        raise LandingError(
            f"{folder}: found a name without a day, expected ds=YYYY-MM-DD; move it away: matinee makes no such folder"
        )
    return day


def _partition(folder: Path, manifest: Manifest, *, verify: bool) -> Partition:
    landing = manifest.latest
    path = folder / landing.file
    remedy = f"delete {path.name} and {LAND_AGAIN}"
    if not path.is_file():
        raise LandingError(f"{path}: missing, though {folder / 'manifest.json'} names it; {remedy}")
    if path.stat().st_size != landing.bytes:
        raise LandingError(f"{path}: found {path.stat().st_size} bytes, expected {landing.bytes}: truncated; {remedy}")
    partition = Partition(manifest.table, manifest.ds, path, landing.sha256, landing.rows, landing.rejects)
    if verify:
        check_content(partition)
    return partition


def check_content(partition: Partition) -> None:
    """Compare the bytes of a partition with what was landed; whoever reads its rows does so first.

    Raises:
        LandingError: they are others: a flipped bit can be read as another value without any error.
    """
    sha256 = sha256_file(partition.path)
    if sha256 != partition.sha256:
        raise LandingError(
            f"{partition.path}: found sha256 {sha256}, expected {partition.sha256}: changed; delete "
            f"{partition.path.name} and {LAND_AGAIN}"
        )


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of a partition; None if it has not been landed.

    Raises:
        LandingError: the file is no manifest, or that of another table or day.
    """
    path = folder / "manifest.json"
    if not path.exists():
        return None
    try:
        manifest = Manifest.read(path)
    except MatineeError as error:
        raise LandingError(str(error)) from None
    if (manifest.table, f"ds={manifest.ds}") != (folder.parent.name, folder.name):
        raise LandingError(
            f"{path}: found the manifest of {quoted(manifest.table)} of {manifest.ds}, expected that of its own "
            f"folder; {Manifest.REMEDY}"
        )
    return manifest


def whole(folder: Path, manifest: Manifest) -> bool:
    """Tell whether the current file of a partition is there in its full size."""
    path = folder / manifest.latest.file
    return path.is_file() and path.stat().st_size == manifest.latest.bytes
