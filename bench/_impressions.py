"""Synthetic impressions for `bench.features`: the same rows for the same seed, one parquet file per day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FIRST = date(2026, 1, 1)
LIST = 10
"""Items shown in one request."""


def write(folder: Path, rows: int, days: int, seed: int = 7) -> list[Path]:
    """Write `rows` impressions over `days` days, and one more day of the same size.

    There is one user per hundred rows, a few of them far more active than most; items are Zipf-like, at most 20,000.

    Args:
        folder: where the files `<day>.parquet` go: impression_id, user_id, item_id (BIGINT), day (DATE).
        rows: impressions of all days except the extra one.
        days: number of days, without the extra one.
        seed: of numpy's generator.

    Returns:
        The files, in order of days.
    """
    random = np.random.default_rng(seed)
    users, items = max(rows // 100, 10), min(20_000, max(rows // 500, 10))
    folder.mkdir(parents=True, exist_ok=True)
    bounds = [*(rows * n // days for n in range(days + 1)), rows + rows // days]
    files = []
    for number in range(days + 1):
        size = bounds[number + 1] - bounds[number]
        requests = (users * random.random(-(-size // LIST)) ** 1.5).astype(np.int64)
        day = FIRST + timedelta(days=number)
        table = pa.table(
            {
                "impression_id": np.arange(bounds[number], bounds[number + 1]),
                "user_id": requests.repeat(LIST)[:size],
                "item_id": (items * random.random(size) ** 3).astype(np.int64),
                "day": pa.repeat(pa.scalar(day), size),
            }
        )
        files.append(folder / f"{day}.parquet")
        pq.write_table(table, files[-1], compression="zstd")
    return files


def day_of(file: Path) -> date:
    """The day of a file of `write`."""
    return date.fromisoformat(file.stem)


def listed(files: Sequence[Path]) -> str:
    """Files as an SQL list literal."""
    return "[" + ", ".join(f"'{file}'" for file in files) + "]"
