"""Exact sizes per stratum in Polars and pandas, each in a process of its own.

Run by path, with a Python that has them: `python bench/_sampling_peers.py polars <folder> <out.parquet> <sizes.json>`.
Both draw by a random number of their own for each row: neither has a hash that stays the same over versions.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

STRATA = ["region", "tenure_band"]
COLUMNS = ["group_id", "cut", *STRATA]


def polars(files: list[Path], out: Path, sizes: list[tuple[str, str, int]]) -> None:
    """Rank a hash within each stratum, and keep the first ones."""
    import polars as pl

    asked = pl.DataFrame(sizes, schema=[*STRATA, "size"], orient="row").lazy()
    place = pl.col("group_id").hash(7).rank("ordinal").over(STRATA)
    rows = pl.scan_parquet(files).select(COLUMNS).with_columns(place=place).join(asked, on=STRATA)
    rows.filter(pl.col("place") <= pl.col("size")).select("group_id", "cut").sink_parquet(out)


def pandas(files: list[Path], out: Path, sizes: list[tuple[str, str, int]]) -> None:
    """Rank a random number within each stratum, and read the first ones' ids."""
    import numpy as np
    import pandas as pd

    rows = pd.concat([pd.read_parquet(file, columns=STRATA) for file in files], ignore_index=True)
    rows["place"] = pd.Series(np.random.default_rng(7).random(len(rows)))
    rows["place"] = rows.groupby(STRATA)["place"].rank(method="first")
    asked: Any = pd.DataFrame(sizes, columns=[*STRATA, "size"])
    joined = rows.merge(asked, on=STRATA, how="left")  # in the order of the rows
    chosen = (joined["place"] <= joined["size"]).to_numpy()
    parts, start = [], 0
    for file in files:
        names = pd.read_parquet(file, columns=["group_id", "cut"])
        parts.append(names[chosen[start : start + len(names)]])
        start += len(names)
    pd.concat(parts, ignore_index=True).to_parquet(out)


if __name__ == "__main__":
    contender, data, target, given = sys.argv[1:]
    chosen = [(region, band, size) for region, band, size in json.loads(Path(given).read_text())]
    {"polars": polars, "pandas": pandas}[contender](sorted(Path(data).glob("**/*.parquet")), Path(target), chosen)
