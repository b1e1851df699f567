"""Invariant 1: any days, in any order, at once or again, killed or not, end in what a clean forward run ends in.

`MATINEE_THOROUGH=1` tries 60 histories of each kind, new ones each time, in about an hour.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, example, given, note, settings

from tasks.evaluation.champion import outdated_verdicts, valid_versions
from tasks.operations.backfill import survey
from tasks.runs.run import Run
from tasks.store.files import Home, read_json
from tasks.store.registry import alias, version_dir
from tests.histories import (
    CORRECTED,
    GATED,
    KINDS,
    OVERLAPPING,
    SERVICE,
    SHOP,
    AtOnce,
    Correct,
    History,
    Kind,
    histories,
    write_day,
)
from tests.killable import KILLED, Job, Workers
from tests.overlapping import lines_with_a_key
from tests.thorough import THOROUGH, thorough
from tests.tiny_pipelines import pipeline_file, tree

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0 if THOROUGH else 600)]
COMMON = settings(
    derandomize=not THOROUGH,
    database=None,
    deadline=None,
    # Each history takes half a minute; to shrink one takes hours, so it is printed as it is.
    phases=[Phase.explicit, Phase.generate] if THOROUGH else [Phase.explicit],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Place:
    """Where histories are tried: one folder, because dbt parses its project again for every other."""

    root: Path
    workers: Workers

    @property
    def home(self) -> Home:
        return Home(self.root / "home")

    def reset(self) -> None:
        """Leave nothing but dbt's parsed projects, as they were before any kill."""
        for parsed in self.home.root.glob("dbt/*"):
            kept = self.root / "dbt" / parsed.name
            if not kept.exists():
                shutil.copytree(parsed, kept)
        shutil.rmtree(self.home.root, ignore_errors=True)
        if (self.root / "dbt").exists():
            shutil.copytree(self.root / "dbt", self.home.root / "dbt")


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """In memory where there is such a folder: kills lose nothing that was written, and disks are slow."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        place = Place(Path(folder), Workers())
        yield place
        place.workers.close()


@dataclass(frozen=True)
class Trial:
    """A history in its place."""

    place: Place
    history: History
    file: Path

    @classmethod
    def of(cls, place: Place, history: History) -> Trial:
        margins = {"popularity": 1.0, "champion": 0.02 if history.strict else 1.0}
        gates = [{"metric": "ndcg@10", "not_worse_than": rival, "margin": m} for rival, m in margins.items()]
        return cls(place, history, pipeline_file(place.root, KINDS[history.kind].spec, gates=gates))

    @property
    def kind(self) -> Kind:
        return KINDS[self.history.kind]

    @property
    def data(self) -> Path | None:
        return self.place.root / "shop" if self.kind is SHOP else None

    def write(self, day: int, variant: int) -> None:
        if self.data is not None:
            write_day(self.data, self.history, day, variant)

    def run(self, attempt: str, *runs: tuple[int, int | None]) -> list[str]:
        """Run days at once, each with the point at which it is killed; return how they ended."""
        together = tuple(self.kind.wanted[day] for day, _ in runs)
        home = self.place.home.root
        return self.place.workers.run(
            [
                Job(self.file, home, self.data, self.kind.wanted[day], f"{attempt}-{n}", together, dies_after)
                for n, (day, dies_after) in enumerate(runs)
            ]
        )

    def runs(self, attempt: str) -> list[Run]:
        return [Run.create(self.file, day, attempt, home=self.place.home, data=self.data) for day in self.kind.wanted]

    def live_through(self) -> None:
        """Do what the history says; nothing but what is killed may go wrong."""
        for day in range(self.kind.landed):
            self.write(day, 0)
        for action in self.history.program:
            if isinstance(action, Correct):
                self.write(action.day, action.variant)
            else:
                self.check(action, self.run("at-once", *action.runs))
        for day in self.history.again:
            once = AtOnce(((day, None),))
            self.check(once, self.run("last", *once.runs))

    def check(self, action: AtOnce, said: list[str]) -> None:
        note(f"{action}: {said}")
        for words, (_, dies_after) in zip(said, action.runs, strict=True):
            killed = words == KILLED and dies_after is not None
            event(f"killed after {dies_after // 100}00 points or more" if killed and dies_after else words)
            assert killed or words in self.history.may_end, words

    def settle(self) -> None:
        """Repeat verdicts that were made against another champion than there is now, until none is outdated."""
        runs = self.runs("survey")
        for _ in range(2 * len(runs)):
            undone = [number for number, day in enumerate(survey(runs)[1]) if not day.done]
            if not undone:
                break
            for day in undone:
                self.run("settle", (day, None))
        assert undone == []
        assert outdated_verdicts(self.place.home, runs[0].spec) == []

    def go_forward(self) -> None:
        """Run the days one after another, once, with the landing as it is at last."""
        for day in range(len(self.kind.wanted)):
            (words,) = self.run("last", (day, None))
            assert words in self.history.may_end, words

    def ending(self) -> dict[str, Any]:
        """All that must not depend on the way: tables, samples, versions and verdicts on them."""
        home, runs = self.place.home, self.runs("last-0")
        names = [str(read_json(run.step_dir("gate") / "result.json")["version"]) for run in runs]
        held = [line for line in valid_versions(home, runs[0].spec) if line.version in names]
        pointer = alias(home, self.kind.name, "champion")
        return {
            "tables": tables(home, self.kind.name),
            "samples": {str(run.as_of): tree(run.step_dir("sample")) for run in runs},
            "names": names,
            "versions": {n: tree(version_dir(home, self.kind.name, n)) for n in (line.version for line in held)},
            "verdicts": [{key: value for key, value in line.to_json().items() if key != "live"} for line in held],
            # A version that fails a gate later stays live until there is a better one.
            "alias": None if self.history.strict else pointer,
        }


def tables(home: Home, name: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the tables that keep what was built, and the ledger of it."""
    from tasks.features.engines import warehouse_of

    with warehouse_of(home, name).open() as opened:
        entries = {model for model, _, _ in opened.ledger()}
        kept = sorted(name for name in entries if name != "code" and not name.startswith("tests of "))
        return {table: opened.rows(f"select * from {table} order by all") for table in [*kept, "control.ledger"]}


def check_that_it_ends_like_a_forward_run(place: Place, history: History) -> None:
    trial = Trial.of(place, history)
    place.reset()
    trial.live_through()
    trial.settle()
    wild = trial.ending()

    place.reset()
    trial.go_forward()
    clean = trial.ending()
    for what in clean:
        assert wild[what] == clean[what], what


@settings(COMMON, max_examples=60)
@given(history=histories(SHOP))
@example(history=CORRECTED)
@example(history=GATED)
@example(history=OVERLAPPING)
def test_any_order_ends_like_a_clean_forward_run(place: Place, history: History) -> None:
    with lines_with_a_key():
        check_that_it_ends_like_a_forward_run(place, history)


@thorough
@settings(COMMON, max_examples=60)
@given(history=histories(SERVICE))
def test_any_order_of_impressions_ends_like_a_clean_forward_run(place: Place, history: History) -> None:
    check_that_it_ends_like_a_forward_run(place, history)
