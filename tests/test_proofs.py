"""The proof passes for what depends on several clocks at once, and names what looks ahead.

Actions that belong to one impression, attributes of people and films that change, and items that were seen before.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.features.build import build_step
from tasks.features.engines import warehouse_of
from tasks.proof.scenarios import SCENARIOS
from tasks.sources.datasets import Dataset, load_dataset
from tasks.sources.land import land_step
from tasks.spec.feature_catalog import MARTS
from tests.copied_transforms import edit
from tests.overlapping import lines_with_a_key, sales_and_some_again
from tests.tasks.proof.test_prove import FUTURE, proof_of, text_of, transforms
from tests.test_seen_items import UNSEEN
from tests.thorough import thorough
from tests.tiny_bandit import bandit, example
from tests.tiny_pipelines import (
    ASKED,
    BOUGHT,
    BOUGHT_DAY,
    RATED,
    RATED_DAY,
    SHOWN_DAY,
    Tiny,
    days,
    films,
    in_process,
    parsed_once,
    pipeline_file,
    shop,
    threads,
)

__all__ = ["transforms"]
# Five whole runs in one test: on a busy machine they take longer than others may.
pytestmark = [in_process, pytest.mark.slow, pytest.mark.timeout(3600)]

OTHERS = tuple(name for name in SCENARIOS if name != "original")
CLICKED_DAY = date(2019, 11, 28)
FIRST = date(1997, 9, 20)


@pytest.fixture(scope="module")
def clicked(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Clicks that belong to one impression, and attributes of the request; the logs go on for two days."""
    folder = tmp_path_factory.mktemp("clicked")
    examples = {"kind": "impressions", "train": "3d", "validation": "0d", "test": "2d"}
    file = pipeline_file(folder, example(examples=examples))
    return Tiny(file, CLICKED_DAY, folder / "home", bandit(folder / "data"))


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """All of it together: plays of one request, plans that change, and nothing that was seen."""
    folder = tmp_path_factory.mktemp("asked")
    changes: dict[str, Any] = {
        "label": {**ASKED["label"], "attribution": {"to": "impression", "within": "6h"}},
        "features": [*ASKED["features"], "user_plan"],
        "sample": {**ASKED["sample"], "strata": ["plan"]},
        "candidates": {"seen": "exclude"},
        "retrieval": UNSEEN["retrieval"],
        "evaluate": {**ASKED["evaluate"], "baselines": ["popularity", "als"]},
    }
    return Tiny(pipeline_file(folder, ASKED, **changes), SHOWN_DAY, folder / "home")


@pytest.fixture
def changing(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """People who grow older and take other jobs, films whose genres change, and nothing that was rated before."""
    folder = tmp_path_factory.mktemp("changing")
    data = told_again(films(folder / "films"))
    monkeypatch.setattr("tasks.sources.datasets.load_dataset", lambda name: of_changes(load_dataset(name)))
    features = [*(name for name in RATED["features"] if name != "popularity_rank"), "als_score"]
    changes = {**UNSEEN, "features": features, "candidates": {"seen": "exclude"}, "evaluate": RATED["evaluate"]}
    changes["evaluate"] = {**RATED["evaluate"], "baselines": ["popularity", "als"]}
    return Tiny(pipeline_file(folder, RATED, **changes), RATED_DAY, folder / "home", data)


def of_changes(dataset: Dataset) -> Dataset:
    """The data set with a row per change of a person or film, in place of one that says it once."""
    document = dataset.model_dump(mode="json", by_alias=True, exclude_unset=True)
    for name in ("people", "films"):
        table = document["tables"][name]
        table.update(static=False, changes=True, day={"column": "told_at", "unit": "epoch_seconds"})
        table["columns"] = [*table["columns"], {"name": "told_at", "type": "BIGINT"}]
    return Dataset.model_validate(document)


@pytest.fixture
def overlapping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    """A shop whose files bring rows of days before again."""
    folder = tmp_path_factory.mktemp("overlapping")
    data = shop(folder / "shop", last=BOUGHT_DAY + timedelta(days=FUTURE), lines=sales_and_some_again)
    with lines_with_a_key():
        yield Tiny(pipeline_file(folder, BOUGHT), BOUGHT_DAY, folder / "home", data)


def told_again(folder: Path) -> Path:
    """Add, to what files say of people and films once, what they say on later days: until after the run's."""
    draw = random.Random(7)
    for name in ("user", "item"):
        path = folder / f"u.{name}"
        with path.open(encoding="utf-8") as stream:
            rows = list(csv.reader(stream, delimiter="|", quoting=csv.QUOTE_NONE))
        lines = [[*row, seconds(FIRST)] for row in rows]
        for day in days(date(1997, 10, 1), RATED_DAY + timedelta(days=3)):
            for row in draw.sample(rows, 8):
                lines.append([*(changed_person if name == "user" else changed_film)(row, draw), seconds(day)])
        path.write_text("".join("|".join(line) + "\n" for line in lines), encoding="utf-8")
    return folder


def changed_person(row: list[str], draw: random.Random) -> list[str]:
    return [row[0], str(draw.randint(15, 60)), draw.choice("FM"), draw.choice(["artist", "student"]), "1"]


def changed_film(row: list[str], draw: random.Random) -> list[str]:
    return [*row[:6], *draw.sample(row[6:], len(row) - 6)]


def seconds(day: date) -> str:
    return str((day - date(1970, 1, 1)).days * 86_400)


def test_the_proof_of_clicks_that_belong_to_an_impression_passes(clicked: Tiny) -> None:
    proof = proof_of(clicked, *OTHERS)
    assert proof.passed, text_of(proof)


@thorough
def test_the_proof_of_attribution_with_plans_that_change_and_without_seen_items_passes(asked: Tiny) -> None:
    proof = proof_of(asked, *OTHERS)
    assert proof.passed, text_of(proof)


@thorough
def test_the_proof_of_people_and_films_that_change_passes(changing: Tiny) -> None:
    proof = proof_of(changing, *OTHERS)
    assert proof.passed, text_of(proof)


def test_the_proof_of_files_that_overlap_passes(overlapping: Tiny) -> None:
    proof = proof_of(overlapping, *OTHERS)
    assert proof.passed, text_of(proof)


def test_rows_that_come_again_change_nothing(overlapping: Tiny, tmp_path: Path) -> None:
    """What each day is said to have known is what it knew when rows came once."""
    once = replace(overlapping, home=tmp_path / "home", data=shop(tmp_path / "shop"))
    tables, rejected = [], []
    for tiny in (overlapping, once):
        run = tiny.prepared()
        with threads(2), parsed_once(run):
            land_step(run)
            build_step(run)
        with warehouse_of(run.home, run.spec.name).open() as opened:
            again = "select count(*) from rejected_rows where rule = 'sent_again'"
            rejected.append(opened.rows(again)[0][0])
            tables.append(
                {name: opened.rows(f"select * from {name} order by all") for name in ("interactions", *MARTS)}
            )
    assert rejected[0] > 100
    assert rejected[1] == 0
    assert tables[0] == tables[1]
    assert all(tables[0].values())


def test_an_impression_that_became_known_too_late_to_be_the_last_one_is_named(clicked: Tiny, transforms: Path) -> None:
    known = "impressions.ds <= {{ plus_days(followed ~ '.cut', var('horizon_days') + var('lateness_days')) }}"
    edit(transforms / "macros" / "labels.sql", known, "true")
    proof = proof_of(clicked, "late")
    assert not proof.passed
    assert proof.comparisons[0].differences["labels"]


@thorough
def test_a_declared_attribute_that_is_overwritten_later_is_named(changing: Tiny, transforms: Path) -> None:
    honest = "and changes.valid_from <= asked.as_of\n"
    until = "        and (changes.valid_until is null or asked.as_of < changes.valid_until)"
    edit(transforms / "macros" / "declared_attributes.sql", honest + until, "and changes.valid_until is null")
    proof = proof_of(changing, "deleted")
    assert not proof.passed
    places = {difference.place for difference in proof.comparisons[0].differences["examples"]}
    assert "sample/train.parquet:user_age" in places
