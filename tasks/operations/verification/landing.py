"""The landing: every partition and its manifest, the releases, and the days that somebody knows to have landed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from functools import partial
from pathlib import Path

from tasks.errors import MatineeError
from tasks.operations.plan import format_days
from tasks.operations.verification.faults import FROM_BACKUP, DiskFault, Progress, collected, fault_of
from tasks.sources.released_rows import ReleaseRecord
from tasks.store.files import Home, sha256_file
from tasks.store.partitions import LAND_AGAIN, Manifest, day_of, read_manifest

MOVE_AWAY = "move it away: matinee makes no such folder"
Known = Mapping[tuple[str, str], Mapping[date, str]]
"""(source, table) to the days that must be landed, each with who knows of it."""


def partitions(home: Home) -> list[Path]:
    """List the folders of all landed days."""
    return sorted((home.root / "landing").glob("*/*/ds=*"))


def partition_faults(home: Home, progress: Progress) -> Iterator[DiskFault]:
    """Look at every landed day, and at every release."""
    for folder in partitions(home):
        progress(str(folder.relative_to(home.root)))
        try:
            day_of(folder)
        except MatineeError as error:
            yield fault_of("landing", folder, error, MOVE_AWAY)
            continue
        yield from collected("landing", folder / "manifest.json", Manifest.REMEDY, partial(_partition, folder))
    for folder in sorted((home.root / "landing").glob("*/_releases/[0-9]*-*")):
        remedy = f"{FROM_BACKUP}: a release is a part of the landing"
        yield from collected("landing", folder / "release.json", remedy, partial(_release, folder))


def _partition(folder: Path) -> Iterator[DiskFault]:
    manifest = read_manifest(folder)
    # Without one nothing of the day counts; whether it should be there is for `missing_days` to say.
    if manifest is None:
        return
    path = folder / manifest.latest.file
    if problem := _file_problem(path, manifest):
        remedy = f"delete it and {LAND_AGAIN}"
        yield DiskFault(part="landing", place=str(path), problem=problem, next=remedy)
    elif problem := _rows_problem(path, manifest):
        remedy = Manifest.REMEDY
        yield DiskFault(part="landing", place=str(folder / "manifest.json"), problem=problem, next=remedy)


def _file_problem(path: Path, manifest: Manifest) -> str | None:
    expected = manifest.latest
    if path.is_symlink():
        return "found a link, expected the file itself"
    if not path.is_file():
        return "no such file in this folder"
    if (size := path.stat().st_size) != expected.bytes:
        return f"found {size} bytes, expected {expected.bytes}"
    if (sha256 := sha256_file(path)) != expected.sha256:
        return f"found sha256 {sha256}, expected {expected.sha256}"
    return None


def _rows_problem(path: Path, manifest: Manifest) -> str | None:
    """Compare what the manifest counts with the file, whose bytes are known to be those that were landed."""
    import pyarrow.parquet as pq

    rows = pq.read_metadata(path).num_rows
    if rows == manifest.latest.rows:
        return None
    return f"found {manifest.latest.rows} rows in it, expected {rows}, as in {path.name}"


def _release(folder: Path) -> Iterator[DiskFault]:
    record = ReleaseRecord.read(folder / "release.json")
    touched = {table for table in record.touches if not table.startswith("_")}
    for table in sorted(touched | {path.stem for path in folder.glob("*.parquet")}):
        path = folder / f"{table}.parquet"
        remedy = f"{FROM_BACKUP}: a release is a part of the landing"
        # Read as a whole: only so does every page's checksum count.
        yield from collected("landing", path, remedy, partial(_read, path))


def _read(path: Path) -> tuple[DiskFault, ...]:
    import pyarrow.parquet as pq

    pq.read_table(path)
    return ()


def missing_days(home: Home, known: Known) -> Iterator[DiskFault]:
    """Find the days that somebody knows to have landed, and that are not landed any more."""
    for (source, table), days in sorted(known.items()):
        folder = home.root / "landing" / source / table
        missing = [day for day in sorted(days) if not (folder / f"ds={day}" / "manifest.json").exists()]
        for who in sorted({days[day] for day in missing}):
            gone = [day for day in missing if days[day] == who]
            yield DiskFault(
                part="landing",
                place=str(folder),
                problem=f"{format_days(gone)} not landed, though {who} was made from it",
                next=f"run `matinee land <pipeline> --as-of {gone[-1]}`, or restore the folders from a backup",
            )
