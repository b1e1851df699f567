"""The manifest beside the files of rejected rows: which file is current, what it was made from, and its digest."""

from __future__ import annotations

from pathlib import Path

from tasks.errors import MatineeError
from tasks.store.files import sha256_file
from tasks.store.records import Count, PlainName, Record, SealedRecord, Sha256

WRITTEN_ANEW = (
    "delete it and run `matinee check … --what features` again: it writes the current rows anew from the warehouse"
)


class ManifestEntry(Record):
    """What one landing of a table's day had rejected.

    Attributes:
        file: name of the parquet file; None if nothing is rejected any more.
        sha256: of that file.
        made_of: sha256 of each partition that was checked: the table's, and that of the unreadable lines.
        code: digest of the SQL.
        offered: rows and unreadable lines that were checked; None if that landing is not known.
        rules: rejected rows by rule.
        run: `<as-of day>/<attempt>` of the run that wrote it first.
    """

    REMEDY = WRITTEN_ANEW

    file: PlainName | None
    sha256: Sha256 | None
    made_of: dict[str, str]
    code: str
    offered: Count | None
    rules: dict[str, Count]
    run: str


class QuarantineManifest(SealedRecord):
    """What `manifest.json` of a table's day says: the landings that were checked, the current one last."""

    REMEDY = WRITTEN_ANEW

    entries: tuple[ManifestEntry, ...]


def read_entries(manifest: Path) -> tuple[ManifestEntry, ...]:
    """Read the entries of a manifest; none where nothing was ever rejected.

    Raises:
        MatineeError: it is damaged.
    """
    return QuarantineManifest.read(manifest).entries if manifest.exists() else ()


def check_file(path: Path, sha256: str | None) -> None:
    """Compare a file of rejected rows with its manifest; whoever reads or releases rows does so first.

    Raises:
        MatineeError: it is missing, or is not what was written.
    """
    found = sha256_file(path) if path.exists() else None
    if found is None or found != sha256:
        problem = "missing" if found is None else f"found sha256 {found}, expected {sha256}: changed"
        raise MatineeError(
            f"{path}: {problem}, by manifest.json beside it; delete the manifest and run "
            "`matinee check … --what features` again: it writes both anew from the warehouse"
        )
