"""The draws of `bench.sampling` in DuckDB, each in a process of its own: `python -m bench._sampling_ours exact …`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import duckdb

from tasks.examples.sampling import draw as drawing
from tasks.examples.sampling.allocation import Stratum, allocate, bounds, shares
from tasks.examples.sampling.order import PRIME, Order, group_hash_sql
from tasks.features.duckdb_warehouse import DuckDBTables
from tasks.spec.load import load_spec
from tasks.spec.project import pipeline_path
from tasks.spec.sample import Sample
from tasks.spec.spec import Spec
from tasks.store.files import read_json, write_json

ROOT = Path(__file__).resolve().parents[1]
DAYS = 60
FIRST = date(2026, 1, 1)
CUTS = [FIRST + timedelta(days=n) for n in range(DAYS)]
STRATA = ("region", "tenure_band")
NAMES = ("scan", "key", "threshold", "rates", "exact", "counted", "window", "reservoir")


def write(folder: Path, rows: int) -> None:
    """Write `rows` groups of 60 days in 48 strata, the largest 100 times as large as the smallest, in eight files."""
    with connect() as connection:
        connection.execute(
            f"""
            copy (
                select *, {group_hash_sql("lists")} as group_hash
                from (select 'r' || n || '@u' || (hash(n) % 1000000) as group_id,
                       date '{FIRST}' + (n * {DAYS} // {rows})::integer as cut,
                       'region ' || floor(8 * pow((hash(n, 1) % 10000) / 10000, 2))::integer as region,
                       'band ' || floor(6 * pow((hash(n, 2) % 10000) / 10000, 2))::integer as tenure_band,
                       1::tinyint as best, n % 8 as part
                from range({rows}) t(n)) lists
            ) to '{folder}' (format parquet, partition_by (part), overwrite)
            """
        )
    with connect(folder) as connection:
        counts = drawing.strata_counts(DuckDBTables(connection), spec_of(1), CUTS)
    write_json(folder / "counts.json", [[*stratum, count] for stratum, count in counts.items()])


def connect(data: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open DuckDB on the groups below a folder."""
    memory = os.environ.get("MATINEE_MEMORY_LIMIT", "4GB")
    connection = duckdb.connect(config={"memory_limit": memory, "threads": 2})
    if data is not None:
        rows = f"read_parquet('{data}/**/*.parquet', hive_partitioning = false)"
        connection.execute(f"create temp view groups as select * from {rows}")
    return connection


def spec_of(groups: int) -> Spec:
    """A pipeline that draws so many groups over the 48 strata."""
    sample = Sample(strata=STRATA, groups=groups, allocation="sqrt", seed=7)
    return load_spec(pipeline_path("streaming")).model_copy(update={"sample": sample})


def sizes_of(data: Path, groups: int) -> tuple[dict[Stratum, int], dict[Stratum, int]]:
    """Groups there are, and groups to draw, by stratum."""
    counts: dict[Stratum, int] = {tuple(stratum): count for *stratum, count in read_json(data / "counts.json")}
    sample = spec_of(groups).sample
    return counts, allocate(bounds(sample, counts, shares(counts, sample.allocation, {})), groups)


def statements(sizes: Mapping[Stratum, int], counts: Mapping[Stratum, int]) -> dict[str, str]:
    """What exact sizes are compared with, as SQL over `groups`."""
    place = Order.of(spec_of(1).sample.seed, "sample").sql("group_hash")
    total, share = sum(sizes.values()), sum(sizes.values()) / sum(counts.values())
    values = ", ".join(
        f"('{region}', '{band}', {counts[region, band]}, {size}, {int(size / counts[region, band] * PRIME)})"
        for (region, band), size in sizes.items()
    )
    drawn = f"groups join (values {values}) s(region, tenure_band, available, size, bound) using (region, tenure_band)"
    ordered = f"row_number() over (partition by region, tenure_band order by {place}, group_id, cut)"
    return {
        "scan": "select region, tenure_band, count(*) as groups, max(strlen(group_id)) as longest, max(cut) as last "
        "from groups where best > 0 group by all",
        "key": f"select bit_xor({group_hash_sql('groups')}) as hashes from groups",
        "threshold": f"select group_id, cut from groups where best > 0 and {place} < {int(share * PRIME)}",
        "rates": f"select group_id, cut, available / size as weight from {drawn} where best > 0 and {place} < bound",
        "window": f"select group_id, cut, available / size as weight from {drawn} where best > 0 "
        f"qualify {ordered} <= size",
        "reservoir": f"select group_id, cut from groups using sample reservoir({total} rows) repeatable (7)",
    }


def run(name: str, data: Path, out: Path, groups: int) -> None:
    """Draw so many groups as `name` does, and write the rows."""
    with connect(data) as connection:
        tables, spec = DuckDBTables(connection), spec_of(groups)
        counts, sizes = sizes_of(data, groups)
        if name == "counted":
            drawing.draw(tables, spec, "fit", CUTS)
        elif name == "exact":
            drawing.draw_sizes(tables, spec, "fit", CUTS, (counts, sizes))
        query = "select * from fit" if name in {"counted", "exact"} else statements(sizes, counts)[name]
        tables.write(query, out)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
