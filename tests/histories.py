"""Random histories: what happened, when it arrived, and what was run and corrected."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.tiny_pipelines import BOUGHT, HEADER, SHOWN

DAY = timedelta(days=1)
# The test window is longer than a weekend, or there would be nothing to evaluate. With H = L = 1 the last test cut is
# new to the champion of the day before.
_SMALL: dict[str, Any] = {
    "label": {"horizon": "1d", "lateness": "1d", "grades": [{"grade": 1, "when": "kind in ('purchase', 'play')"}]},
    "features": ["popularity_score", "user_item_actions_28d", "item_actions_28d"],
    "populations": None,
    "retrieval": [{"type": "popularity", "k": 8}],
    "ranker": {"type": "lightgbm", "rounds": 2, "min_data_in_leaf": 5, "num_leaves": 4},
    "evaluate": {"metrics": ["ndcg@10"], "baselines": ["popularity"]},
}
_WINDOWS = {"train": "3d", "validation": "0d", "test": "3d"}


@dataclass(frozen=True)
class Kind:
    """A pipeline, and the days that are run."""

    spec: dict[str, Any]
    first: date
    wanted: tuple[date, ...]

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def landed(self) -> int:
        """How many days are landed for the last one."""
        return (self.wanted[-1] - self.first).days + 1


SHOP = Kind(
    {**BOUGHT, **_SMALL, "examples": {"kind": "snapshots", "every": "1d", **_WINDOWS}},
    date(2011, 1, 4),
    tuple(date(2011, 1, 19) + n * DAY for n in range(3)),
)
# What members did offline arrives up to three days late; nothing is corrected.
SERVICE = Kind(
    {**SHOWN, **_SMALL, "examples": {"kind": "impressions", **_WINDOWS}}
    | {"source": {"type": "simulated", "users": 30, "items": 20, "seed": 8}},
    date(2026, 1, 1),
    tuple(date(2026, 1, 16) + n * DAY for n in range(3)),
)
KINDS = {kind.name: kind for kind in (SHOP, SERVICE)}


@dataclass(frozen=True)
class Correct:
    """Another file for a landed day: variant 0 is the original one."""

    day: int
    variant: int


@dataclass(frozen=True)
class AtOnce:
    """Days run in parallel: which ones, and after how many points each is killed."""

    runs: tuple[tuple[int, int | None], ...]


@dataclass(frozen=True)
class History:
    """One history of a kind.

    Attributes:
        seed: seed of the sales.
        late: (day on which something was sold, day on which that arrived).
        empty: a day without a sale.
        overlap: lines of each of the two days before that the shop's files bring again.
        actions: runs and corrections, in this order.
        again: the order in which every day is run at the end.
        strict: whether the gate fails a model that is not clearly as good as its champion. Then all corrections come
            first, because a version from an earlier landing rightly stays champion if that from the last one fails.
    """

    late: tuple[tuple[int, int], ...]
    empty: int
    actions: tuple[Correct | AtOnce, ...]
    again: tuple[int, ...]
    strict: bool = False
    kind: str = SHOP.name
    seed: int = 1
    overlap: int = 0

    @property
    def program(self) -> tuple[Correct | AtOnce, ...]:
        """The actions in the order in which they are applied."""
        if self.strict:
            return tuple(sorted(self.actions, key=lambda action: isinstance(action, AtOnce)))
        return self.actions

    @property
    def may_end(self) -> set[str]:
        """Possible outcomes of a run that is not killed."""
        return {"published", "failed a gate"} if self.strict else {"published"}


def histories(kind: Kind) -> st.SearchStrategy[History]:
    """Histories of a kind with a kill in each, among the hundreds of points that a run has."""
    landed = st.integers(0, kind.landed - 1)
    kills = st.one_of(st.none(), st.none(), st.integers(0, 60), st.integers(0, 500))
    at_once = st.lists(st.tuples(st.integers(0, len(kind.wanted) - 1), kills), min_size=1, max_size=3)
    actions = st.one_of(st.builds(AtOnce, at_once.map(tuple)), st.builds(Correct, landed, st.integers(0, 2)))
    return st.builds(
        History,
        late=st.lists(st.tuples(landed, landed).map(sorted).map(tuple), max_size=12).map(tuple),
        empty=landed,
        actions=st.lists(actions, min_size=2, max_size=6).map(tuple),
        again=st.permutations(range(len(kind.wanted))).map(tuple),
        strict=st.booleans(),
        kind=st.just(kind.name),
        seed=st.integers(0, 999),
        overlap=st.sampled_from([0, 3, 30]),
    ).filter(_kills)


def _kills(history: History) -> bool:
    return any(dies is not None for action in history.actions if isinstance(action, AtOnce) for _, dies in action.runs)


def write_day(folder: Path, history: History, day: int, variant: int) -> None:
    """Write the shop's file of a day: its own sales, some that arrive late, and some that it brings again."""
    folder.mkdir(parents=True, exist_ok=True)
    # As they were sent at first: a correction of a day does not correct what later days repeat of it.
    again = [line for back in (2, 1) if day >= back for line in _sent(history, day - back, 0)[: history.overlap]]
    lines = [*again, *_sent(history, day, variant)]
    (folder / f"{SHOP.first + day * DAY}.csv").write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")


def _sent(history: History, day: int, variant: int) -> list[str]:
    arrives, draw = SHOP.first + day * DAY, random.Random(f"{history.seed} {day} {variant}")
    sold = [] if day == history.empty or arrives.weekday() == 5 else [arrives] * 24
    sold += [SHOP.first + happened * DAY for happened, known in history.late if known == day]
    return [_line(1000 * day + number, when, draw) for number, when in enumerate(sold)]


def _line(number: int, when: date, draw: random.Random) -> str:
    customer, product = draw.randrange(12), min(draw.randrange(9), draw.randrange(9))
    return (
        f"{500000 + number},{20000 + product},PRODUCT {product},{1 + draw.randrange(4)},"
        f"{when} {9 + draw.randrange(8):02}:{draw.randrange(60):02}:00,2.5,{12000 + customer},France"
    )


# A correction that comes and goes, with kills in the build and in front of the registry.
CORRECTED = History(
    late=((9, 15), (3, 12)),
    empty=10,
    actions=(
        AtOnce(((0, None), (1, None), (2, 300))),
        Correct(12, 1),
        AtOnce(((1, 130), (1, None), (0, 40))),
        Correct(12, 0),
    ),
    again=(2, 0, 1),
)
# Files that overlap, of which a day is corrected whose lines later days bring again.
OVERLAPPING = replace(CORRECTED, overlap=5)
# Later days first, and a gate that fails: verdicts have to be made again.
GATED = replace(
    CORRECTED, actions=(AtOnce(((2, None), (1, 400))), AtOnce(((0, None),)), AtOnce(((1, None),))), again=(1, 2, 0),
    strict=True,
)  # fmt: skip
