"""What can be made again: what steps and cuts have left, the warehouse's tables, and the rows in quarantine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path

from tasks.features.engines import warehouse_of
from tasks.features.ledger import Entry
from tasks.operations.verification.faults import DiskFault, Progress, collected, fault_of
from tasks.quarantine.manifest import ManifestEntry, check_file, read_entries
from tasks.store.damage import damage_of
from tasks.store.files import DIGESTS, Home

MADE_AGAIN = "delete it and run the step `retrieve` again: it makes the same"
STEP_AGAIN = "delete it and run the step again that makes it"
REJECTED_AGAIN = f"delete the manifest and its files, and {ManifestEntry.REMEDY.removeprefix('delete it and ')}"
BUILT_AGAIN = "delete it and run the step `build` again: it is a cache of the landing"


def cut_folders(home: Home, pipeline: str) -> list[Path]:
    """List the retrieval folders of a pipeline; hidden ones are still being written."""
    return sorted(path for path in home.retrieval(pipeline).glob("cut=*/[!.]*") if path.is_dir())


def retrieval_faults(home: Home, pipeline: str, progress: Progress) -> Iterator[DiskFault]:
    """Compare every file of every cut with what was written."""
    for folder in cut_folders(home, pipeline):
        progress(str(folder.relative_to(home.root)))
        if problem := damage_of(folder):
            yield DiskFault(part="retrieval", place=str(folder), problem=problem, next=MADE_AGAIN)


def warehouse_faults(home: Home, pipeline: str, ledger: dict[Entry, str]) -> Iterator[DiskFault]:
    """Read every block of the tables, and copy what they were built from into `ledger`."""
    warehouse = warehouse_of(home, pipeline)
    try:
        with warehouse.open() as tables:
            ledger |= tables.ledger()
            for relation in tables.stored():
                # Every value, so that the engine compares the checksum of every block.
                tables.rows(f"select bit_xor(hash(one)) from {relation} as one")
    except Exception as error:
        yield fault_of("warehouse", warehouse.location, error, BUILT_AGAIN)


def loaded_days(ledger: dict[Entry, str]) -> set[tuple[str, date]]:
    """List the (table, day) of the landing that tables were built from."""
    # Only entries of models that hold rows by day of arrival name a table.
    return {(table, day) for _, table, day in ledger if table}


def quarantine_faults(home: Home, pipeline: str) -> Iterator[DiskFault]:
    """Look whether the files are there that the manifests of rejected rows name."""
    for manifest in sorted(home.quarantine(pipeline).glob("*/ds=*/manifest.json")):
        yield from collected("quarantine", manifest, ManifestEntry.REMEDY, partial(_rejected, manifest))


def _rejected(manifest: Path) -> Iterator[DiskFault]:
    for entry in read_entries(manifest):
        if entry.file is not None:
            yield from collected("quarantine", manifest, REJECTED_AGAIN, partial(_file, manifest.parent, entry))


def _file(folder: Path, entry: ManifestEntry) -> Iterator[DiskFault]:
    check_file(folder / str(entry.file), entry.sha256)
    yield from ()


def runs_faults(home: Home, pipeline: str, progress: Progress) -> Iterator[DiskFault]:
    """Compare what every step of every run has left with what was written."""
    for folder in step_folders(home, pipeline):
        progress(str(folder.relative_to(home.root)))
        if problem := damage_of(folder):
            yield DiskFault(part="runs", place=str(folder), problem=problem, next=STEP_AGAIN)


def step_folders(home: Home, pipeline: str) -> list[Path]:
    """List the folders that steps have left; hidden ones are still being written, or left over."""
    root = home.root / "runs" / pipeline
    notes = sorted(root.rglob(DIGESTS))
    return [
        note.parent for note in notes if not any(part.startswith(".") for part in note.parent.relative_to(root).parts)
    ]
