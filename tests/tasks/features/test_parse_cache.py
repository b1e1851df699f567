"""dbt's parse of the project is used only as dbt has left it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.features import parse_cache
from tasks.features.parse_cache import CACHE, NOTE, target_of
from tasks.store.files import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home in which dbt has just ended."""
    made = Home(tmp_path / "home")
    target_of(made, "tiny").mkdir(parents=True)
    (target_of(made, "tiny") / CACHE).write_bytes(b"select 1")
    parse_cache.note(target_of(made, "tiny"))
    return made


def test_a_cache_that_is_as_it_was_left_stays(home: Home) -> None:
    target = target_of(home, "tiny")
    parse_cache.drop_if_changed(target)
    assert (target / CACHE).read_bytes() == b"select 1"


@pytest.mark.parametrize("name", [CACHE, NOTE])
def test_a_flipped_bit_costs_a_parse(name: str, home: Home) -> None:
    target = target_of(home, "tiny")
    content = bytearray((target / name).read_bytes())
    content[len(content) // 2] ^= 1
    (target / name).write_bytes(content)
    parse_cache.drop_if_changed(target)
    assert not (target / CACHE).exists()


def test_a_cache_without_a_note_is_of_a_dbt_that_was_killed(home: Home) -> None:
    target = target_of(home, "tiny")
    (target / NOTE).unlink()
    parse_cache.drop_if_changed(target)
    assert not (target / CACHE).exists()


def test_a_copy_is_as_good(home: Home, tmp_path: Path) -> None:
    scratch = Home(tmp_path / "scratch")
    parse_cache.copy(home, scratch, "tiny")
    parse_cache.drop_if_changed(target_of(scratch, "tiny"))
    assert (target_of(scratch, "tiny") / CACHE).read_bytes() == b"select 1"
    parse_cache.copy(home, scratch, "another")  # which dbt has never parsed
    assert not target_of(scratch, "another").exists()


def test_without_a_cache_there_is_nothing_to_note(tmp_path: Path) -> None:
    parse_cache.note(tmp_path)
    parse_cache.drop_if_changed(tmp_path)
    assert list(tmp_path.iterdir()) == []
