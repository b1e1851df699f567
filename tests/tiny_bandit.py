"""Two small logs of the shape of the Open Bandit Dataset: six kinds of people, six articles, seven days."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.tiny_pipelines import days

POLICIES = ("random", "bts")
FIRST, LAST = date(2019, 11, 24), date(2019, 11, 30)
ARTICLES = 6
PEOPLE = tuple((age, place, "phone", "new") for age in ("young", "old") for place in ("city", "land", "sea"))
FEATURES = tuple(f"user_feature_{number}" for number in range(4))
COLUMNS = (
    "timestamp", "item_id", "position", "click", "propensity_score", *FEATURES,
    *(f"user-item_affinity_{number}" for number in range(34)),
)  # fmt: skip
EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "open_bandit.yaml"
REJECTED = {
    "impossible_click": {"click": "2"},
    "impossible_position": {"position": "4"},
    "impossible_propensity": {"propensity_score": "0.0"},
    "missing_id": {"item_id": ""},
    "missing_user": {"user_feature_2": ""},
}
"""What each rule of the staging rejects: a clicked row with this in place of what it should say."""


def example(**changes: Any) -> dict[str, Any]:
    """The pipeline of the docs, with larger trees and a gate that they pass here; a change replaces a key."""
    document: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    gates = [{"metric": "ndcg@10", "not_worse_than": "popularity", "margin": 1.0}]
    ranker = {**document["ranker"], "rounds": 40, "learning_rate": 0.1, "num_leaves": 15}
    return {**document, "gates": gates, "ranker": ranker, **changes}


def shown(policy: str, day: date) -> Iterator[dict[str, str]]:
    """The rows of a log on a day: who likes an article depends on what is logged of them, and on the hour."""
    draw = random.Random(f"{policy} {day}")
    times = sorted((draw.choice([9, 20]), draw.randrange(3600)) for _ in range(200))
    for hour, second in times:
        item, person = draw.randrange(ARTICLES), draw.randrange(len(PEOPLE))
        at = datetime.combine(day, time(hour)) + timedelta(seconds=second)
        young, place = person < 3, person % 3
        liking = ((item >= 3) == young) + (item % 3 == place) + ((item % 2 == 0) == (hour == 9))
        clicked = draw.random() < liking / 7
        yield {
            "timestamp": f"{at}.25+00:00",
            "item_id": str(item),
            "position": str(draw.randint(1, 3)),
            "click": str(int(clicked)),
            "propensity_score": "0.1",
            **dict(zip(FEATURES, PEOPLE[person], strict=True)),
        }


def log_of(policy: str) -> list[dict[str, str]]:
    """The rows of a log, the last ones of which break a rule each."""
    rows = [row for day in days(FIRST, LAST) for row in shown(policy, day)]
    good = {**rows[0], "timestamp": f"{FIRST} 12:00:00+00:00", "click": "1"}
    return [*rows, *({**good, **wrong} for wrong in REJECTED.values())]


def bandit(folder: Path) -> Path:
    """Write both logs and the articles."""
    for policy in POLICIES:
        (folder / policy / "men").mkdir(parents=True)
        lines = [",".join(["", *COLUMNS]), *(line(number, row) for number, row in enumerate(log_of(policy)))]
        (folder / policy / "men" / "men.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")
    articles = [",".join(["", "item_id", *(f"item_feature_{number}" for number in range(4))])]
    articles += [f"{item},{item},{item / 2 - 1},c{item % 2},m{item % 3},x" for item in range(ARTICLES)]
    path = folder / "random" / "men" / "item_context.csv"
    path.write_text("\n".join([*articles, ""]), encoding="utf-8")
    return folder


def line(number: int, row: Mapping[str, str]) -> str:
    """A row as a line; all affinities are 0, as nearly all of the real ones."""
    return ",".join([str(number), *(row.get(column, "0.0") for column in COLUMNS)])
