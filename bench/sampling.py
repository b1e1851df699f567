"""Exact sizes of 48 strata: ours, a plain window, a reservoir, and peers: `python -m bench.sampling`.

Synthetic groups of 60 days in eight parquet files; parquet in, parquet out, one process for each contender, 2 threads.
CPU seconds (user + system) and peak memory are the kernel's figures for that process. `exact`, `counted` and `window`
must give the same rows, or the run ends. Ratios are of CPU seconds in one turn, and their medians are shown: contenders
take turns, so that what else the machine does meets all of them alike.

Polars and pandas run in a Python of their own:

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install polars pandas pyarrow
    python -m bench.sampling --peers-python /tmp/peers/bin/python --rows 10000000 50000000 --write
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb

from bench._results import keep, table
from bench._sampling_ours import NAMES, ROOT, sizes_of
from bench.features import ContenderError, Measured, run

LABELS = {
    "scan": "one pass: read the columns, count each stratum",
    "key": "md5 of each group, once a run",
    "threshold": "place below one threshold",
    "rates": "place below a rate for each stratum",
    "exact": "**exact sizes, ours**",
    "counted": "exact sizes, ours, counting included",
    "window": "exact sizes, `row_number` over all",
    "reservoir": "DuckDB `using sample reservoir` (no strata)",
    "polars": "exact sizes, Polars rank",
    "pandas": "exact sizes, pandas rank",
}
PEERS = ("polars", "pandas")
SIZES = (10_000_000, 50_000_000)
"""Those of the page in `bench/results/`."""
INTRO = (
    "Parquet in, parquet out, 2 threads; a process for each contender, its start-up included. Ratios are taken within "
    "a turn, and their medians shown. The pass does not read the hash, the draws do. The first three exact draws gave "
    "the same rows; Polars and pandas draw others, of the same sizes. Ratios carry over to other machines, seconds do "
    "not. Made by `python -m bench.sampling`."
)
SLOW = ("window", *PEERS)
SLOW_ROWS = 10_000_000
"""With more rows the slow ones run in the first turn alone."""
SAME_ROWS = ("exact", "counted", "window")
SHARE = 250
"""One group of so many is drawn."""
TARGETS = (("rates", 1.6), ("exact", 3.0), ("counted", 3.0))
"""CPU seconds at most, as a multiple of one pass."""


class Bench:
    """The contenders on one number of groups."""

    def __init__(self, rows: int, folder: Path, peers_python: Path | None) -> None:
        self.rows, self.folder, self.peers_python = rows, folder, peers_python
        self.groups = max(48, rows // SHARE)
        self.turns: list[dict[str, Measured]] = []
        self.missing = dict.fromkeys(PEERS, "not installed") if peers_python is None else {}
        # In a process of its own: what this one has used would count as its children's peak.
        write = [sys.executable, "-m", "bench._sampling_ours", "write", str(folder / "data"), str(rows)]
        run(write, dict(os.environ), folder / "write.log")

    def command(self, name: str, out: Path) -> list[str]:
        """The command line that runs a contender in a process of its own."""
        data = str(self.folder / "data")
        if name in NAMES:
            return [sys.executable, "-m", "bench._sampling_ours", name, data, str(out), str(self.groups)]
        sizes = self.folder / "sizes.json"
        drawn = [[*stratum, size] for stratum, size in sizes_of(Path(data), self.groups)[1].items()]
        sizes.write_text(json.dumps(drawn), encoding="utf-8")
        return [str(self.peers_python), str(ROOT / "bench" / "_sampling_peers.py"), name, data, str(out), str(sizes)]

    def warm_up(self) -> None:
        """Run the pass once: the first contender after the data are written pays for what the others find in memory."""
        out = self.folder / "warm.parquet"
        run(self.command("scan", out), dict(os.environ), self.folder / "warm.log")
        out.unlink()

    def turn(self) -> None:
        """Run every contender once, and compare the rows of those that must agree.

        Raises:
            SystemExit: they do not.
        """
        environment = {**os.environ, "POLARS_MAX_THREADS": "2", "OMP_NUM_THREADS": "2"}
        measured, digests = {}, {}
        for name in (*NAMES, *PEERS):
            if name in self.missing or (name in SLOW and self.turns and self.rows > SLOW_ROWS):
                continue
            out = self.folder / f"{name}.parquet"
            try:
                measured[name] = run(self.command(name, out), environment, self.folder / f"{name}.log")
            except ContenderError as reason:
                self.missing[name] = str(reason)
                continue
            if name in SAME_ROWS or name in PEERS:
                digests[name] = digest(out, only_count=name in PEERS)
            out.unlink()
        counts = {rows[0] for rows in digests.values()}
        if len({digests[name] for name in SAME_ROWS if name in digests}) != 1 or counts != {self.groups}:
            raise SystemExit(f"contenders disagree: {digests}")
        self.turns.append(measured)

    def ratio(self, name: str) -> float:
        """CPU seconds as a multiple of one pass: the median of the turns."""
        return statistics.median(turn[name].cpu / turn["scan"].cpu for turn in self.turns if name in turn)

    def report(self) -> str:
        """Lay out the section of this number of groups."""
        lines = []
        for name in (*NAMES, *PEERS):
            turns = [turn[name] for turn in self.turns if name in turn]
            if not turns:
                lines.append((f"{LABELS[name]}: {self.missing[name]}", "", "", "", ""))
                continue
            cpu, wall, peak = (
                statistics.median(getattr(one, what) for one in turns) for what in ("cpu", "wall", "peak")
            )
            lines.append((LABELS[name], f"{cpu:.2f}", f"{self.ratio(name):.2f}", f"{wall:.1f}", f"{peak:.2f}"))
        targets = []
        for name, most in TARGETS:
            verdict = "met" if self.ratio(name) <= most else "missed"
            targets.append((f"{LABELS[name]} ÷ one pass", f"{self.ratio(name):.2f}", f"≤ {most}", verdict))
        head = ("contender", "CPU s", "÷ one pass", "wall s", "peak GB")
        wanted = table(("target", "measured", "required", ""), targets)
        return "\n".join([self.title(), "", table(head, lines), "", wanted])

    def title(self) -> str:
        """Say what was measured, how often, and beside what."""
        turns = f"Turns: {len(self.turns)}"
        if len(self.turns) > 1 and self.rows > SLOW_ROWS:
            turns += ", of the plain window and the peers 1"
        load = f"load of the machine meanwhile: {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores"
        return f"## {self.groups:,} of {self.rows:,} groups\n\n{turns}; {load}."


def digest(out: Path, *, only_count: bool) -> tuple[int, int]:
    """Count the rows and digest them in a way that does not depend on their order."""
    what = "0" if only_count else "bit_xor(hash(group_id, cut, weight))"
    with duckdb.connect() as connection:
        ((count, rows),) = connection.execute(f"select count(*), {what} from '{out}'").fetchall()
    return int(count), int(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--peers-python", type=Path, help="a Python that has Polars and pandas")
    parser.add_argument("--repeats", type=int, default=3, help="turns of all contenders; medians are shown")
    parser.add_argument("--folder", type=Path, help="where the data goes; a temporary folder if absent")
    parser.add_argument("--write", action="store_true", help="keep the tables of these sizes in bench/results/")
    given = parser.parse_args(arguments)
    for rows in given.rows:
        with tempfile.TemporaryDirectory(prefix="matinee-bench-", dir=given.folder) as folder:
            bench = Bench(rows, Path(folder), given.peers_python)
            bench.warm_up()
            for _ in range(given.repeats):
                bench.turn()
        print(bench.report())
        if given.write:
            sections = ["intro", *(f"rows_{size}" for size in sorted({*SIZES, rows}))]
            for section, text in (("intro", INTRO), (f"rows_{rows}", bench.report())):
                keep("sampling", "Exact sizes of 48 strata", sections, section, text)


if __name__ == "__main__":
    main()
