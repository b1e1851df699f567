"""Which version `matinee rank` takes, and what it says where there is none."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from tasks.errors import RegistryError, WrongArgument
from tasks.publishing.rank import find_version
from tasks.publishing.results import GateVerdict
from tasks.store.files import Home
from tasks.store.records import write_list
from tasks.store.registry import move_alias, version_dir
from tests.tasks.handmade import day, published

NAMES = ["2026-02-10.aa", "2026-02-11.bb"]
PASSED = GateVerdict(gate="mrr beats history by 0.01", passed=True, detail="difference +0.1")
FAILED = GateVerdict(gate="ndcg@10 beats popularity by 0.01", passed=False, detail="difference -0.2")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A registry of two versions."""
    home = Home(tmp_path)
    for name in NAMES:
        version_dir(home, "shop", name).mkdir(parents=True)
        move_alias(home, "shop", published(name, date.fromisoformat(name[:10])))
    return home


def judged(home: Home, text: str, *verdicts: GateVerdict, attempt: str = "1") -> Path:
    """An attempt that came as far as its gates."""
    folder = home.run_dir("shop", day(text), attempt)
    (folder / "gate").mkdir(parents=True)
    write_list(folder / "gate" / "gates.json", verdicts)
    return folder


def refused(home: Home, version: str | None = None) -> str:
    # A version that somebody names is an argument of theirs; one that is missing behind the alias is the registry's.
    with pytest.raises(RegistryError if version is None else WrongArgument) as error:
        find_version(home, "shop", "champion", version)
    return str(error.value)


def test_the_version_is_the_one_that_is_named_or_the_champion(home: Home) -> None:
    assert find_version(home, "shop", "champion", None) == NAMES[1]
    assert find_version(home, "shop", "champion", NAMES[0]) == NAMES[0]


def test_a_version_that_is_not_there_is_told_beside_those_that_are(home: Home) -> None:
    assert refused(home, "2026-02-12.cc").endswith(
        "/versions: no version '2026-02-12.cc'; there are 2026-02-11.bb, 2026-02-10.aa"
    )


def test_an_alias_that_is_gone_has_a_next_step(home: Home) -> None:
    path = home.registry("shop") / "aliases" / "champion.json"
    path.unlink()
    assert refused(home) == (
        f"{path}: no such file, expected one that points at a version. Restore it from a backup, or run `matinee run "
        "shop --as-of 2026-02-11`, which moves it; or name a version: --version 2026-02-11.bb"
    )


def test_an_alias_whose_version_is_gone_has_a_next_step(home: Home) -> None:
    shutil.rmtree(version_dir(home, "shop", NAMES[1]))
    assert refused(home).endswith(
        "no version '2026-02-11.bb', which the alias 'champion' points at; restore it from a backup, or publish a day "
        "again; there are 2026-02-10.aa"
    )


def test_before_the_first_run_it_is_the_next_step(tmp_path: Path) -> None:
    assert refused(Home(tmp_path)).endswith(
        "/versions: no version behind the alias 'champion'; run `matinee run shop --as-of …` first"
    )


def test_where_a_gate_held_the_last_run_back_it_is_named_with_the_report(tmp_path: Path) -> None:
    home = Home(tmp_path)
    judged(home, "02-09", PASSED, FAILED)
    folder = judged(home, "02-10", PASSED, FAILED)
    home.run_dir("shop", day("02-11"), "1").mkdir(parents=True)  # a run that did not come as far
    assert refused(home).endswith(
        "/versions: no version behind the alias 'champion'; the gates of the last run, of 2026-02-10, held its model "
        f"back (ndcg@10 beats popularity by 0.01: difference -0.2). Read why in {folder}/report/report.html"
    )
    judged(home, "02-12", PASSED)  # its version was published, and lost since
    assert refused(home).endswith("run `matinee run shop --as-of …` first")
