"""The raw DuckDB statements of `bench.features` and the project's dbt models, each in a process of its own.

`python -m bench._feature_ours <contender> <folder of days> <out.parquet> <folder for state>`
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import duckdb

from bench._impressions import FIRST, day_of, listed

ROOT = Path(__file__).resolve().parent.parent
WINDOWS = (7, 28)
NAMES = [f"{short}{w}" for short in "uip" for w in WINDOWS]


def connect(state: Path, file: Path | str = ":memory:") -> duckdb.DuckDBPyConnection:
    """Open DuckDB with the limits of the bench: it spills into the state folder."""
    return duckdb.connect(
        file,
        config={
            "threads": os.environ["MATINEE_THREADS"],
            "memory_limit": os.environ["MATINEE_MEMORY_LIMIT"],
            "temp_directory": str(state / "spill"),
            "preserve_insertion_order": "false",
        },
    )


def _to(query: str, out: Path) -> str:
    return f"copy ({query}) to '{out}' (format parquet)"


def floor(files: Sequence[Path], out: Path, state: Path) -> None:
    """Read the rows and write as many columns as the result has."""
    columns = ", ".join(f"{'user_id' if n % 2 else 'item_id'}::integer as {name}" for n, name in enumerate(NAMES))
    connect(state).execute(_to(f"select impression_id, {columns} from read_parquet({listed(files[:-1])})", out))


def raw(files: Sequence[Path], out: Path, state: Path) -> None:
    """The best statement we know: pairs as packed integers, only those seen twice; small tables joined last."""
    connect(state).execute(_to(statement(files[:-1]), out))


def raw_day(files: Sequence[Path], out: Path, state: Path) -> None:
    """The same statement for the examples of the last day, from the days that it depends on."""
    last = day_of(files[-1])
    connect(state).execute(_to(statement(files[-1 - max(WINDOWS) :], f"where day = {(last - FIRST).days}"), out))


def statement(files: Sequence[Path], only: str = "") -> str:
    """The raw statement; `only` restricts the examples (a WHERE clause over `day`, a number of days)."""

    def window(key: str, table: str, short: str) -> str:
        sums = ", ".join(f"coalesce(sum(n) over w{w}, 0)::integer as {short}{w}" for w in WINDOWS)
        frames = ", ".join(
            f"w{w} as (partition by {key} order by day range between {w} preceding and 1 preceding)" for w in WINDOWS
        )
        return f"select {key}, day, {sums} from {table} window {frames}"

    pair_sums = ", ".join(f"sum(case when b.day >= a.day - {w} then b.n else 0 end)::integer as p{w}" for w in WINDOWS)
    return f"""
        with shown as (
            select impression_id, user_id, item_id, day - date '{FIRST}' as day, user_id * 32768 + item_id as pair
            from read_parquet({listed(files)})
        ),
        again as materialized (select pair from shown group by pair having count(*) > 1),
        pairs as materialized (
            select pair, day, count(*)::integer as n from shown semi join again using (pair) group by all
        ),
        users as materialized (select user_id, day, count(*)::integer as n from shown group by all),
        items as materialized (select item_id, day, count(*)::integer as n from shown group by all),
        p as materialized (
            select a.pair, a.day, {pair_sums}
            from pairs a join pairs b on a.pair = b.pair and b.day < a.day and b.day >= a.day - {max(WINDOWS)}
            group by all
        ),
        u as materialized ({window("user_id", "users", "u")}),
        i as materialized ({window("item_id", "items", "i")})
        select impression_id, {", ".join(f"coalesce({name}, 0) as {name}" for name in NAMES)}
        from (select * from shown {only}) as s
        left join u on u.user_id = s.user_id and u.day = s.day
        left join i on i.item_id = s.item_id and i.day = s.day
        left join p on p.pair = s.pair and p.day = s.day
    """


def dbt_full(files: Sequence[Path], out: Path, state: Path) -> None:
    """Build all days but the last in one dbt run, and join their examples."""
    _build(files[:-1], files[:-1], state)
    _in_process_of_its_own("join_full", files, out, state)


def dbt_day(files: Sequence[Path], out: Path, state: Path) -> None:
    """Add the last day to the tables that `dbt_full` left, and join its examples."""
    _build(files, files[-1:], state)
    _in_process_of_its_own("join_day", files, out, state)


def dbt_nothing(files: Sequence[Path], out: Path, state: Path) -> None:
    """Start everything that `dbt_day` starts, with no day to add and no example."""
    _build(files, [], state)
    _in_process_of_its_own("raw_nothing", files, out, state)


def _in_process_of_its_own(name: str, files: Sequence[Path], out: Path, state: Path) -> None:
    """Run a step in a child process, as Airflow does; the kernel adds its CPU time to this one's."""
    command = [sys.executable, "-m", "bench._feature_ours", name, str(files[0].parent), str(out), str(state)]
    subprocess.run(command, check=True, cwd=ROOT)


def join_full(files: Sequence[Path], out: Path, state: Path) -> None:
    """Join the examples of all days but the last."""
    _join(files[:-1], out, state)


def join_day(files: Sequence[Path], out: Path, state: Path) -> None:
    """Join the examples of the last day."""
    _join(files[-1:], out, state)


def raw_nothing(files: Sequence[Path], out: Path, state: Path) -> None:
    """Start Python and DuckDB."""
    connect(state).execute("select 1")


def _build(known: Sequence[Path], new: Sequence[Path], state: Path) -> None:
    from dbt.cli.main import dbtRunner

    file = state / "warehouse.duckdb"
    os.environ.update(MATINEE_WAREHOUSE_FILE=str(file), DO_NOT_TRACK="1")
    with connect(state, file) as connection:
        connection.execute("create schema if not exists control")
        paths = ", ".join(f"(date '{day_of(f)}', '{f}', {f in new})" for f in known)
        connection.execute(
            f"create or replace table control.partitions as select * from (values {paths}) as given(ds, path, changed)"
        )
        days = ", ".join(f"date '{day_of(f) - timedelta(days=1)}'" for f in new)
        connection.execute(f"create or replace table control.as_of_days as select unnest([{days}]::date[]) as as_of")
    folders = [f"--project-dir={ROOT / 'bench' / 'features_project'}", f"--profiles-dir={ROOT / 'transforms'}"]
    folders += [f"--target-path={state / 'target'}", f"--log-path={state / 'logs'}"]
    outcome = dbtRunner().invoke(["--quiet", "--log-level-file", "none", "run", *folders])
    if not outcome.success:
        messages = [f"{r.node.name}: {r.message}" for r in getattr(outcome.result, "results", [])]
        raise SystemExit("\n".join(messages) or str(outcome.exception))


def _join(files: Sequence[Path], out: Path, state: Path) -> None:
    """Join examples as `tasks.examples.sample` does."""
    columns = ", ".join(
        f"coalesce({short}.impressions_{w}d, 0)::integer as {short}{w}" for short in "uip" for w in WINDOWS
    )
    query = f"""
        with chosen as not materialized (
            select impression_id, user_id, item_id, (day - 1)::date as cut from read_parquet({listed(files)})
        ),
        points as not materialized (select user_id, item_id, cut as as_of from chosen)
        select impression_id, {columns}
        from chosen c
        left join users u on u.user_id = c.user_id and u.as_of = c.cut
        left join items i on i.item_id = c.item_id and i.as_of = c.cut
        left join pairs_at('points') p on p.user_id = c.user_id and p.item_id = c.item_id and p.as_of = c.cut
    """
    with connect(state, state / "warehouse.duckdb") as connection:
        connection.execute(_to(query, out))


CONTENDERS = {
    "floor": floor,
    "raw": raw,
    "raw_day": raw_day,
    "dbt_full": dbt_full,
    "dbt_day": dbt_day,
    "join_full": join_full,
    "join_day": join_day,
    "dbt_nothing": dbt_nothing,
    "raw_nothing": raw_nothing,
}

if __name__ == "__main__":
    name, folder, target, place = sys.argv[1:5]
    CONTENDERS[name](sorted(Path(folder).glob("*.parquet")), Path(target), Path(place))
