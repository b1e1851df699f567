"""The contenders of `bench.features` count what they say, on a thousand impressions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bench import _impressions
from bench._feature_ours import NAMES
from bench.features import Bench, ContenderError, Measured, report, run

ROWS, DAYS = 1_000, 30


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    _impressions.write(tmp_path / "data", ROWS, DAYS)
    return Bench(ROWS, tmp_path, None, "500MB", 1)


def counted(rows: list[dict[str, Any]]) -> dict[int, list[int]]:
    """Return the counts of each impression, one by one."""
    keys = {"u": ("user_id",), "i": ("item_id",), "p": ("user_id", "item_id")}
    daily = {short: Counter((*(row[k] for k in key), row["day"]) for row in rows) for short, key in keys.items()}
    counts = {}
    for row in rows:
        counts[row["impression_id"]] = [
            sum(
                number
                for (*other, day), number in daily[short].items()
                if other == [row[k] for k in keys[short]] and 0 < (row["day"] - day).days <= window
            )
            for short in "uip"
            for window in (7, 28)
        ]
    return counts


def test_the_same_seed_makes_the_same_rows(bench: Bench, tmp_path: Path) -> None:
    again = _impressions.write(tmp_path / "again", ROWS, DAYS)
    assert len(again) == DAYS + 1
    assert sum(pq.read_metadata(file).num_rows for file in again) == ROWS + ROWS // DAYS
    assert all(pq.read_table(file).equals(pq.read_table(bench.folder / "data" / file.name)) for file in again)


def test_the_raw_statement_counts_what_it_says(bench: Bench) -> None:
    files = sorted((bench.folder / "data").glob("*.parquet"))
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    out = bench.folder / "out.parquet"
    run(bench.command("raw", out, bench.folder), bench.environment, bench.folder / "log")
    expected = counted(rows)
    counts_by_id = {row["impression_id"]: [row[name] for name in NAMES] for row in pq.read_table(out).to_pylist()}
    assert counts_by_id == {number: counts for number, counts in expected.items() if number < ROWS}


def test_a_contender_that_disagrees_ends_the_run(bench: Bench) -> None:
    bench.digests["raw_day"] = (33, 1, 1)
    with pytest.raises(SystemExit, match=r"raw_day disagrees with raw_day: .* \(33, 1, 1\)"):
        bench.once("raw_day")


def test_a_contender_that_fails_is_named_with_its_last_words(bench: Bench) -> None:
    with pytest.raises(ContenderError, match="exit code 3: no such thing"):
        run(["sh", "-c", "echo no such thing; exit 3"], bench.environment, bench.folder / "log")


def test_targets_are_met_or_missed(bench: Bench) -> None:
    seconds = {"floor": 1.0, "raw": 3.0, "dbt_full": 8.0, "raw_day": 1.0, "dbt_day": 4.1, "dbt_nothing": 4.0}
    for name, cpu in {**seconds, "raw_nothing": 0.2}.items():
        bench.measured[name] = [Measured(cpu, cpu, 0.5)]
    bench.contenders()
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report(bench).splitlines()]
    assert ["Polars, left join: not installed", "", "", "", "", ""] in lines
    assert ["full build through dbt ÷ raw statement, net", "1.4", "≤ 1.3", "missed"] in lines
    assert ["raw statement ÷ floor", "3", "≤ 4", "met"] in lines
