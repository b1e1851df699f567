"""The benchmark of checks compares what it says, on two thousand rows."""

from __future__ import annotations

from pathlib import Path

from bench.checks import DAY, SUITES, measure, scan, suite_of, verdict, write
from tasks.store.database import memory


def test_the_scan_and_the_checks_read_the_same_day(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    write(path, 2_000)

    for name in SUITES:
        suite = suite_of(name, path)
        with memory() as connection:
            (hashes,) = scan(connection, path)
            today = measure(connection, path, suite)
        assert len(hashes) == 8
        assert (today.measures["rows"], today.day) == (2_000, DAY)
        assert verdict(suite, today) == len(suite.expectations)
