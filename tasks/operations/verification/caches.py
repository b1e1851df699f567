"""What can be made again: the retrieval folders of cuts, the warehouse's tables, and the rows in quarantine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path

from tasks.features.engines import warehouse_of
from tasks.features.ledger import Entry, models
from tasks.operations.verification.faults import DiskFault, Progress, collected, fault_of
from tasks.quarantine.rejected_rows import ManifestEntry
from tasks.store.damage import damage_of
from tasks.store.files import Home
from tasks.store.records import read_list

MADE_AGAIN = "delete it and run the step `retrieve` again: it makes the same"
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
    loading = set(models("ds")[:-1])
    return {(table, day) for model, table, day in ledger if model in loading}


def quarantine_faults(home: Home, pipeline: str) -> Iterator[DiskFault]:
    """Look whether the files are there that the manifests of rejected rows name."""
    for manifest in sorted(home.quarantine(pipeline).glob("*/ds=*/manifest.json")):
        yield from collected("quarantine", manifest, ManifestEntry.REMEDY, partial(_rejected, manifest))


def _rejected(manifest: Path) -> Iterator[DiskFault]:
    import pyarrow.parquet as pq

    for entry in read_list(manifest, ManifestEntry):
        path = manifest.parent / entry.file if entry.file else None
        if path is None:
            continue
        if not path.is_file():
            problem = "missing, though manifest.json beside it names it"
        elif (rows := pq.read_metadata(path).num_rows) != sum(entry.rules.values()):
            problem = f"found {rows} rows, expected {sum(entry.rules.values())} as manifest.json beside it says"
        else:
            continue
        remedy = f"delete the manifest and its files, and {ManifestEntry.REMEDY.removeprefix('delete it and ')}"
        yield DiskFault(part="quarantine", place=str(path), problem=problem, next=remedy)
