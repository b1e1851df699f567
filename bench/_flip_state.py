"""State for flipped bits: two published days of a pipeline, the next day up to its gate, and what comes of it.

Every flip gets a copy of one of the two stages. What follows is compared with what followed undisturbed: the registry,
the run, its candidates, the landing, the rejected rows, the pages, and every row of the tables.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import duckdb
from rich.console import Console

from bench._fault_runs import copied
from tasks.features.engines import warehouse_of
from tasks.operations.run_all import run_all
from tasks.quarantine.rejected_rows import read_rejected_rows, rejected_parts
from tasks.reports.overview import overview
from tasks.reports.run_report import report_step
from tasks.runs.failures import call_step
from tasks.runs.run import Run
from tasks.runs.steps import sequence
from tasks.store.files import DIGESTS, Home

ATTEMPT = "1"
DAY = timedelta(days=1)
Stage = Literal["finished", "gated"]
Results = dict[str, str]
"""Digest of everything that a run has made, by name."""
KEPT = ("registry", "retrieval", "quarantine", "profiles", "landing")
HEADERS, BLOCK = 3 * 4096, 262_144
"""Of a DuckDB file: the file header and two database headers, then blocks."""
VARIES = {DIGESTS, "dbt.log", "models.json", "manifest.json", ".lock"}
"""Names of files with a time in them, or with digests of such a file."""


@dataclass(frozen=True)
class State:
    """A pipeline of which `as_of` and the day before are published.

    Attributes:
        pipeline: its file.
        as_of: the last published day.
        root: folder of the stages; `finished` ends with that day, `gated` with the gate of the next.
    """

    pipeline: Path
    as_of: date
    root: Path

    @property
    def next(self) -> date:
        """The day that is run after the flip."""
        return self.as_of + DAY

    def stage(self, name: Stage) -> Path:
        """Home of a stage."""
        return self.root / name

    def run(self, home: Path) -> Run:
        """The next day's run in a home."""
        return Run.create(self.pipeline, self.next, ATTEMPT, home=Home(home))


def prepare(root: Path, pipeline: Path, as_of: date) -> State:
    """Make the stages, unless a call with the same code has left them in the folder."""
    probe = Run.create(pipeline, as_of, ATTEMPT, home=Home(root))
    state = State(pipeline, as_of, root / f"{probe.spec.name}-{as_of}-{probe.made_by.digest[:8]}")
    making = state.root / "making"
    if not state.stage("finished").exists():
        shutil.rmtree(making, ignore_errors=True)
        for day in (as_of - DAY, as_of):
            run_all(Run.create(pipeline, day, ATTEMPT, home=Home(making)), Console(quiet=True))
        making.rename(state.stage("finished"))
    if not state.stage("gated").exists():
        shutil.rmtree(making, ignore_errors=True)
        copied(state.stage("finished"), making)
        steps = sequence()
        for name in list(steps)[: list(steps).index("gate") + 1]:
            call_step(state.run(making), name, steps[name])
        making.rename(state.stage("gated"))
    return state


def follow(run: Run, begin: str, end: str, at: list[str]) -> Results:
    """Run some steps, the report if the last one is among them, the overview and the list of rejected rows.

    Args:
        run: the run.
        begin: first step.
        end: last step.
        at: gets the name of what is being done, so that the last one is where an error came from.

    Raises:
        MatineeError: of the step that failed; nothing follows it.
    """
    steps = sequence()
    names = list(steps)
    for name in names[names.index(begin) :]:
        shutil.rmtree(run.step_dir(name), ignore_errors=True)
    for name in names[names.index(begin) : names.index(end) + 1]:
        at.append(name)
        call_step(run, name, steps[name])
    if end == names[-1]:
        at.append("report")
        call_step(run, "report", report_step)
    at.append("overview")
    pages = overview(run.home, run.spec.name, run.home.root / "pages" / "overview.html")
    at.append("quarantine show")
    parts = rejected_parts(run.home, run.spec.name, date.min, run.as_of)
    rejected = repr(read_rejected_rows(parts))
    return {
        "overview": _hash(pages.replace(str(run.home.root), "").encode()),
        "rejected rows": _hash(rejected.encode()),
        **_files(run),
        **tables(run),
    }


def _files(run: Run) -> Results:
    folders = [*(run.home.root / name for name in KEPT), run.dir]
    paths = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    home = str(run.home.root).encode()
    return {
        # Checks and pages name files by their whole path, and each copy lies elsewhere.
        str(path.relative_to(run.home.root)): _hash(path.read_bytes().replace(home, b""))
        for path in paths
        if path.name not in VARIES
    }


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tables(run: Run) -> Results:
    """Digest the rows of every table; nothing of tables that cannot be read, which `matinee verify` has to name."""
    path = run.home.warehouse(run.spec.name)
    query = "select schema_name, table_name from duckdb_tables() where table_name <> 'partitions' order by all"
    try:
        with duckdb.connect(path, read_only=True) as connection:
            return {
                f"table {schema}.{name}": repr(
                    connection.execute(
                        f'select count(*), bit_xor(hash(one)), sum(hash(one)::hugeint) from "{schema}"."{name}" as one'
                    ).fetchall()
                )
                for schema, name in connection.execute(query).fetchall()
            }
    except duckdb.Error:
        return {}


@contextmanager
def copy_of(state: State, stage: Stage, folder: Path, *, rebuild: bool) -> Iterator[Run]:
    """Yield the next day's run in a copy of a stage.

    Args:
        state: the state.
        stage: which stage.
        folder: where the copy is made; it is removed in the end.
        rebuild: leave the tables out, so that everything is loaded again.
    """
    shutil.rmtree(folder, ignore_errors=True)
    copied(state.stage(stage), folder)
    run = state.run(folder)
    if rebuild:
        Path(warehouse_of(run.home, run.spec.name).location).unlink()
    try:
        yield run
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def flip(path: Path, offset: int, bit: int) -> bytes:
    """Flip a bit of a file, in a new file: the old one may be a hard link to the original.

    Returns:
        The flipped `page_at` the offset.
    """
    content = bytearray(path.read_bytes())
    content[offset] ^= 1 << bit
    path.unlink()
    path.write_bytes(content)
    return page_at(path, offset)


def page_at(path: Path, offset: int) -> bytes:
    """Read the block of a DuckDB file in which a byte lies, which is written as a whole; other files as a whole."""
    content = path.read_bytes()
    if path.suffix != ".duckdb" or offset < HEADERS:
        return content
    start = HEADERS + (offset - HEADERS) // BLOCK * BLOCK
    return content[start : start + BLOCK]
