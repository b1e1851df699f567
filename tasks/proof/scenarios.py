"""The worlds in which `matinee prove` runs one day: what came after it differs, what was known by its end does not.

Each world is a home of its own. The tables are built with the future in them, before the day is run: an order that
backfills have, too.
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
from tasks.features.engines import warehouse_of
from tasks.features.warehouse import Warehouse
from tasks.proof.perturbations import land_absurd, set_aside
from tasks.runs.failures import explained
from tasks.runs.run import Run
from tasks.runs.steps import BY_NAME, STEPS, run_step
from tasks.store.files import Home, atomic_dir
from tasks.store.partitions import Partition, read_manifests

if TYPE_CHECKING:
    from tasks.sources.source import Source

ORIGINAL, DELETED, ABSURD, LATE, PAST = "original", "deleted", "absurd", "late", "past"
WORLDS = {
    ORIGINAL: "what came after the day came",
    DELETED: "nothing came after the day",
    ABSURD: "absurd things happened after the day",
    LATE: "absurd things happened before the day, and became known after it",
    PAST: "nothing came after the last judged cut",
}
VERSION = "version"
DATED = {"interactions": "ds", "impressions": "ds", "users": "valid_from", "items": "valid_from"}
"""The canonical tables, and the day from which a row of them is known."""
Say = Callable[[str], Any]


@dataclass(frozen=True)
class Scenario:
    """A world in which the day has been run.

    Attributes:
        name: which one.
        after: how many rows of each canonical table it knows of what came after the day.
        seconds: how long it took.
    """

    name: str
    after: dict[str, int]
    seconds: float


@dataclass(frozen=True)
class Scenarios:
    """A run and its worlds.

    Attributes:
        run: the run to prove.
        partitions: the landing, from the first day that the run needs to the last one there is.
        known: the last day that the source has; the day of the run if it has none after it.
        future: what lands after the day in worlds of absurd things: tables and days.
        folder: where the worlds' homes are made.
        say: told which step of which world begins.
    """

    run: Run
    partitions: list[Partition]
    known: date
    future: list[tuple[str, date]]
    folder: Path
    say: Say

    @property
    def source(self) -> Source:
        """The run's source; a new one each time, because what one keeps open cannot go to another process."""
        from tasks.sources.land import open_source

        return open_source(self.run.spec, self.run.home, self.run.data)

    @property
    def last(self) -> date:
        """The last day of the future."""
        return max(day for _, day in self.future)

    @property
    def cut(self) -> date:
        """The last judged cut."""
        return self.run.windows.test[-1]

    def home(self, name: str) -> Home:
        """Return the home of a world."""
        return Home(self.folder / name)

    def warehouse(self, name: str) -> Warehouse:
        """Return the tables of a world."""
        return warehouse_of(self.home(name), self.run.spec.name)

    def run_in(self, name: str) -> Run:
        """Return the run as it is made in a world."""
        return Run(self.run.spec, self.home(name), self.run.as_of, "prove")

    def models_of_cut(self) -> Path:
        """Return where the world that ends with the last judged cut has the retrieval models of that cut."""
        return self.home(PAST).retrieval(self.run.spec.name) / f"cut={self.cut}"

    def make(self, name: str) -> Scenario:
        """Make a world, and run the day in it; the original must be there before those with absurd rows.

        Raises:
            MatineeError: a step failed, or nothing came after the day in a world where it should have.
        """
        begin = time.monotonic()
        with self._in_words(name):
            self.say(f"{name}: land …")
            self._land(name)
            if name == PAST:
                self._make_cut()
                return Scenario(name, {}, time.monotonic() - begin)
            goes_on = name in {ABSURD, LATE} or (name == ORIGINAL and self.known > self.run.as_of)
            if goes_on:
                self._build_future(name)
            for step in _STEPS:
                self.say(f"{name}: {step} …")
                _take(self.run_in(name), step)
            after = self._after(name)
            if goes_on and not after["interactions"]:
                raise MatineeError(
                    f"no interaction that landed after {self.run.as_of} was accepted into the tables, so that nothing "
                    "would be proved. Choose more --days, or look at the rules of the source's staging"
                )
        return Scenario(name, after, time.monotonic() - begin)

    def make_all(self, names: Sequence[str], jobs: int) -> Iterator[Scenario]:
        """Make the original and other worlds, `jobs` of them at a time, each in a process of its own if more than one.

        Yields:
            Each world as it gets ready.

        Raises:
            MatineeError: as `make`; no other world is begun.
        """
        if jobs == 1:
            yield from (self.make(name) for name in (ORIGINAL, *names))
            return
        quiet, waiting = replace(self, say=str), [name for name in names if name in {ABSURD, LATE}]
        with _pool(jobs) as pool:
            running = {pool.submit(quiet.make, name): name for name in (ORIGINAL, *names) if name not in waiting}
            while running:
                self.say(f"{', '.join(running.values())} …")
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    name, made = running.pop(future), future.result()
                    if name == ORIGINAL:
                        running |= {pool.submit(quiet.make, late): late for late in waiting}
                    yield made

    @contextmanager
    def _in_words(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            said = explained(error)
            if said is None:
                raise
            raise type(said)(f"in the world {name!r} ({WORLDS[name]}): {said}") from error

    def _land(self, name: str) -> None:
        ends, source = {ORIGINAL: self.known, PAST: self.cut}, self.source.name
        end = ends.get(name, self.run.as_of)
        set_aside((p for p in self.partitions if p.ds <= end), self.home(name), source)
        if name in {ABSURD, LATE}:
            past = [p for p in self.partitions if p.ds <= self.run.as_of]
            land_absurd(
                self.home(ORIGINAL), self.run.spec.name, source, past, self.future,
                into=self.home(name), shifted=name == ABSURD,
            )  # fmt: skip

    def _build_future(self, name: str) -> None:
        """Build all that the run needs, and the last day of the future, from the whole landing."""
        from tasks.features.build import needed

        self.say(f"{name}: build the future …")
        need = needed(self.run_in(name))
        self._build(name, need.features, need.labels, self.known if name == ORIGINAL else self.last)

    def _make_cut(self) -> None:
        """Build the features of the last judged cut, and fit its retrieval models."""
        from tasks.examples.candidates import Models

        self.say(f"{PAST}: build …")
        self._build(PAST, {}, {}, self.cut)
        self.say(f"{PAST}: retrieve …")
        with self.warehouse(PAST).open() as tables, atomic_dir(self.models_of_cut()) as folder:
            Models(tables, self.run.spec).write(self.cut, folder)

    def _build(self, name: str, features: Mapping[date, str], labels: Mapping[date, str], last: date) -> None:
        """Build days and cuts, and the features as of the last day of a world's landing, with all of it loaded."""
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
    """Yield new processes (a fork of one that has threads hangs); what has not begun when one fails never does."""
    pool = ProcessPoolExecutor(jobs, get_context("spawn"))
    try:
        yield pool
    except BrokenProcessPool:
        raise MatineeError(
            "a process that made a world has been killed, perhaps because the memory was full; free some, or give "
            "--jobs 1, and begin again"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _version(run: Run) -> None:
    """Write what `publish` would publish, if the gates hold or not."""
    from tasks.examples.candidates import RetrieveResult
    from tasks.publishing.publish import lineage, version_name, write_version

    made_from = lineage(run, run.read("retrieve", RetrieveResult).data)
    with atomic_dir(run.step_dir(VERSION)) as folder:
        write_version(run, folder, version_name(run, made_from), made_from)


def _take(run: Run, step: str) -> None:
    """Take one of the run's own steps, or write the version."""

    if step == VERSION:
        _version(run)
        return
    with suppress(GateFailed):  # the verdict is compared, whichever it is
        run_step(run, BY_NAME[step])


_STEPS = tuple(VERSION if step.name == "publish" else step.name for step in STEPS if step.makes_version)
"""The steps whose results end up in a version; the version itself is written without moving an alias."""
