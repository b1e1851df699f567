"""Folders with the digests of their files: what was changed since is neither given out nor taken for whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.errors import MatineeError
from tasks.store.digests import DIGESTS, checked_file, damage_of, write_digests


def test_a_file_that_was_changed_since_is_not_given_out(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "a.npz").write_bytes(b"abc")
    (tmp_path / "below" / "b.npz").write_bytes(b"def")
    write_digests(tmp_path)
    assert checked_file(tmp_path, "a.npz") == tmp_path / "a.npz"
    assert checked_file(tmp_path, "below/b.npz") == tmp_path / "below" / "b.npz"
    (tmp_path / "a.npz").write_bytes(b"abb")
    with pytest.raises(
        MatineeError, match=rf"a\.npz: found sha256 \w+, expected \w+.* delete the folder {tmp_path.name}"
    ):
        checked_file(tmp_path, "a.npz")
    (tmp_path / "new.npz").touch()
    with pytest.raises(MatineeError, match="expected None"):
        checked_file(tmp_path, "new.npz")
    (tmp_path / "a.npz").unlink()
    with pytest.raises(MatineeError, match=r"a\.npz: missing, expected sha256 \w+; delete the folder"):
        checked_file(tmp_path, "a.npz")


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
