"""Profiles of landed partitions, measured once: a profile is a function of the file's bytes and of what is measured.

    profiles/<source>/<table>/<digest>.json   a cache; delete it at any time

The digest covers the file's sha256, its day, the suite's measures, and the code and the library that measure.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.checks.profile import profile_file
from tasks.runs.provenance import source_digest
from tasks.store.files import Home, digest, write_json
from tasks.store.partitions import Partition, check_content

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tasks.checks.profile_columns import Measures
    from tasks.checks.suites import Suite


def kept_profile(
    connection: DuckDBPyConnection, home: Home, source: str, suite: Suite, partition: Partition
) -> Measures:
    """Measure a partition as a suite needs it, or take its profile from the cache.

    Raises:
        LandingError: the file is torn; names it.
        CheckFailed: a rule cannot be computed over these rows.
    """
    path = _path(home, source, suite, partition)
    measures = _read(path)
    if measures is None:
        check_content(partition)
        days = {"run_day": partition.ds}
        measures = profile_file(connection, partition.path, days, suite.meta.measure, suite.measured_columns)
        write_json(path, {"sha256": digest(measures), "measures": measures})
    return measures


def _path(home: Home, source: str, suite: Suite, partition: Partition) -> Path:
    # Only what is measured, not what is expected: a new bound in a suite needs no new scan.
    columns = [column.name for column in suite.measured_columns]
    measures = [suite.meta.measure.model_dump(mode="json"), columns]
    name = digest([partition.sha256, partition.ds, measures, _measured_by()])
    return home.profiles(source, partition.table) / f"{name[:32]}.json"


@cache
def _measured_by() -> list[str]:
    import duckdb

    # DuckDB promises neither its hashes nor its approximate counts from one version to the next.
    measuring = ("profile", "profile_sql", "profile_columns")
    return [duckdb.__version__, source_digest(*(f"checks.{name}" for name in measuring), "store.sql")]


def _read(path: Path) -> Measures | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        measures: Measures = kept["measures"]
        # A flipped bit is still JSON, of another number.
        return measures if digest(measures) == kept["sha256"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent, or not whole: it is measured again
