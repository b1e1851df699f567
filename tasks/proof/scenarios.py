"""The scenarios in which `matinee prove` runs one day: what comes after it differs, what was known by its end does not.

Each scenario is a home of its own. The tables are built with the later days in them before the day is run: backfills
run in that order, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import GateFailed, MatineeError
from tasks.features import parse_cache
from tasks.features.engines import warehouse_of
from tasks.features.warehouse import Warehouse
from tasks.proof.perturbations import land_absurd, link_partitions
from tasks.runs.failures import explained
from tasks.runs.run import Run
from tasks.runs.steps import BY_NAME, STEPS, run_step
from tasks.store.atomic import atomic_dir
from tasks.store.files import Home
from tasks.store.partitions import Partition, read_manifests

if TYPE_CHECKING:
    from tasks.sources.source import Source

ORIGINAL, DELETED, ABSURD, LATE, PAST = "original", "deleted", "absurd", "late", "past"
SCENARIOS = {
    ORIGINAL: "the real future",
    DELETED: "nothing after the day",
    ABSURD: "absurd events after the day",
    LATE: "absurd events before the day, known only after it",
    PAST: "nothing after the last test cut",
}
"""What comes after the day in each of them."""
VERSION = "version"
DATED = {"interactions": "ds", "impressions": "ds", "users": "valid_from", "items": "valid_from"}
"""The canonical tables, and the day from which a row of them is known."""
Say = Callable[[str], Any]


@dataclass(frozen=True)
class Scenario:
    """A scenario in which the day has been run.

    Attributes:
        name: one of `SCENARIOS`.
        after: how many rows of each canonical table are known only after the day.
        seconds: how long it took.
    """

    name: str
    after: dict[str, int]
    seconds: float


@dataclass(frozen=True)
class Scenarios:
    """A run and its scenarios.

    Attributes:
        run: the run to prove.
        partitions: the landing, from the first day that the run needs to the last one there is.
        known: the last day that the source has; the day of the run if it has none after it.
        later: what can land after the day, and does in the scenarios with absurd events: tables and days.
        folder: where the scenarios' homes are created.
        say: called with the step that begins, for progress.
    """

    run: Run
    partitions: list[Partition]
    known: date
    later: list[tuple[str, date]]
    folder: Path
    say: Say

    @property
    def source(self) -> Source:
        """The run's source; a new one each time, because what one keeps open cannot go to another process."""
        from tasks.sources.land import open_source

        return open_source(self.run.spec, self.run.home, self.run.data)

    @property
    def last(self) -> date:
        """The last day on which something can land."""
        return max(day for _, day in self.later)

    @property
    def cut(self) -> date:
        """The last test cut."""
        return self.run.windows.test[-1]

    def home(self, name: str) -> Home:
        """State folder of a scenario."""
        return Home(self.folder / name)

    def warehouse(self, name: str) -> Warehouse:
        """Tables of a scenario."""
        return warehouse_of(self.home(name), self.run.spec.name)

    def run_in(self, name: str) -> Run:
        """The run as it is made in a scenario."""
        return Run(self.run.spec, self.home(name), self.run.as_of, "prove")

    def models_of_cut(self) -> Path:
        """Folder of the retrieval models of the last test cut in the scenario that ends with it."""
        return self.home(PAST).retrieval(self.run.spec.name) / f"cut={self.cut}"

    def make(self, name: str) -> Scenario:
        """Create a scenario and run the day in it; the original must be there before those with absurd rows.

        Raises:
            MatineeError: a step failed, or nothing comes after the day in a scenario where something should.
        """
        begin = time.monotonic()
        with self._explain(name):
            self.say(f"{name}: land …")
            self._land(name)
            parsed_in = self.run.home if name == ORIGINAL else self.home(ORIGINAL)
            parse_cache.copy(parsed_in, self.home(name), self.run.spec.name)
            if name == PAST:
                self._make_cut()
                return Scenario(name, {}, time.monotonic() - begin)
            has_later_rows = name in {ABSURD, LATE} or (name == ORIGINAL and self.known > self.run.as_of)
            if has_later_rows:
                self._build_later(name)
            for step in _STEPS:
                self.say(f"{name}: {step} …")
                _run_step(self.run_in(name), step)
            after = self._after(name)
            if has_later_rows and not after["interactions"]:
                raise MatineeError(
                    f"no interaction that landed after {self.run.as_of} was accepted into the tables, so that nothing "
                    "would be proved. Choose more --days, or check the rules of the source's staging"
                )
        return Scenario(name, after, time.monotonic() - begin)

    def make_all(self, names: Sequence[str], jobs: int) -> Iterator[Scenario]:
        """Create the original and other scenarios, `jobs` at a time, each in a process of its own if more than one.

        Yields:
            Each scenario as soon as it is ready.

        Raises:
            MatineeError: as `make`; no other scenario is started.
        """
        if jobs == 1:
            yield from (self.make(name) for name in (ORIGINAL, *names))
            return
        # Absurd rows are derived from rows that the original's staging accepted: those scenarios wait for it.
        # `str` stands for silence and can be pickled; a console cannot.
        quiet, waiting = replace(self, say=str), [name for name in names if name in {ABSURD, LATE}]
        with _pool(jobs) as pool:
            running = {pool.submit(quiet.make, name): name for name in (ORIGINAL, *names) if name not in waiting}
            while running:
                self.say(f"{', '.join(running.values())} …")
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for finished in done:
                    name, scenario = running.pop(finished), finished.result()
                    if name == ORIGINAL:
                        running |= {pool.submit(quiet.make, other): other for other in waiting}
                    yield scenario

    @contextmanager
    def _explain(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            explanation = explained(error)
            if explanation is None:
                raise
            raise type(explanation)(f"in the scenario {name!r} ({SCENARIOS[name]}): {explanation}") from error

    def _land(self, name: str) -> None:
        ends, source = {ORIGINAL: self.known, PAST: self.cut}, self.source.name
        end = ends.get(name, self.run.as_of)
        link_partitions((p for p in self.partitions if p.ds <= end), self.home(name), source)
        if name in {ABSURD, LATE}:
            past = [p for p in self.partitions if p.ds <= self.run.as_of]
            land_absurd(
                warehouse_of(self.home(ORIGINAL), self.run.spec.name), source, past, self.later,
                into=self.home(name), shifted=name == ABSURD,
            )  # fmt: skip

    def _build_later(self, name: str) -> None:
        """Build all that the run needs, and the last later day, from the whole landing."""
        from tasks.features.build import needed

        self.say(f"{name}: build the later days …")
        need = needed(self.run_in(name))
        self._build(name, need.features, need.labels, self.known if name == ORIGINAL else self.last)

    def _make_cut(self) -> None:
        """Build the features of the last test cut, and fit its retrieval models."""
        from tasks.examples.cut_models import Models
        from tasks.examples.retrieval_log import RetrievalTally

        self.say(f"{PAST}: build …")
        self._build(PAST, {}, {}, self.cut)
        self.say(f"{PAST}: retrieve …")
        with self.warehouse(PAST).open() as tables, atomic_dir(self.models_of_cut()) as folder:
            Models(tables, self.run.spec, RetrievalTally(self.run.spec)).write(self.cut, folder)

    def _build(self, name: str, features: Mapping[date, str], labels: Mapping[date, str], last: date) -> None:
        """Build days and cuts, and the features as of the last day of a scenario's landing, with all of it loaded."""
        from tasks.features.build import build, features_digest
        from tasks.features.ledger import BuildRequest

        source, spec, home = self.source, self.run.spec, self.home(name)
        landed = tuple(read_manifests(home, source.name, source.tables, None, last))
        of_last = {last: features_digest(spec, last, landed, source.entities)}
        with atomic_dir(home.root / "built") as folder:
            build(spec, home, BuildRequest(landed, {**features, **of_last}, dict(labels)), folder)

    def _after(self, name: str) -> dict[str, int]:
        day = self.run.as_of
        with self.warehouse(name).open() as tables:
            return {
                table: int(tables.rows(f"select count(*) from {table} where {known} > ?", [day])[0][0])
                for table, known in DATED.items()
            }


@contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of new processes; what has not started when one fails never does."""
    pool = ProcessPoolExecutor(jobs, get_context("spawn"))  # a fork of a process with threads hangs
    try:
        yield pool
    except BrokenProcessPool:
        raise MatineeError(
            "the process of a scenario was killed, perhaps because memory ran out; free some, or give --jobs 1, and "
            "run the command again"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _version(run: Run) -> None:
    """Write what `publish` would publish, whether the gates pass or not."""
    from tasks.examples.candidates import RetrieveResult
    from tasks.publishing.publish import lineage, version_name, write_version

    made_from = lineage(run, run.read("retrieve", RetrieveResult).data)
    with atomic_dir(run.step_dir(VERSION)) as folder:
        write_version(run, folder, version_name(run, made_from), made_from)


def _run_step(run: Run, step: str) -> None:
    """Run one of the run's steps, or write the version."""

    if step == VERSION:
        _version(run)
        return
    with suppress(GateFailed):  # the verdict is compared, whichever it is
        run_step(run, BY_NAME[step])


_STEPS = tuple(VERSION if step.name == "publish" else step.name for step in STEPS if step.makes_version)
"""The steps whose results end up in a version; the version itself is written without moving an alias."""
