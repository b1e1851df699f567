"""The counts of `bench.features` in Polars, pandas and Feast, each in a process of its own.

Run by path, with a Python that has them: `python bench/_feature_peers.py polars <folder> <out.parquet>`. It imports
nothing of the project, so that the peers' Python does not need its dependencies.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

PACKING = 1 << 20
KEYS = {"u": "user_id", "i": "item_id", "p": "pair"}
WINDOWS = (7, 28)


def polars(files: list[Path], out: Path) -> None:
    """Daily counts; rolling sums for users and items, a self-join for pairs; a left join on key and day."""
    import polars as pl

    rows = pl.scan_parquet(files).with_columns(pair=pl.col("user_id") * PACKING + pl.col("item_id"))
    joined = rows
    for short, key in KEYS.items():
        daily = rows.group_by(key, "day").agg(n=pl.len().cast(pl.Int32)).collect(engine="streaming")
        counts = _self_joined(daily, key) if short == "p" else _rolled(daily, key)
        renamed = counts.lazy().rename({str(w): f"{short}{w}" for w in WINDOWS})
        joined = joined.join(renamed, on=[key, "day"], how="left")
    names = [f"{short}{w}" for short in KEYS for w in WINDOWS]
    joined.select("impression_id", *(pl.col(name).fill_null(0) for name in names)).sink_parquet(out)


def _rolled(daily: Any, key: str) -> Any:
    import polars as pl

    ordered = daily.sort(key, "day")
    parts = [
        ordered.rolling("day", period=f"{w}d", closed="left", group_by=key).agg(pl.col("n").sum().alias(str(w)))
        for w in WINDOWS
    ]
    return parts[0].with_columns(parts[1][str(WINDOWS[1])])


def _self_joined(daily: Any, key: str) -> Any:
    import polars as pl

    days = daily.lazy().with_columns(at=pl.col("day").to_physical())
    age = pl.col("at") - pl.col("at_before")
    return (
        days.join(days.select(key, "at", "n"), on=key, suffix="_before")
        .filter((age > 0) & (age <= max(WINDOWS)))
        .group_by(key, "day")
        .agg((pl.col("n_before") * (age <= w)).sum().alias(str(w)) for w in WINDOWS)
        .collect(engine="streaming")
    )


def pandas(files: list[Path], out: Path) -> None:
    """Daily counts as steps into and out of each window; running sums; merge_asof by key."""
    import pandas as pd

    rows = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    # One unit of time everywhere: adding a timedelta changes it in pandas 3, and merge_asof wants equal ones.
    rows["day"] = pd.to_datetime(rows["day"]).astype("datetime64[us]")
    rows["pair"] = rows["user_id"] * PACKING + rows["item_id"]
    names = [f"{short}{w}" for short in KEYS for w in WINDOWS]
    for short, key in KEYS.items():
        daily = rows.groupby([key, "day"], sort=False).size().rename("n").reset_index()
        parts = [daily.assign(day=daily["day"] + timedelta(days=1), **{f"{short}{w}": daily["n"] for w in WINDOWS})]
        parts += [
            daily.assign(day=daily["day"] + timedelta(days=w + 1), **{f"{short}{w}": -daily["n"]}) for w in WINDOWS
        ]
        counts = [f"{short}{w}" for w in WINDOWS]
        moves = pd.concat(parts)[[key, "day", *counts]].fillna(0)
        state = moves.groupby([key, "day"], as_index=False)[counts].sum()
        state[counts] = state.groupby(key)[counts].cumsum()
        rows = pd.merge_asof(rows, state.sort_values("day"), on="day", by=key)
    rows[names] = rows[names].fillna(0).astype("int32")
    rows[["impression_id", *names]].to_parquet(out, index=False)


def feast(files: list[Path], out: Path) -> None:
    """Running counts from DuckDB, joined as of each example by Feast's DuckDB store."""
    import duckdb
    import pandas as pd
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
    from feast.types import Int64
    from feast.value_type import ValueType

    with tempfile.TemporaryDirectory() as folder:
        config = RepoConfig(
            project="bench",
            provider="local",
            registry=f"{folder}/registry.db",
            offline_store={"type": "duckdb"},
            online_store={"type": "sqlite", "path": f"{folder}/online.db"},
            entity_key_serialization_version=3,
        )
        store, wanted, entities, views = FeatureStore(config=config), [], [], []
        listed = ", ".join(f"'{file}'" for file in files)
        source = f"(select *, user_id * {PACKING} + item_id as pair from read_parquet([{listed}]))"
        for short, key in KEYS.items():
            path = f"{folder}/{short}.parquet"
            duckdb.execute(f"copy ({_states(source, short, key)}) to '{path}' (format parquet)")
            entity = Entity(name=key, join_keys=[key], value_type=ValueType.INT64)
            fields = [Field(name=f"{short}{w}", dtype=Int64) for w in WINDOWS]
            place = FileSource(path=path, timestamp_field="at")
            name = f"counts_{short}"
            views.append(FeatureView(name=name, entities=[entity], ttl=timedelta(0), schema=fields, source=place))
            entities.append(entity)
            wanted += [f"{name}:{field.name}" for field in fields]
        store.apply([*entities, *views])
        with duckdb.connect() as connection:
            query = f"select *, timezone('UTC', day::timestamp) as event_timestamp from {source}"
            frame = connection.execute(query).df()
        frame["event_timestamp"] = pd.to_datetime(frame["event_timestamp"], utc=True)
        joined: Any = store.get_historical_features(frame.drop(columns="day"), wanted).to_df()
        names = [name.split(":")[1] for name in wanted]
        joined[names] = joined[names].fillna(0).astype("int32")
        joined[["impression_id", *names]].to_parquet(out, index=False)


def _states(source: str, short: str, key: str) -> str:
    moves = [f"select {key}, day + 1 as day, n as {short}7, n as {short}28 from daily"]
    moves += [
        f"select {key}, day + {w + 1}, {'-n' if w == 7 else '0'}, {'-n' if w == 28 else '0'} from daily"
        for w in WINDOWS
    ]
    return f"""
        with daily as (select {key}, day, count(*) as n from {source} group by all),
        moves as ({" union all ".join(moves)})
        select {key}, timezone('UTC', day::timestamp) as at,
               sum(sum({short}7)) over (partition by {key} order by day)::bigint as {short}7,
               sum(sum({short}28)) over (partition by {key} order by day)::bigint as {short}28
        from moves group by {key}, day
    """


CONTENDERS = {"polars": polars, "pandas": pandas, "feast": feast}

if __name__ == "__main__":
    name, folder, target = sys.argv[1:4]
    CONTENDERS[name](sorted(Path(folder).glob("*.parquet"))[:-1], Path(target))
