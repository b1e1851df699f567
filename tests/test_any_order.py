"""Invariant 1: any days, in any order, at once or again, killed or not, end in what a clean forward run ends in.

`MATINEE_THOROUGH=1` tries many histories for a quarter of an hour or so.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, given, note, settings
from hypothesis import strategies as st

from tasks.backfill import look
from tasks.champion import outdated_verdicts, standing
from tasks.home import Home, read_json
from tasks.ledger import models
from tasks.registry import alias
from tasks.run import Run
from tests.killable import KILLED, Job, Workers
from tests.tiny_pipelines import BOUGHT, HEADER, pipeline_file, tree

FIRST = date(2011, 1, 4)
DAY = timedelta(days=1)
AS_OF = tuple(date(2011, 1, 19) + n * DAY for n in range(3))
LANDED = (AS_OF[-1] - FIRST).days + 1
# The test window is longer than a weekend, or nothing could be judged; test cuts are new to the champion of yesterday.
SMALL: dict[str, Any] = {
    **BOUGHT,
    "label": {"horizon": "1d", "lateness": "1d", "grades": [{"grade": 1, "when": "kind = 'purchase'"}]},
    "examples": {"kind": "snapshots", "every": "1d", "train": "3d", "test": "3d"},
    "features": ["popularity_rank", "user_item_actions_28d", "item_actions_28d"],
    "retrieval": [{"type": "popularity", "k": 8}],
    "ranker": {"type": "lightgbm", "rounds": 2, "min_data_in_leaf": 5, "num_leaves": 4},
    "evaluate": {"metrics": ["ndcg@10"], "baselines": ["popularity"]},
}
THOROUGH = bool(os.environ.get("MATINEE_THOROUGH"))


@dataclass(frozen=True)
class Correct:
    """Another file for a landed day: 0 is the one it had at first."""

    day: int
    variant: int


@dataclass(frozen=True)
class AtOnce:
    """Days run side by side, each with the point at which it is killed."""

    runs: tuple[tuple[int, int | None], ...]


@dataclass(frozen=True)
class History:
    """What happened, when it arrived, and what people did about it.

    Attributes:
        late: (day on which something was bought, day on which that arrived).
        empty: a day without a sale.
        actions: in their order.
        again: the order in which every day is run at the end.
        strict: whether the gate refuses whatever is not clearly better than its champion; all corrections come first
            then, because a version of an earlier landing rightly stays champion where that of the last is refused.
    """

    seed: int
    late: tuple[tuple[int, int], ...]
    empty: int
    actions: tuple[Correct | AtOnce, ...]
    again: tuple[int, ...]
    strict: bool

    @property
    def may_end(self) -> set[str]:
        """How a run that is not killed may end."""
        return {"published", "refused"} if self.strict else {"published"}

    @property
    def program(self) -> tuple[Correct | AtOnce, ...]:
        """The actions in the order in which they are taken."""
        if self.strict:
            return tuple(sorted(self.actions, key=lambda action: isinstance(action, AtOnce)))
        return self.actions


LANDED_DAYS = st.integers(0, LANDED - 1)
KILLS = st.one_of(st.none(), st.none(), st.integers(0, 60), st.integers(0, 500))
ACTIONS = st.one_of(
    st.builds(Correct, LANDED_DAYS, st.integers(0, 2)),
    st.builds(AtOnce, st.lists(st.tuples(st.integers(0, 2), KILLS), min_size=1, max_size=3).map(tuple)),
)
HISTORIES = st.builds(
    History,
    seed=st.integers(0, 999),
    late=st.lists(st.tuples(LANDED_DAYS, LANDED_DAYS).map(sorted).map(tuple), max_size=12).map(tuple),
    empty=LANDED_DAYS,
    actions=st.lists(ACTIONS, min_size=2, max_size=6).map(tuple),
    again=st.permutations(range(3)).map(tuple),
    strict=st.booleans(),
)


def line(number: int, when: date, draw: random.Random) -> str:
    """A line of the shop's file."""
    customer, product = draw.randrange(12), min(draw.randrange(9), draw.randrange(9))
    return (
        f"{500000 + number},{20000 + product},PRODUCT {product},{1 + draw.randrange(4)},"
        f"{when} {9 + draw.randrange(8):02}:{draw.randrange(60):02}:00,2.5,{12000 + customer},France"
    )


def write_day(folder: Path, history: History, day: int, variant: int) -> None:
    """Write the file of a day: its own sales, and those of earlier days that arrive now."""
    arrives, draw = FIRST + day * DAY, random.Random(f"{history.seed} {day} {variant}")
    sold = [] if day == history.empty or arrives.weekday() == 5 else [arrives] * 24
    sold += [FIRST + happened * DAY for happened, known in history.late if known == day]
    lines = [line(1000 * day + number, when, draw) for number, when in enumerate(sold)]
    (folder / f"{arrives}.csv").write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")


@dataclass(frozen=True)
class Place:
    """Where histories are tried: one folder, because dbt parses its project anew for another."""

    root: Path
    workers: Workers

    @property
    def home(self) -> Path:
        return self.root / "home"

    def reset(self) -> None:
        """Leave nothing but dbt's parsed project, as it was before any kill."""
        parsed, kept = self.home / "dbt", self.root / "dbt"
        if parsed.exists() and not kept.exists():
            shutil.copytree(parsed, kept)
        shutil.rmtree(self.home, ignore_errors=True)
        if kept.exists():
            shutil.copytree(kept, parsed)

    def run(self, file: Path, runs: tuple[tuple[int, int | None], ...], attempt: str = "at-once") -> list[str]:
        together = tuple(AS_OF[day] for day, _ in runs)
        return self.workers.run(
            [
                Job(file, self.home, self.root / "shop", AS_OF[day], f"{attempt}-{n}", together, dies_after)
                for n, (day, dies_after) in enumerate(runs)
            ]
        )

    def runs(self, file: Path, attempt: str) -> list[Run]:
        data = self.root / "shop"
        return [Run.create(file, day, attempt, home=Home(self.home), data=data) for day in AS_OF]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("any-order"), Workers())
    yield made
    made.workers.close()


def live_through(place: Place, file: Path, history: History) -> None:
    """Do what the history says; nothing but what is killed may go wrong."""
    for day in range(LANDED):
        write_day(place.root / "shop", history, day, 0)
    for action in history.program:
        if isinstance(action, Correct):
            write_day(place.root / "shop", history, action.day, action.variant)
            continue
        said = place.run(file, action.runs)
        note(f"{action}: {said}")
        for words, (_, dies_after) in zip(said, action.runs, strict=True):
            event(words if dies_after is None or words != KILLED else f"killed after {dies_after // 50 * 50} or more")
            assert words in history.may_end or (words == KILLED and dies_after is not None), words
    for day in history.again:
        (words,) = place.run(file, ((day, None),), "final")
        assert words in history.may_end, words


def settle(place: Place, file: Path) -> None:
    """Judge again what was judged against another champion than there is now, until nothing is left to do."""
    for _ in range(2 * len(AS_OF)):
        _, days = look(place.runs(file, "look"))
        undone = [n for n, day in enumerate(days) if not day.done]
        if not undone:
            break
        for day in undone:
            place.run(file, ((day, None),), "settled")
    assert undone == []
    spec = place.runs(file, "look")[0].spec
    assert outdated_verdicts(Home(place.home), spec) == []


def ending(place: Place, file: Path, attempt: str) -> dict[str, Any]:
    """All that must not depend on the way: tables, samples, versions."""
    runs = place.runs(file, attempt)
    names = {str(run.as_of): version_made(run) for run in runs}
    held = {line["version"]: line for line in standing(Home(place.home), runs[0].spec)}
    held = {name: held[name] for name in names.values() if name in held}
    return {
        "tables": tables(place),
        "samples": {str(run.as_of): tree(run.step_dir("sample")) for run in runs},
        "names": names,
        "versions": {name: tree(place.home / "registry" / "bought" / "versions" / name) for name in held},
        "standing": [{key: value for key, value in line.items() if key != "live"} for line in held.values()],
    }


def version_made(run: Run) -> str:
    return str(read_json(run.step_dir("gate") / "result.json")["version"])


def tables(place: Place) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the tables that keep what was built, and the ledger of it."""
    from tasks.warehouse import reader

    kept = [name for grain in ("ds", "as_of", "cut") for name in models(grain)[:-1]]
    with reader(Home(place.home), "bought") as connection:
        found = {name: connection.sql(f"select * from {name} order by all").fetchall() for name in kept}
        return {**found, "ledger": connection.sql("select * from control.ledger order by all").fetchall()}


def forward(place: Place, file: Path) -> None:
    """The last landing, days one after another, once."""
    for day in range(len(AS_OF)):
        (words,) = place.run(file, ((day, None),), "final")
        assert words in {"published", "refused"}, words


@settings(
    max_examples=400 if THOROUGH else 3,
    derandomize=not THOROUGH,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # to shrink a history takes hours; it is printed as it is
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=HISTORIES)
def test_any_order_ends_like_a_clean_forward_run(place: Place, history: History) -> None:
    (place.root / "shop").mkdir(exist_ok=True)
    margin = 0.02 if history.strict else 1.0
    gates = [{"metric": "ndcg@10", "not_worse_than": rival, "margin": m} for rival, m in (
        ("popularity", 1.0), ("champion", margin),
    )]  # fmt: skip
    file = pipeline_file(place.root, SMALL, gates=gates)

    place.reset()
    live_through(place, file, history)
    settle(place, file)
    wild, pointer = ending(place, file, "final-0"), alias(Home(place.home), "bought", "champion")

    place.reset()
    forward(place, file)
    clean = ending(place, file, "final-0")
    for what in clean:
        assert wild[what] == clean[what], what
    if not history.strict:
        assert pointer == alias(Home(place.home), "bought", "champion")
