"""Judge landed days again by the staging SQL as it is now, beside the warehouse: which rows would be refused?

The same models decide that decide in a build, in a database of their own that is thrown away: a day's verdicts are a
function of that day's partitions.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.features.build import build_staging, code_of_tables
from tasks.store.database import memory
from tasks.store.files import Home
from tasks.store.partitions import Partition, partition_dir, read_manifests, store
from tasks.store.sql import identifier

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.quarantine.rejected_rows import Refusals
    from tasks.spec.spec import Spec

Refused = dict[tuple[str, date], list[tuple[str, str]]]
"""Of each table and day the refused rows: rule, and the row as JSON text."""


def refused_now(
    spec: Spec,
    home: Home,
    tables: Collection[str],
    days: Collection[date],
    instead: Mapping[tuple[str, date], pa.Table],
) -> Refused:
    """Return the rows of some landed days that staging refuses now.

    Args:
        spec: the pipeline.
        home: its state; nothing is written there.
        tables: the source's tables.
        days: which days.
        instead: rows to judge in place of what is landed, by table and day.

    Raises:
        BuildError: the SQL fails.
    """
    landed = read_manifests(home, spec.source_name, tables, min(days), max(days))
    with tempfile.TemporaryDirectory(prefix="matinee-") as folder:
        scratch = Home(Path(folder))
        parts = [p for p in landed if p.ds in days and (p.table, p.ds) not in instead]
        for (table, ds), rows in instead.items():
            made = store(partition_dir(scratch, spec.source_name, table, ds), rows, inputs="proposed")
            parts.append(Partition(table, ds, made.path, made.sha256, made.rows))
        _take_parse_cache(home, scratch, spec.name)
        with build_staging(spec, scratch, parts, Path(folder) / "dbt.log").open() as staged:
            rows_now = staged.rows('select table_name, ds, rule, "row" from rejected_rows order by all')
    found: Refused = {}
    for table, ds, rule, text in rows_now:
        found.setdefault((table, ds), []).append((rule, text))
    return found


def outdated(spec: Spec, home: Home, found: Sequence[Refusals]) -> list[date]:
    """Return the days whose refused rows are those of an earlier landing, or of other SQL."""
    code = code_of_tables(spec)
    return sorted({*landed_again(spec, home, found), *(one.ds for one in found if one.current and one.code != code)})


def landed_again(spec: Spec, home: Home, found: Sequence[Refusals]) -> list[date]:
    """Return the days whose refused rows are those of an earlier landing."""
    current = [one for one in found if one.current]
    if not current:
        return []
    tables = {one.table for one in current}
    first, last = min(one.ds for one in current), max(one.ds for one in current)
    landed = {(p.table, p.ds): p.sha256 for p in read_manifests(home, spec.source_name, tables, first, last)}
    return sorted({one.ds for one in current if landed.get((one.table, one.ds)) != one.landing})


def _take_parse_cache(home: Home, scratch: Home, name: str) -> None:
    """Let dbt begin with what it knew of the project in the last build, where there was one."""
    known = home.root / "dbt" / name / "target" / "partial_parse.msgpack"
    if known.is_file():
        target = scratch.root / "dbt" / name / "target"
        target.mkdir(parents=True)
        shutil.copyfile(known, target / known.name)


def texts(rows: pa.Table, like: str) -> list[str]:
    """Return rows as the JSON text that staging makes of a refused one, with the columns of an example of it."""
    import pyarrow as pa

    names = ", ".join(f"{identifier(name)} := {identifier(name)}" for name in json.loads(like))
    with memory() as connection:
        connection.register("landed", rows.append_column("_at", pa.array(range(rows.num_rows), pa.int64())))
        query = f"select cast(to_json(struct_pack({names})) as varchar) from landed order by _at"
        return [text for (text,) in connection.execute(query).fetchall()]
