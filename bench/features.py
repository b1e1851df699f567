"""Trailing counts as of each example: ours through dbt, raw DuckDB, and peers: `python -m bench.features`.

Synthetic impressions over 30, 60 or 90 days; of each, the impressions of its user, its item and the pair in the 7 and
28 days before its day. Parquet in, parquet out, one process for each contender; its CPU seconds (user + system), peak
memory and rows per second are the kernel's figures for that process, start-up included. Outputs are compared by a
digest that ignores their order: a contender that disagrees ends the run.

Polars, pandas and Feast run in a Python of their own:

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install polars pandas pyarrow 'feast[duckdb]==0.66.*'
    python -m bench.features --peers-python /tmp/peers/bin/python --rows 1000000 10000000 50000000 --write
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench._feature_ours import NAMES, ROOT
from bench._impressions import write
from bench._results import show, table

DAYS = {1_000_000: 30, 10_000_000: 60, 50_000_000: 90}
MOST = {"feast": 1_000_000, "pandas": 10_000_000}
"""Most rows that a contender is run with: beyond them it does not fit in the memory of a small machine."""

OURS = ("floor", "raw", "dbt_full", "raw_day", "dbt_day", "dbt_nothing", "raw_nothing")
PEERS = ("polars", "pandas", "feast")
LABELS = {
    "floor": "read and write only (the floor)",
    "raw": "one raw DuckDB statement",
    "dbt_full": "ours, full build through dbt",
    "raw_day": "raw DuckDB, the last day alone",
    "dbt_day": "ours, one more day through dbt",
    "dbt_nothing": "ours, nothing to do (start-up)",
    "raw_nothing": "Python and DuckDB, nothing to do",
    "polars": "Polars, left join",
    "pandas": "pandas, merge_asof",
    "feast": "Feast 0.66, DuckDB store",
}


@dataclass(frozen=True)
class Measured:
    """The kernel's figures for one process."""

    cpu: float
    """User + system seconds."""
    wall: float
    peak: float
    """Largest resident size, 10^9 bytes."""


class ContenderError(Exception):
    """A contender ended with an error; the message is the last line of its output."""


def run(command: Sequence[str], environment: dict[str, str], log: Path) -> Measured:
    """Run a contender in a process of its own and measure it.

    Raises:
        ContenderError: its exit code is not 0.
    """
    start = time.perf_counter()
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=out, env=environment, cwd=ROOT)
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    peak = used.ru_maxrss * 1024 / 1e9
    if child.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = lines[-1] if lines else "no output"
        raise ContenderError(f"exit code {child.returncode}: {last} (peak {peak:.1f} GB)")
    return Measured(used.ru_utime + used.ru_stime, time.perf_counter() - start, peak)


def digest(out: Path) -> tuple[int, ...]:
    """Count the rows and digest them in a way that does not depend on their order."""
    columns = ", ".join(f"{name}::integer" for name in NAMES)
    with duckdb.connect(config={"memory_limit": "2GB", "threads": 2}) as connection:
        query = f"select count(*), bit_xor(hash(impression_id, {columns})), sum(p28) from '{out}'"
        return tuple(int(value or 0) for value in connection.execute(query).fetchall()[0])


@dataclass
class Bench:
    """The contenders on one number of rows: its data, what was measured, and who is missing and why."""

    rows: int
    folder: Path
    peers_python: Path | None
    memory: str
    repeats: int

    def __post_init__(self) -> None:
        self.days = DAYS.get(self.rows, 30)
        self.measured: dict[str, list[Measured]] = {}
        self.missing: dict[str, str] = {}
        self.digests: dict[str, tuple[int, ...]] = {}
        self.environment = {**os.environ, "MATINEE_THREADS": "2", "MATINEE_MEMORY_LIMIT": self.memory}
        self.environment |= {"POLARS_MAX_THREADS": "2", "OMP_NUM_THREADS": "2", "FEAST_USAGE": "False"}

    def command(self, name: str, out: Path, state: Path) -> list[str]:
        """The command line that runs a contender in a process of its own."""
        data = str(self.folder / "data")
        if name in OURS:
            return [sys.executable, "-m", "bench._feature_ours", name, data, str(out), str(state)]
        return [str(self.peers_python), str(ROOT / "bench" / "_feature_peers.py"), name, data, str(out)]

    def contenders(self) -> list[str]:
        """List the contenders that can run; note in `missing` why the others cannot."""
        if self.peers_python is None:
            self.missing |= dict.fromkeys(PEERS, "not installed")
        for name, most in MOST.items():
            if self.rows > most:
                self.missing[name] = f"not run with more than {most:,} rows (memory)"
        peers = [name for name in PEERS if name not in self.missing]
        return [*OURS, *peers]

    def once(self, name: str) -> None:
        """Run a contender once, and compare its output with that of the first one."""
        out, state = self.folder / f"{name}.parquet", self.folder / "state"
        out.unlink(missing_ok=True)
        if name == "dbt_full":
            shutil.rmtree(state, ignore_errors=True)
        state.mkdir(exist_ok=True)
        try:
            measured = run(self.command(name, out, state), self.environment, self.folder / f"{name}.log")
        except ContenderError as reason:
            self.missing[name] = str(reason)
            return
        self.measured.setdefault(name, []).append(measured)
        if name != "floor" and not name.endswith("_nothing"):
            reference, rows = "raw_day" if name.endswith("_day") else "raw", digest(out)
            if rows != self.digests.setdefault(reference, rows):
                raise SystemExit(f"{name} disagrees with {reference}: {rows}, {self.digests[reference]}")
            self.digests[name] = rows
        out.unlink(missing_ok=True)

    def of(self, name: str) -> Measured:
        """Medians over the runs of a contender."""
        runs = self.measured[name]
        return Measured(*(statistics.median(getattr(one, what) for one in runs) for what in ("cpu", "wall", "peak")))


def report(bench: Bench) -> str:
    """Lay out the section of one number of rows."""
    raw, lines = bench.of("raw"), []
    for name in (*OURS, *PEERS):
        if name in bench.measured:
            one = bench.of(name)
            rows = bench.rows // bench.days if name.endswith("_day") else bench.rows
            speed = "" if name.endswith("_nothing") else f"{rows / one.cpu:,.0f}"
            lines.append(
                (
                    LABELS[name],
                    f"{one.cpu:.2f}",
                    f"{one.cpu / raw.cpu:.2f}",
                    speed,
                    f"{one.wall:.1f}",
                    f"{one.peak:.2f}",
                )
            )
        else:
            lines.append((f"{LABELS[name]}: {bench.missing.get(name, 'not run')}", "", "", "", "", ""))
    header = ("contender", "CPU s", "÷ raw", "rows per CPU s", "wall s", "peak GB")
    title = f"## {bench.rows:,} impressions over {bench.days} days"
    return "\n".join([title, "", table(header, lines), "", *targets(bench)])


def targets(bench: Bench) -> list[str]:
    """Lay out targets and measurements; `net` leaves out what dbt costs when it has nothing to do."""
    raw, floor, full = bench.of("raw").cpu, bench.of("floor").cpu, bench.of("dbt_full")
    start = bench.of("dbt_nothing").cpu
    net = full.cpu - start + bench.of("raw_nothing").cpu
    measured = [
        ("full build through dbt ÷ raw statement, net", net / raw, 1.3),
        ("one more day ÷ full build, net", (bench.of("dbt_day").cpu - start) / (full.cpu - start), 1 / 40),
        ("raw statement ÷ floor", raw / floor, 4.0),
        ("full build through dbt ÷ floor, net", net / floor, 4.0),
        ("peak GB of the full build", full.peak, 8 * 2**30 / 1e9),
    ]
    if "polars" in bench.measured:
        polars = bench.of("polars").cpu
        measured += [
            ("raw statement ÷ Polars", raw / polars, 0.9),
            ("full build through dbt ÷ Polars, net", net / polars, 0.9),
        ]
    rows = []
    for what, value, limit in measured:
        verdict = "met" if value <= limit else "missed"
        rows.append((what, f"{value:.3g}", f"≤ {limit:.3g}", verdict if value > 0 else "lost in start-up time"))
    return [table(("target", "measured", "required", ""), rows)]


def measure(bench: Bench) -> str:
    """Write the data, run the contenders in turns, and lay out the section."""
    write(bench.folder / "data", bench.rows, bench.days)
    turns = [name for _ in range(bench.repeats) for name in bench.contenders()]
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"{bench.rows:,} rows", total=len(turns))
        for name in turns:
            progress.update(task, description=f"{bench.rows:,} rows: {LABELS[name]}")
            if name not in bench.missing:
                bench.once(name)
            progress.advance(task)
    return report(bench)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--peers-python", type=Path, help="a Python that has Polars, pandas and Feast")
    parser.add_argument("--memory", default="6GB", help="DuckDB's memory limit; beyond it, it spills")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each contender; medians are shown")
    parser.add_argument("--folder", type=Path, help="where the data goes; a temporary folder if absent")
    parser.add_argument("--write", action="store_true", help="keep the table in bench/results/")
    given = parser.parse_args(arguments)
    sections = []
    for rows in given.rows:
        with tempfile.TemporaryDirectory(prefix="matinee-bench-", dir=given.folder) as folder:
            sections.append(measure(Bench(rows, Path(folder), given.peers_python, given.memory, given.repeats)))
            print(sections[-1], file=sys.stderr)
    head = [
        "# Trailing 7 and 28-day counts of user, item and pair as of each example",
        "",
        f"Parquet in, parquet out, 2 threads, DuckDB's memory limit {given.memory}; all contenders give equal rows. "
        f"CPU seconds and peak memory are those of a whole process; medians of {given.repeats}. `net` leaves out what "
        "dbt costs when it has nothing to do. Ratios carry over to other machines, seconds do not. Made by "
        "`python -m bench.features`.",
        "",
    ]
    show("features", "\n".join(head) + "\n" + "\n\n".join(sections), write=given.write)


if __name__ == "__main__":
    main()
