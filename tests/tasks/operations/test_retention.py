"""What `keep` lets go, and what it never does: what an alias, a later gate or somebody who publishes needs."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from tasks.operations.retention import REMOVED, Outlived, outlived, remove, removed_versions
from tasks.operations.verification.walk import verify
from tasks.spec.spec import Spec
from tasks.store.files import Home
from tasks.store.registry import move_alias, version_dir, withdraw
from tasks.store.timeline import timeline
from tests.tasks.handmade import published, spec_of

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
