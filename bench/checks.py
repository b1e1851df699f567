"""The cost of checking a landed day, compared with one DuckDB scan of the same columns: `python -m bench.checks`.

A synthetic day of events in the shape of the streaming example is written as one parquet file. Then, in turns and in
one process: a scan that reads every value of every column the suite needs (`bit_xor(hash(column))`), the profile that
the suite asks for, and the verdict on it (28 trailing days, Great Expectations). Figures are median CPU seconds (user +
system); the import of Great Expectations is measured separately. Peak memory is the kernel's figure for a process that
only checks.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from bench._results import show, table
from tasks.checks.gx import evaluate_suite
from tasks.checks.profile import Relation, parquet, profile_file
from tasks.checks.profile_row import Profile
from tasks.checks.suites import Suite, load_suite
from tasks.checks.trailing import with_trailing
from tasks.store.database import memory
from tasks.store.files import sha256_file

DAY = date(2026, 2, 10)
SUITES = ("simulated.events", "default.landed")
TARGET = 1.5
EVENTS = """
    select 'e20260210-' || lpad(i::varchar, 8, '0') as event_id, 'u' || lpad((hash(i) % {users})::varchar, 7, '0') as
           user_id, 'i' || lpad((hash(i + 77777777) % 20000)::varchar, 6, '0') as item_id,
           case hash(i * 3) % 10 when 0 then 'rating' when 1 then 'list_add' else 'play' end as kind,
           (hash(i * 7) % 1000) / 1000.0 as value, 'r' || (i // 3) as request_id,
           timestamp '2026-02-10' + to_seconds((hash(i * 5) % 86400)::int) as occurred_at, occurred_at as known_at
    from range({rows}) numbers(i)
"""


def write(path: Path, rows: int) -> None:
    """Write a day of events, the same rows every time."""
    with memory() as connection:
        query = EVENTS.format(rows=rows, users=max(rows // 25, 10))
        connection.execute(f"copy ({query}) to '{path}' (format parquet, compression zstd)")


def suite_of(name: str, path: Path) -> Suite:
    """Load a suite, narrowed to the columns that the file has."""
    with memory() as connection:
        return load_suite(name).for_columns(Relation(parquet([path]), {}).columns(connection))


def scan(connection: duckdb.DuckDBPyConnection, path: Path) -> list[Any]:
    """Read every value of every column."""
    columns = Relation(parquet([path]), {}).columns(connection)
    every = ", ".join(f'bit_xor(hash("{name}"))' for name in columns)
    return connection.execute(f"select {every} from {parquet([path])}").fetchall()


def measure(connection: duckdb.DuckDBPyConnection, path: Path, suite: Suite) -> Profile:
    """Measure what the suite needs, as `check_landed` does for a day it has not seen."""
    measures = profile_file(connection, path, {"run_day": DAY}, suite.meta.measure, suite.measured_columns)
    return Profile("events", DAY, measures)


def verdict(suite: Suite, today: Profile) -> int:
    """Evaluate the day against 28 days like it; return how many checks there were."""
    earlier = [replace(today, day=DAY - timedelta(days=n)) for n in range(28, 0, -1)]
    # What `check_landed` takes from manifests and neighboring days, not from the file.
    elsewhere = {"rows_vs_manifest": 0, "missing_days": "none", "rows_vs_trailing": 1.0, "unparsed__rate": 0.0}
    row = today.with_measures({**elsewhere, "unexpectedly_empty": "no"})
    return len(evaluate_suite(suite, [with_trailing(suite, row, earlier)], {}))


def cpu(work: Callable[[], Any]) -> float:
    """Measure the CPU seconds (user + system) of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def compared(path: Path, name: str, repeats: int) -> dict[str, float]:
    """Measure median CPU seconds of the scan, the profile, the verdict and the file's digest, in turns."""
    suite = suite_of(name, path)
    seconds: dict[str, list[float]] = {"scan": [], "profile": [], "verdict": [], "sha256": []}
    with memory() as connection:
        today = measure(connection, path, suite)
        verdict(suite, today)
        for _ in range(repeats):
            seconds["scan"].append(cpu(lambda: scan(connection, path)))
            seconds["profile"].append(cpu(lambda: measure(connection, path, suite)))
            seconds["verdict"].append(cpu(lambda: verdict(suite, today)))
            seconds["sha256"].append(cpu(lambda: sha256_file(path)))
    return {what: statistics.median(values) for what, values in seconds.items()}


def peak(path: Path, name: str) -> float:
    """Measure the peak memory (GB) of a process that checks the day once."""
    command = [sys.executable, "-m", "bench.checks", "--only", name, "--file", str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def only(path: Path, name: str) -> float:
    """Check the day once in this process; return its peak memory (GB)."""
    suite = suite_of(name, path)
    with memory() as connection:
        verdict(suite, measure(connection, path, suite))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def report(path: Path, rows: int, repeats: int) -> str:
    """Lay out the table, one row per suite."""
    began = time.process_time()
    import great_expectations  # noqa: F401 - its import is what is measured

    imported = time.process_time() - began
    lines = []
    for name in SUITES:
        seconds = compared(path, name, repeats)
        ratio = (seconds["profile"] + seconds["verdict"]) / seconds["scan"]
        parts = [seconds[what] for what in ("scan", "profile", "verdict", "sha256")]
        met = "met" if ratio <= TARGET else "missed"
        lines.append((name, *(f"{part:.2f}" for part in parts), f"{ratio:.2f}", met, f"{peak(path, name):.2f}"))
    header = ("suite", "scan", "profile", "verdict", "sha256", "(profile + verdict) ÷ scan", f"≤ {TARGET}", "peak GB")
    return "\n".join(
        [
            f"# Checking a landed day of {rows:,} rows",
            "",
            f"CPU seconds (user + system) on 2 threads, medians of {repeats} in turns. `scan` reads every value of "
            "all 8 columns (`bit_xor(hash(column))`); `profile` is what the suite asks SQL for; `verdict` compares "
            "with 28 trailing days and lets Great Expectations decide; `sha256` is the file against its manifest. The "
            f"import of Great Expectations ({imported:.1f} CPU s) is not included. `peak`: a process that only checks. "
            "Ratios carry over to other machines, seconds do not. Made by `python -m bench.checks --write`.",
            "",
            table(header, lines),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="keep the table in bench/results/")
    parser.add_argument("--only", choices=SUITES, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.only:
        print(only(given.file, given.only))
        return
    with tempfile.TemporaryDirectory(prefix="matinee-bench-") as folder:
        path = Path(folder) / "events.parquet"
        write(path, given.rows)
        show("checks", report(path, given.rows, given.repeats), write=given.write)


if __name__ == "__main__":
    main()
