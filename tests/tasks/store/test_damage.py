"""Folders with the digests of their files: what was changed since is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.store.damage import damage_of
from tasks.store.files import DIGESTS, write_digests


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.npz", "b.parquet", "made.json"):
        (tmp_path / name).write_bytes(name.encode())
    write_digests(tmp_path)
    return tmp_path


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file is cut": (lambda f: (f / "a.npz").write_bytes(b"a.np"), r"^a\.npz was changed$"),
    "two files are changed": (
        lambda f: [(f / name).write_bytes(b"") for name in ("b.parquet", "made.json")],
        r"^b\.parquet was changed, and 1 more$",
    ),
    "a file is gone": (lambda f: (f / "made.json").unlink(), r"^made\.json is missing$"),
    "a file was added": (lambda f: (f / "c.npz").touch(), r"^c\.npz was not written with the others$"),
    "a link took its place": (
        lambda f: [(f / "a.npz").unlink(), (f / "a.npz").symlink_to(f / "b.parquet")],
        r"^a\.npz was changed$",
    ),
    "the digests are gone": (lambda f: (f / DIGESTS).unlink(), r"^digests\.json is missing$"),
    "the digests are torn": (lambda f: (f / DIGESTS).write_text("{"), r"^digests\.json was changed$"),
    "the name of their checksum is changed": (
        lambda f: (f / DIGESTS).write_text((f / DIGESTS).read_text().replace('"checksum"', '"checksuo"')),
        r"^digests\.json was changed$",
    ),
    "the digests are a list": (lambda f: (f / DIGESTS).write_text("[]"), r"^digests\.json was changed$"),
    "the digests are numbers": (lambda f: (f / DIGESTS).write_text('{"a.npz": 1}'), r"^digests\.json was changed$"),
}


def test_a_folder_as_it_was_written_is_whole(folder: Path) -> None:
    assert damage_of(folder) is None


@pytest.mark.parametrize("name", DAMAGES)
def test_what_was_changed_is_named(name: str, folder: Path) -> None:
    damage, said = DAMAGES[name]
    damage(folder)
    problem = damage_of(folder)
    assert problem is not None
    assert re.search(said, problem), problem
