"""Profiles of landed partitions, measured once: a profile is a function of the file's bytes and of what is measured.

    profiles/<source>/<table>/<digest>.json   a cache; delete it at any time

The digest covers the file's sha256, its day, the suite's measures, and the code and the library that measure.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.checks.profile import profile_file
from tasks.runs.provenance import source_digest
from tasks.store.files import Home, digest, write_json
from tasks.store.partitions import Partition

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tasks.checks.suites import Suite


def kept_profile(
    connection: DuckDBPyConnection, home: Home, source: str, suite: Suite, partition: Partition
) -> dict[str, Any]:
    """Return the profile of a partition by a suite's measures, from the cache if it was measured before.

    Raises:
        LandingError: the file is torn; names it.
        CheckFailed: a rule cannot be computed over these rows.
    """
    path = _path(home, source, suite, partition)
    found = _read(path)
    if found is None:
        days = {"run_day": partition.ds}
        found = profile_file(connection, partition.path, days, suite.meta.measure, suite.measured)
        write_json(path, found)
    return found


def _path(home: Home, source: str, suite: Suite, partition: Partition) -> Path:
    measures = [suite.meta.measure.model_dump(mode="json"), list(suite.measured)]
    name = digest([partition.sha256, partition.ds, measures, _measured_by()])
    return home.profiles(source, partition.table) / f"{name[:32]}.json"


@cache
def _measured_by() -> list[str]:
    import duckdb

    return [duckdb.__version__, source_digest("tasks.checks.profile", "tasks.checks.profile_sql", "tasks.store.sql")]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # absent, or not whole: it is measured again
    return found
