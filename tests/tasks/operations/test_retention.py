"""What `keep` lets go, and what it never does: what an alias, a later gate or somebody who publishes needs."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tasks.cli.main import app
from tasks.operations.retention import REMOVED, Outlived, outlived, remove, removed_versions, under_way
from tasks.operations.verification.walk import verify
from tasks.spec.spec import Spec
from tasks.store.files import Home
from tasks.store.registry import move_alias, version_dir, withdraw
from tasks.store.timeline import timeline
from tests.tasks.handmade import document, published, spec_of
from tests.tiny_pipelines import pipeline_file

TODAY = date(2026, 3, 31)
DAYS = [date(2026, 3, day) for day in (1, 5, 10, 20, 30)]


def kept(**keep: str) -> Spec:
    return spec_of(keep=keep)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Five days that were run and published, each with its retrieval."""
    home, name = Home(tmp_path), spec_of().name
    for day in DAYS:
        for folder in (
            home.run_dir(name, day, "1") / "report",
            home.retrieval(name) / f"cut={day}" / "0a1b",
            version_dir(home, name, f"{day}.aaaaaaaa"),
        ):
            folder.mkdir(parents=True)
            (folder / "file").write_bytes(b"12345")
        move_alias(home, name, published(f"{day}.aaaaaaaa", day))
    return home


def names(found: list[Outlived]) -> list[str]:
    return [f"{each.kind} {each.day:%m-%d}" for each in found]


def test_without_keep_nothing_goes(home: Home) -> None:
    assert outlived(spec_of(), home, TODAY + timedelta(days=9_000)) == []


@pytest.mark.parametrize(
    ("keep", "gone"),
    [
        ({"runs": "11d"}, ["runs 03-01", "runs 03-05", "runs 03-10"]),
        ({"retrieval": "30d"}, []),
        ({"retrieval": "26d"}, ["retrieval 03-01"]),
        # 03-10 was champion before the first day that is kept.
        ({"versions": "15d"}, ["versions 03-01", "versions 03-05"]),
        # The alias points at 03-30, however old it is, and there is no later day to compare with.
        ({"versions": "1d"}, ["versions 03-01", "versions 03-05", "versions 03-10"]),
    ],
)
def test_what_is_older_goes(keep: dict[str, str], gone: list[str], home: Home) -> None:
    assert names(outlived(kept(**keep), home, TODAY)) == gone


def test_the_trials_of_days_whose_runs_go_go_with_them(home: Home) -> None:
    for day in DAYS[:2]:
        (home.tunings(spec_of().name) / f"as-of={day}" / "0a1b").mkdir(parents=True)
    found = names(outlived(kept(runs="23d"), home, TODAY))
    assert [name for name in found if name.startswith("tunings")] == ["tunings 03-01", "tunings 03-05"]
    found = names(outlived(kept(runs="26d"), home, TODAY))
    assert [name for name in found if name.startswith("tunings")] == ["tunings 03-01"]


def test_the_champion_before_is_one_that_was_not_withdrawn(home: Home) -> None:
    name = spec_of().name
    withdraw(home, name, published("2026-03-10.aaaaaaaa", date(2026, 3, 10)))
    assert names(outlived(kept(versions="15d"), home, TODAY)) == ["versions 03-01", "versions 03-10"]


def test_a_version_that_is_being_published_stays(home: Home) -> None:
    version_dir(home, spec_of().name, "2026-03-02.bbbbbbbb").mkdir()
    assert "versions 03-02" not in names(outlived(kept(versions="1d"), home, TODAY))


def test_what_was_removed_is_no_fault(home: Home) -> None:
    name, before = spec_of().name, timeline(home, spec_of().name)
    found = outlived(kept(versions="15d", runs="11d"), home, TODAY)
    assert [each.bytes for each in found] == [5] * 5
    for each in found:
        remove(each)
    assert removed_versions(home, name) == {"2026-03-01.aaaaaaaa", "2026-03-05.aaaaaaaa"}
    assert timeline(home, name) == before
    assert outlived(kept(versions="15d", runs="11d"), home, TODAY) == []
    missing = [fault.place for fault in verify(home, [name]).faults if "its folder is not there" in fault.problem]
    assert missing == []
    assert not list(home.root.rglob(".removed-*"))


def test_half_a_line_of_a_killed_removal_spoils_no_other(home: Home) -> None:
    name = spec_of().name
    first, second = outlived(kept(versions="15d"), home, TODAY)
    remove(first)
    with (home.registry(name) / REMOVED).open("a") as stream:
        stream.write('{"versio')
    remove(second)
    assert removed_versions(home, name) == {"2026-03-01.aaaaaaaa", "2026-03-05.aaaaaaaa"}


def test_a_removal_that_was_killed_is_finished_by_the_next(home: Home) -> None:
    each = outlived(kept(runs="11d"), home, TODAY)[0]
    half = each.path.with_name(f".removed-{each.path.name}")
    half.mkdir()
    (half / "rest").touch()
    remove(each)
    assert not half.exists()
    assert not each.path.exists()


NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


def ran(home: Home, day: date, *steps: str, hours: float = 1) -> Path:
    """An attempt that left the results of some steps one after the other, the last one so many hours ago."""
    folder = home.run_dir(spec_of().name, day, "night")
    last = NOW.timestamp() - hours * 3600
    for number, step in enumerate(steps):
        (folder / step).mkdir(parents=True)
        (folder / step / "result.json").write_text("{}")
        for path in (folder / step / "result.json", folder / step, folder):
            os.utime(path, (last, last - len(steps) + number))
    return folder


@pytest.mark.parametrize(
    ("steps", "hours", "running"),
    [
        (("land", "retrieve"), 1, True),
        (("land", "retrieve"), 23.9, True),
        (("land", "retrieve"), 24.1, False),  # it was killed
        (("land", "retrieve", "report"), 1, False),
        (("land", "report", "retrieve"), 1, True),  # cleared, and run again in the same attempt
        (("land", "report", "train/everybody"), 1, True),
        (("land", ".retrieve-x1"), 1, True),
        (("land", "report", ".retrieve-x1"), 1, True),
        (("land", "train/.everybody-x1"), 1, True),
    ],
)
def test_a_run_is_under_way_until_it_has_reported_what_it_did_last(
    steps: tuple[str, ...], hours: float, running: bool, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    folder = ran(home, DAYS[0], *steps, hours=hours)
    assert under_way(home, spec_of().name, NOW) == ([folder] if running else [])
    assert under_way(home, "other", NOW) == []


def test_gc_leaves_all_of_a_pipeline_with_a_run_under_way(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backfill of an old day: its own folder, its cuts and its champion are all older than `keep`."""
    pipeline_file(tmp_path / "pipelines", document(keep={"runs": "1d", "retrieval": "16d", "versions": "1d"}))
    monkeypatch.setenv("MATINEE_HOME", str(home.root))
    monkeypatch.setenv("MATINEE_PIPELINES", str(tmp_path / "pipelines"))
    monkeypatch.setenv("COLUMNS", "300")
    before = sorted(home.root.rglob("*"))
    said = CliRunner().invoke(app, ["gc"])
    assert said.exit_code == 0, said.output
    assert "and what follows: a run is under way (" in said.output
    assert said.output.rstrip().endswith("removed 0 things, 0 bytes")
    assert sorted(home.root.rglob("*")) == before

    for attempt in home.root.glob("runs/*/*/*"):
        (attempt / "report" / "result.json").write_text("{}")
    said = CliRunner().invoke(app, ["gc"])
    assert said.output.rstrip().splitlines()[-1].startswith("removed 14 things"), said.output
    assert not list(home.root.glob("runs/*/*/*"))


def test_gc_removes_nothing_by_a_file_that_lets_go_what_the_next_run_needs(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline_file(tmp_path / "pipelines", document(keep={"retrieval": "15d"}))
    monkeypatch.setenv("MATINEE_HOME", str(home.root))
    monkeypatch.setenv("MATINEE_PIPELINES", str(tmp_path / "pipelines"))
    monkeypatch.setenv("COLUMNS", "300")
    before = sorted(home.root.rglob("*"))
    said = CliRunner().invoke(app, ["gc"])
    assert said.exit_code == 2
    assert "keep.retrieval: found 15d, expected at least 16d" in said.output
    assert sorted(home.root.rglob("*")) == before
