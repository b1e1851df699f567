"""Check landed days again by the staging SQL as it is now, beside the warehouse: which rows would be rejected?

The same models decide as in a build, in a database of their own that is thrown away afterwards: what is rejected of a
day depends on that day's partitions alone.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.features import parse_cache
from tasks.features.build import build_staging, code_of_tables
from tasks.quarantine.rejected_rows import Part, RejectedPart
from tasks.store.database import memory
from tasks.store.files import Home
from tasks.store.partitions import Partition, partition_dir, read_manifests, store
from tasks.store.sql import identifier

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.spec.spec import Spec


@dataclass(frozen=True)
class Rejection:
    """The rule that rejects a row, and the row as JSON text."""

    rule: str
    text: str


def rejected_now(
    spec: Spec, home: Home, tables: Collection[str], days: Collection[date], instead: Mapping[Part, pa.Table]
) -> dict[Part, list[Rejection]]:
    """Find the rows of some landed days that staging rejects now, by table and day.

    Args:
        spec: the pipeline.
        home: its state; nothing is written there.
        tables: the source's tables.
        days: which days.
        instead: rows to check in place of what is landed, by table and day.

    Raises:
        BuildError: the SQL fails.
    """
    landed = read_manifests(home, spec.source_name, tables, min(days), max(days))
    with tempfile.TemporaryDirectory(prefix="matinee-") as folder:
        scratch = Home(Path(folder))
        parts = [p for p in landed if p.ds in days and (p.table, p.ds) not in instead]  # manifests are read as a range
        for (table, ds), rows in instead.items():
            stored = store(partition_dir(scratch, spec.source_name, table, ds), rows, inputs="proposed")
            parts.append(Partition(table, ds, stored.path, stored.sha256, stored.rows))
        parse_cache.copy(home, scratch, spec.name)
        with build_staging(spec, scratch, parts, Path(folder) / "dbt.log").open() as staged:
            rejected = staged.rows('select table_name, ds, rule, "row" from rejected_rows order by all')
    by_part: dict[Part, list[Rejection]] = {}
    for table, ds, rule, text in rejected:
        by_part.setdefault((table, ds), []).append(Rejection(rule, text))
    return by_part


def outdated_days(spec: Spec, home: Home, parts: Sequence[RejectedPart]) -> list[date]:
    """List the days whose rejected rows come from an earlier landing, or from other SQL."""
    code = code_of_tables(spec).digest
    other_code = {part.ds for part in parts if part.current and part.code != code}
    return sorted({*days_landed_again(spec, home, parts), *other_code})


def days_landed_again(spec: Spec, home: Home, parts: Sequence[RejectedPart]) -> list[date]:
    """List the days whose rejected rows come from an earlier landing."""
    current = [part for part in parts if part.current]
    if not current:
        return []
    tables = {part.table for part in current}
    first, last = min(part.ds for part in current), max(part.ds for part in current)
    landed = {(p.table, p.ds): p.sha256 for p in read_manifests(home, spec.source_name, tables, first, last)}
    return sorted({part.ds for part in current if landed.get((part.table, part.ds)) != part.landing})


def rows_as_json(rows: pa.Table, like: str) -> list[str]:
    """Write rows as the JSON text that staging makes of a rejected one.

    Args:
        rows: landed rows.
        like: such a text; its keys say which columns, in which order.
    """
    import pyarrow as pa

    names = ", ".join(f"{identifier(name)} := {identifier(name)}" for name in json.loads(like))
    with memory() as connection:
        # A query returns rows in any order that suits its threads; the numbers bring them back in theirs.
        connection.register("landed", rows.append_column("_at", pa.array(range(rows.num_rows), pa.int64())))
        query = f"select cast(to_json(struct_pack({names})) as varchar) from landed order by _at"
        return [text for (text,) in connection.execute(query).fetchall()]
