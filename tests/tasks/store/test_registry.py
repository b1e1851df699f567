"""Versions are written once, the alias moves forwards only, and nobody overtakes anybody."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from tasks.errors import MatineeError, RegistryError
from tasks.store import registry
from tasks.store.files import Home, contents
from tasks.store.registry import (
    Alias,
    add_version,
    alias,
    move_alias,
    version_dir,
    withdraw,
)
from tasks.store.timeline import content_of, timeline, verdict_on
from tests.tasks.handmade import CONTENT, day, published


def built(home: Home, text: str, name: str = "built") -> Path:
    folder = home.root / name
    (folder / "model").mkdir(parents=True)
    (folder / "descriptor.json").write_text(text)
    (folder / "model" / "trees.txt").write_text("tree")
    return folder


def test_a_version_moves_in_as_a_whole(home: Home) -> None:
    folder = built(home, "one")
    expected = contents(folder)

    assert add_version(home, "shop", "2026-02-28.aa", folder, CONTENT)
    assert contents(version_dir(home, "shop", "2026-02-28.aa")) == expected
    assert sorted(expected) == ["descriptor.json", "model/trees.txt"]
    assert not folder.exists()


def test_the_same_version_again_changes_nothing(home: Home) -> None:
    add_version(home, "shop", "2026-02-28.aa", built(home, "one"), CONTENT)
    assert not add_version(home, "shop", "2026-02-28.aa", built(home, "one"), CONTENT)


def test_other_contents_under_the_same_version_are_refused(home: Home) -> None:
    add_version(home, "shop", "2026-02-28.aa", built(home, "one"), CONTENT)
    other = built(home, "two")
    (other / "more.txt").write_text("more")

    with pytest.raises(RegistryError) as caught:
        add_version(home, "shop", "2026-02-28.aa", other, CONTENT)

    target = version_dir(home, "shop", "2026-02-28.aa")
    assert str(caught.value) == (
        f"{target}: this version is published already with other contents (descriptor.json, more.txt); versions never "
        "change. Equal inputs gave unequal outputs: compare the two runs' files, or remove the published version if "
        "it was damaged"
    )
    assert (target / "descriptor.json").read_text() == "one"


def test_a_name_never_stands_for_two_contents_although_the_first_is_gone(home: Home) -> None:
    move(home, "2026-02-28.aa", day("02-28"))  # what its folder held is known from the timeline alone
    with pytest.raises(RegistryError) as caught:
        add_version(home, "shop", "2026-02-28.aa", built(home, "two"), "1" * 64)
    assert str(caught.value) == (
        f"{home.registry('shop') / 'timeline.jsonl'}: the version 2026-02-28.aa was published with the content "
        "000000000000…; found 111111111111…. Versions never change. Equal inputs gave unequal outputs: restore the "
        "version's folder from a backup, or publish on a machine like the first one"
    )
    assert not version_dir(home, "shop", "2026-02-28.aa").exists()
    assert add_version(home, "shop", "2026-02-28.aa", built(home, "one", "again"), CONTENT)


def test_the_last_content_of_a_version_is_known(home: Home) -> None:
    assert content_of(home, "shop", "v10") is None
    move(home, "v10", day("02-10"))
    move_alias(home, "shop", published("v11", day("02-11"), alias="trial", content="1" * 64))
    assert content_of(home, "shop", "v10") == CONTENT
    assert content_of(home, "shop", "v11") == "1" * 64


@pytest.mark.parametrize("version", ["../../up", "", "a/b", ".."])
def test_a_version_cannot_lead_out_of_the_registry(home: Home, version: str) -> None:
    with pytest.raises(MatineeError, match="cannot name a folder"):
        add_version(home, "shop", version, built(home, "one"), CONTENT)


def test_a_new_registry_points_nowhere(home: Home) -> None:
    assert alias(home, "shop", "champion") is None
    assert timeline(home, "shop") == []


def pointer(version: str, as_of: str) -> Alias:
    return Alias(version=version, as_of=day(as_of), content=CONTENT)


def move(home: Home, version: str, as_of: date) -> bool:
    return move_alias(home, "shop", published(version, as_of, run="r1"))


def test_the_alias_follows_the_days_and_never_moves_backwards(home: Home) -> None:
    assert move(home, "v10", day("02-10"))
    assert move(home, "v12", day("02-12"))
    assert not move(home, "v11", day("02-11"))  # a backfill
    assert alias(home, "shop", "champion") == pointer("v12", "02-12")
    assert timeline(home, "shop") == [
        published("v10", day("02-10"), run="r1", live=True),
        published("v12", day("02-12"), run="r1", live=True),
        published("v11", day("02-11"), run="r1", live=False),
    ]


def test_a_day_that_is_run_again_takes_the_alias(home: Home) -> None:
    move(home, "v10", day("02-10"))
    assert move(home, "v10b", day("02-10"))
    assert alias(home, "shop", "champion") == pointer("v10b", "02-10")


def test_moving_twice_is_moving_once(home: Home) -> None:
    assert move(home, "v10", day("02-10"))
    assert move(home, "v10", day("02-10"))
    assert len(timeline(home, "shop")) == 1


def test_the_same_version_again_writes_no_new_line_unless_its_figures_are_new(home: Home) -> None:
    move(home, "v10", day("02-10"))
    move(home, "v11", day("02-11"))
    move(home, "v10", day("02-10"))  # a day that is run again, no longer live
    assert [(line.version, line.live) for line in timeline(home, "shop")] == [("v10", True), ("v11", True)]

    move_alias(home, "shop", published("v10", day("02-10"), run="r1", champion="v09"))
    assert [line.champion for line in timeline(home, "shop")] == [None, None, "v09"]
    assert alias(home, "shop", "champion") == pointer("v11", "02-11")


def test_a_version_that_comes_back_is_the_last_of_its_day_again(home: Home) -> None:
    """A correction is taken back: also where the alias points at a later day, and does not move."""
    for version, as_of in (("v10", "02-10"), ("v11", "02-11"), ("v10b", "02-10"), ("v10", "02-10")):
        move(home, version, day(as_of))
    assert [line.version for line in timeline(home, "shop")] == ["v10", "v11", "v10b", "v10"]
    assert [line.live for line in timeline(home, "shop")] == [True, True, False, False]
    move(home, "v10", day("02-10"))
    assert len(timeline(home, "shop")) == 4


def test_a_withdrawn_version_is_told_of_once_and_the_alias_stays(home: Home) -> None:
    move(home, "v10", day("02-10"))
    for _ in range(2):
        withdraw(home, "shop", published("v10", day("02-10"), why="judged again"))
    held, withdrawn = timeline(home, "shop")
    assert withdrawn == published("v10", day("02-10"), why="judged again", live=False, withdrawn=True)
    assert verdict_on(home, "shop", "champion", "v10") == withdrawn
    assert alias(home, "shop", "champion") == pointer("v10", "02-10")

    move(home, "v10", day("02-10"))  # it holds again
    assert verdict_on(home, "shop", "champion", "v10") == held
    assert len(timeline(home, "shop")) == 3


def test_a_version_that_was_never_published_has_no_verdict(home: Home) -> None:
    move(home, "v10", day("02-10"))
    assert verdict_on(home, "shop", "champion", "v11") is None
    assert verdict_on(home, "shop", "trial", "v10") is None


def test_a_move_that_was_killed_after_the_timeline_is_finished_by_the_next(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(registry.Alias, "write", killed)
        with pytest.raises(OSError, match="No space"):
            move(home, "v10", day("02-10"))
    assert alias(home, "shop", "champion") is None

    assert move(home, "v10", day("02-10"))
    assert alias(home, "shop", "champion") == pointer("v10", "02-10")
    assert len(timeline(home, "shop")) == 1


def test_whether_a_version_is_live_is_decided_by_the_registry(home: Home) -> None:
    move_alias(home, "shop", published("v10", day("02-10"), live=False))
    (event,) = timeline(home, "shop")
    assert event == published("v10", day("02-10"), live=True)


def test_aliases_are_independent(home: Home) -> None:
    move(home, "v12", day("02-12"))
    assert move_alias(home, "shop", published("v11", day("02-11"), alias="trial"))
    assert alias(home, "shop", "champion") == pointer("v12", "02-12")
    assert alias(home, "shop", "trial") == pointer("v11", "02-11")


def test_what_is_said_to_do_about_a_damaged_alias_mends_it(home: Home) -> None:
    move(home, "2026-02-28.aa", day("02-28"))
    path = home.registry("shop") / "aliases" / "champion.json"
    whole = path.read_bytes()
    path.write_bytes(b"")

    with pytest.raises(MatineeError, match="publish the last day again once this file is removed"):
        move(home, "2026-02-28.aa", day("02-28"))

    path.unlink()
    move(home, "2026-02-28.aa", day("02-28"))
    assert path.read_bytes() == whole


def test_a_lock_that_is_not_given_up_is_an_error(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock

    monkeypatch.setattr(registry, "LOCK_SECONDS", 0.05)
    home.registry("shop").mkdir(parents=True)
    with (
        FileLock(home.registry("shop") / ".lock"),
        pytest.raises(RegistryError, match="another process is writing to the registry; try again"),
    ):
        move(home, "v10", day("02-10"))


def move_by_number(root: Path, number: int) -> bool:
    return move(Home(root), f"v{number:02}", day(f"02-{number:02}"))


def check_race(home: Home, pool: ThreadPoolExecutor | ProcessPoolExecutor) -> None:
    numbers = [5, 17, 3, 20, 11, 20, 1, 8, 20, 14]
    list(pool.map(move_by_number, [home.root] * len(numbers), numbers))

    assert alias(home, "shop", "champion") == pointer("v20", "02-20")
    events = timeline(home, "shop")
    assert sorted(line.version for line in events) == [f"v{n:02}" for n in sorted(set(numbers))]
    live = [line.as_of for line in events if line.live]
    assert live == sorted(live)


def test_threads_do_not_overtake_each_other(home: Home) -> None:
    with ThreadPoolExecutor(4) as pool:
        check_race(home, pool)


def test_processes_do_not_overtake_each_other(home: Home) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        check_race(home, pool)


def test_two_threads_publish_the_same_version_once(home: Home) -> None:
    folders = [built(home, "one", f"built{n}") for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda folder: add_version(home, "shop", "v1", folder, CONTENT), folders))
    assert sorted(added) == [False, False, False, True]
