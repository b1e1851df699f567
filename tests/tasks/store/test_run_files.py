from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from tasks.store.files import Home
from tasks.store.run_files import attempt_called, attempts, days, optional, pipelines

DAY = date(2026, 2, 10)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    for n, name in enumerate(("old", "new", ".hidden")):
        folder = home.root / "runs" / "demo" / "2026-02-10" / name
        folder.mkdir(parents=True)
        os.utime(folder, (1000 + n, 1000 + n))
    return home


def test_what_ran_is_found_and_other_folders_are_not(home: Home) -> None:
    (home.root / "runs" / "demo" / "notes").mkdir()
    (home.root / "registry" / "other").mkdir(parents=True)

    assert pipelines(home) == ["demo", "other"]
    assert days(home, "demo") == [DAY]
    assert days(home, "nobody") == []


def test_the_attempt_that_last_did_something_comes_first(home: Home) -> None:
    assert [attempt.name for attempt in attempts(home, "demo", DAY)] == ["new", "old"]
    assert attempts(home, "demo", date(2026, 2, 11)) == []


def test_an_attempt_is_found_by_its_name_the_latest_day_first(home: Home) -> None:
    (home.root / "runs" / "demo" / "2026-02-11" / "old").mkdir(parents=True)

    found = attempt_called(home, "demo", "old")

    assert [attempt.as_of for attempt in found] == [date(2026, 2, 11), DAY]


@pytest.mark.parametrize("content", ["{", "", None])
def test_what_is_torn_or_missing_is_none(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "x.json").write_text(content)

    assert optional(tmp_path / "x.json") is None
    assert optional(tmp_path) is None
