"""Two pipelines that are small enough to run end to end in a test, one for each kind of examples."""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from rich.console import Console

from tasks.features import parse_cache
from tasks.features.dbt_run import dbt_vars
from tasks.runs.run import Run
from tasks.store.files import Home
from tests.tasks.handmade import RETAIL, bought_within, document

# Warnings that libraries raise about themselves (dbt leaves its log open) are not what these tests are about.
in_process = pytest.mark.filterwarnings("default", "ignore::ResourceWarning")

# Seed 8: a member was offline on one of the last days, so that rows of these days arrive after the run.
SHOWN: dict[str, Any] = document(
    name="shown",
    description="A service of 60 members, evaluated on what was shown.",
    source={"users": 60, "items": 40, "seed": 8},
    label={"lateness": "1d", "grades": [{"grade": 2, "when": "kind = 'play' and value >= 0.5"}]},
    examples={"train": "4d", "validation": "0d"},
    features=[
        "item_actions_28d", "user_actions_28d", "user_category_share_28d", "user_item_actions_28d",
        "user_item_days_since_action", "als_score", "popularity_score",
    ],
    sample={"strata": ["region"], "groups": 60, "allocation": "sqrt", "seed": 7},
    populations={"by": "region", "min_groups": 16},
    retrieval=[
        {"type": "als", "factors": 4, "refit": "7d", "k": 10},
        {"type": "popularity", "k": 10},
        {"type": "history", "k": 10},
    ],
    ranker={"type": "lightgbm", "rounds": 5, "min_data_in_leaf": 5, "num_leaves": 7},
    evaluate={"metrics": ["ndcg@10"], "baselines": ["popularity", "history", "logged_order"], "slices": ["region"]},
    gates=[
        {"metric": "ndcg@10", "not_worse_than": "popularity", "margin": 1.0},
        {"metric": "ndcg@10", "not_worse_than": "champion", "margin": 1.0},
    ],
)  # fmt: skip
BOUGHT: dict[str, Any] = {
    **SHOWN,
    **RETAIL,
    "name": "bought",
    "description": "A shop of 30 customers, evaluated on what they buy in the next ten days.",
    "start": "2011-01-04",
    "end": "2011-03-31",
    "label": bought_within("10d"),
    "examples": {"kind": "snapshots", "every": "10d", "train": "20d", "test": "10d"},
    "features": ["als_score", "history_score", "popularity_rank", "user_item_actions_28d", "item_actions_28d"],
    "populations": None,
    "evaluate": {"metrics": ["ndcg@10"], "baselines": ["popularity", "history"]},
}
ASKED: dict[str, Any] = {
    **SHOWN,
    "name": "asked",
    "description": "The same service, with what is known of the request.",
    "features": [*SHOWN["features"], "request_hour", "request_daypart", "user_region", "item_category"],
    "evaluate": {**SHOWN["evaluate"], "slices": ["daypart"]},
}
RATED: dict[str, Any] = {
    **BOUGHT,
    "name": "rated",
    "description": "People of known age who rate films with genres.",
    "source": {"type": "files", "dataset": "ml_100k"},
    "start": "1997-10-01",
    "end": "1998-01-31",
    "label": {"horizon": "10d", "lateness": "0d", "grades": [{"grade": 1, "when": "value >= 4"}]},
    "features": [
        "popularity_rank", "user_age", "user_student", "user_age_band", "user_occupation", "item_category",
        "item_release_year", "item_genres_overlap",
    ],
    "sample": {"strata": ["age_band"], "groups": 200},
    "populations": {"by": "gender", "min_groups": 10},
    "evaluate": {**BOUGHT["evaluate"], "slices": ["occupation", "student"]},
}  # fmt: skip
BANDED: dict[str, Any] = {
    **RATED,
    "name": "banded",
    "description": "The same people and films, by bands of their ages and decades.",
    "bands": {
        "age_group": {"of": "age", "edges": [25, 40]},
        "decade": {"of": "release_year", "edges": [1955, 1960, 1970]},
    },
    "features": [*RATED["features"], "user_age_group", "item_decade"],
    "sample": {"strata": ["age_group", "decade"], "groups": 200},
    "populations": {"by": "age_group", "min_groups": 10},
    "rerank": [{"type": "diversify", "by": "decade", "strength": 0.3}],
    "evaluate": {**RATED["evaluate"], "slices": ["age_group", "decade", "genres"]},
}
SHOWN_DAY, BOUGHT_DAY, RATED_DAY = date(2026, 1, 18), date(2011, 3, 5), date(1997, 12, 30)
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
CUSTOMERS, PRODUCTS = 30, 25


def pipeline_file(folder: Path, document: Mapping[str, Any], **changes: Any) -> Path:
    """Write a pipeline file; a change replaces a key."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {key: value for key, value in {**document, **changes}.items() if value is not None or key == "schedule"}
    path = folder / f"{whole['name']}.yaml"
    path.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
    return path


def days(first: date, last: date) -> Iterator[date]:
    """Yield the days in [first, last]."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def sales(day: date) -> list[str]:
    """The lines of a day: everybody comes back for the same few products, every third day."""
    draw, lines = random.Random(day.toordinal()), []
    for customer in range(CUSTOMERS):
        if (customer + day.toordinal()) % 3 == 0:
            for _ in range(3):
                usual = (customer * 3 + draw.randrange(4)) % PRODUCTS
                product = usual if draw.random() < 0.7 else draw.randrange(PRODUCTS)
                when = f"{day} {9 + customer % 8:02}:{draw.randrange(60):02}:00"
                lines.append(
                    f"5{day:%m%d}{customer:02},{20000 + product},PRODUCT {product},{1 + draw.randrange(4)},{when},"
                    f"2.5,{12000 + customer},{('United Kingdom', 'France')[customer % 2]}"
                )
    return lines


def sold_once(day: date) -> list[str]:
    """The lines of a day on which a third of the customers buy a product that they have never bought before."""
    age, lines = (day - date(2011, 1, 4)).days, []
    for customer in range(CUSTOMERS):
        if (customer + age) % 3 == 0:
            product = (customer * 7 + age // 3) % PRODUCTS
            lines.append(
                f"5{day:%m%d}{customer:02},{20000 + product},PRODUCT {product},1,{day} {9 + customer % 8:02}:00:00,"
                f"2.5,{12000 + customer},{('United Kingdom', 'France')[customer % 2]}"
            )
    return lines


def shop(
    folder: Path,
    first: date = date(2011, 1, 4),
    last: date = BOUGHT_DAY,
    lines: Callable[[date], list[str]] = sales,
) -> Path:
    """Write the files of a shop that is closed on Saturdays."""
    folder.mkdir(parents=True, exist_ok=True)
    for day in days(first, last):
        if day.weekday() != 5:
            (folder / f"{day}.csv").write_text("\n".join([HEADER, *lines(day), ""]), encoding="utf-8")
    return folder


GENRES = (
    "action", "adventure", "animation", "childrens", "comedy", "crime", "documentary", "drama", "fantasy", "film_noir",
    "horror", "musical", "mystery", "romance", "sci_fi", "thriller", "war", "western",
)  # fmt: skip


def films(folder: Path) -> Path:
    """Write 40 people, two of whom say little of themselves, 30 films, one without a genre, and what they rate."""
    folder.mkdir(parents=True, exist_ok=True)
    people = ["40||||"]
    for number in range(40):
        job = ("student", "artist", 'writer, "freelance"', "")[number % 4]
        people.append(f"{number}|{'' if number == 7 else 15 + number}|{'FM'[number % 3 > 0]}|{job}|1234")
    lines = []
    for number in range(30):
        flags = ["1" if number and (number + place) % 7 == 0 else "0" for place in range(len(GENRES))]
        lines.append("|".join([str(number), f"Film {number}", f"01-Jan-{1950 + number}", "", "", "0", *flags]))
    draw, ratings = random.Random(7), []
    for day in days(date(1997, 10, 1), date(1998, 1, 31)):
        for user in range(40):
            if (user + day.toordinal()) % 4 == 0:
                item = (user * 7 + draw.randrange(9)) % 30
                seconds = (day - date(1970, 1, 1)).days * 86_400 + user
                ratings.append(f"{user}\t{item}\t{draw.randint(2, 5)}\t{seconds}")
    for name, text in {"u.user": people, "u.item": lines, "u.data": ratings}.items():
        (folder / name).write_text("\n".join([*text, ""]), encoding="latin-1")
    return folder


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let DuckDB and LightGBM use so many threads."""
    with patch.dict(os.environ, {"MATINEE_THREADS": str(number), "OPENBLAS_NUM_THREADS": "1"}):
        yield


_parsed: dict[str, Home] = {}
"""By dbt's variables, the home in which it parsed the project first."""


@contextmanager
def parsed_once(run: Run) -> Iterator[None]:
    """Let dbt start from its parse in another home, if its variables were the same; it looks which files differ."""
    variables = json.dumps(dbt_vars(run.spec), sort_keys=True)
    if variables in _parsed and not parse_cache.target_of(run.home, run.spec.name).exists():
        parse_cache.copy(_parsed[variables], run.home, run.spec.name)
    yield
    _parsed.setdefault(variables, run.home)


class Lines(logging.Handler):
    """Keeps the records of the logger `matinee` while it is listened to."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def __enter__(self) -> list[logging.LogRecord]:
        log = logging.getLogger("matinee")
        self._level = log.level
        log.addHandler(self)
        log.setLevel(logging.INFO)
        return self.records

    def __exit__(self, *_: object) -> None:
        log = logging.getLogger("matinee")
        log.removeHandler(self)
        log.setLevel(self._level)


@dataclass(frozen=True)
class Tiny:
    """A pipeline file, its day, its data and a home; and what its first run logged."""

    file: Path
    as_of: date
    home: Path
    data: Path | None = None
    lines: list[logging.LogRecord] = field(default_factory=list, compare=False)

    def run(self, as_of: date | None = None, *, attempt: str = "1", cores: int = 2) -> Run:
        """Run every step of a day (its own day if absent) in this process."""
        from tasks.operations.run_all import run_all

        run = self.prepared(as_of, attempt=attempt)
        with threads(cores), parsed_once(run):
            run_all(run, Console(quiet=True))
        return run

    def make_version(self, as_of: date | None = None, *, attempt: str = "1", cores: int = 2) -> Run:
        """Run a day without checks, monitor and report, which take half of the time and leave the version as it is."""
        from tasks.runs.failures import call_step
        from tasks.runs.steps import BY_NAME, sequence

        run = self.prepared(as_of, attempt=attempt)
        with threads(cores), parsed_once(run):
            for name, step in sequence().items():
                if name == "land" or BY_NAME[name].makes_version:
                    call_step(run, name, step)
        return run

    def prepared(self, as_of: date | None = None, *, attempt: str = "1") -> Run:
        """The run of a day, before any of its steps."""
        return Run.create(self.file, as_of or self.as_of, attempt, home=Home(self.home), data=self.data)

    def elsewhere(self, home: Path) -> Tiny:
        """The same with another home."""
        return replace(self, home=home)

    def copied(self, home: Path) -> Tiny:
        """The same with a copy of its home."""
        shutil.copytree(self.home, home)
        return replace(self, home=home)

    @property
    def versions(self) -> dict[str, dict[str, bytes]]:
        """Every published version with all its files."""
        folder = Home(self.home).registry(self.file.stem) / "versions"
        return {path.name: tree(path) for path in sorted(folder.iterdir())} if folder.is_dir() else {}


def tree(folder: Path) -> dict[str, bytes]:
    """The files below a folder, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
