"""A pipeline whose data are a database's, from `init` through all steps to a ranked list."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from rich.console import Console

from engine.descriptor import Request
from engine.ranking import load
from tasks.operations.own_data.begin import begin
from tasks.operations.run_all import run_all
from tasks.publishing.results import PublishResult
from tasks.runs.run import Run
from tasks.sources.datasets import load_dataset
from tasks.sources.land import land_step
from tasks.store.files import Home
from tasks.store.registry import version_dir
from tests.tasks.operations.own_data.test_begin import Answers, project
from tests.tasks.operations.own_data.test_found_relations import fill
from tests.tasks.sources.database.conftest import VARIABLE, sqlite
from tests.tiny_pipelines import in_process, threads

__all__ = ["project", "sqlite"]


def likings(days: int = 120, users: int = 60) -> list[tuple[int, int, int, date]]:
    """Users who act now and then, each of whom likes some films more than others: user, item, stars, day."""
    draw = random.Random(7)
    rows = []
    for user in range(users):
        weights = [draw.random() ** 3 for _ in range(20)]
        for day in range(days):
            if draw.random() < 0.15:
                item = draw.choices(range(20), weights)[0]
                stars = min(5, 1 + round(4 * weights[item] + draw.random()))
                rows.append((100 + user, 500 + item, stars, date(2025, 1, 1) + timedelta(days=day)))
    return rows


@in_process
@pytest.mark.slow
def test_tables_of_a_database_become_a_published_ranker(
    sqlite: sa.Engine, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sqlite, "text", rows=likings())
    monkeypatch.setattr(load_dataset, "__defaults__", (project / "transforms" / "datasets",))
    own = begin("films", f"sqlite:///{sqlite.url.database}", Answers())
    assert own.url_env == VARIABLE

    home = Home(project / "home")
    run = Run.create(project / "pipelines" / "films.yaml", own.activity.last, "1", home=home)
    with threads(1):
        run_all(run, Console(quiet=True))

    assert own.activity.last == date(2025, 4, 30)
    result = run.read("publish", PublishResult)
    assert result.version.startswith("2025-04-30.")
    (response,) = load(version_dir(home, "films", result.version)).rank([Request(user_id="100", k=3)])
    assert len(response.items) == 3
    assert set(response.items) <= {str(item) for item in range(500, 520)}
    # Nothing has changed: the same day again lands nothing.
    before = {path: path.read_bytes() for path in home.landing("films").rglob("*") if path.is_file()}
    run_again = Run.create(project / "pipelines" / "films.yaml", own.activity.last, "2", home=home)
    land_step(run_again)
    assert {path: path.read_bytes() for path in home.landing("films").rglob("*") if path.is_file()} == before
