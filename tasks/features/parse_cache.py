"""dbt's parse of the project, kept between builds: the SQL that runs comes out of it, so it is kept with its digest."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from tasks.errors import MatineeError
from tasks.store.files import Home, sha256_file
from tasks.store.records import SealedRecord

CACHE = "partial_parse.msgpack"
NOTE = "partial_parse.json"
log = logging.getLogger("matinee")


class ParseNote(SealedRecord):
    """What the file beside the cache says: the digest that dbt left it with."""

    sha256: str


def target_of(home: Home, pipeline: str) -> Path:
    """The folder in which dbt keeps what it parses and compiles for a pipeline."""
    return home.root / "dbt" / pipeline / "target"


def hold_in_every_home() -> None:
    """Let dbt know its parse again in a home that got a copy of it; to be called before it starts.

    dbt parses anew when what SQL may read of the profile has changed. Of that, the database file's path and DuckDB's
    settings differ between homes, so no SQL may read them: what is built would depend on where a home is.
    """
    from dbt.adapters.duckdb.credentials import DuckDBCredentials

    DuckDBCredentials._connection_keys = lambda _: ("database", "schema")


def drop_if_changed(target: Path) -> None:
    """Remove the cache unless its bytes are those of its note; dbt then parses the project anew, in some seconds.

    dbt compares the project's files with what it has noted of them, not its own copy of the SQL.
    """
    cache = target / CACHE
    if cache.is_file() and sha256_file(cache) != _noted(target):
        log.warning("%s: not noted as what dbt has left: removed, and the SQL project is parsed anew", cache)
        cache.unlink()


def note(target: Path) -> None:
    """Note the digest of the cache, now that dbt has ended."""
    if (target / CACHE).is_file():
        ParseNote(sha256=sha256_file(target / CACHE)).write(target / NOTE)


def copy(home: Home, scratch: Home, pipeline: str) -> None:
    """Let dbt start in another home from the parse of the last build, which takes most of a small run's time."""
    source, target = target_of(home, pipeline), target_of(scratch, pipeline)
    if (source / CACHE).is_file() and (source / NOTE).is_file():
        target.mkdir(parents=True)
        for name in (CACHE, NOTE):
            shutil.copyfile(source / name, target / name)


def _noted(target: Path) -> str | None:
    try:
        return ParseNote.read(target / NOTE).sha256
    except MatineeError:
        return None
