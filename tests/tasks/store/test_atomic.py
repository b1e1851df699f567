"""What is written is there as a whole or not at all, and one process writes at a time."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import BuildError, MatineeError
from tasks.store import atomic
from tasks.store.atomic import atomic_dir, atomic_file, locked
from tasks.store.files import write_json


def left_in(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def disk_full(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


def write_half(path: Path) -> None:
    path.write_text("half")
    raise KeyError


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "step"
    for text in ("old", "new"):
        with atomic_dir(target) as folder:
            (folder / f"{text}.txt").write_text(text)
            assert not (target / f"{text}.txt").exists()

    assert left_in(tmp_path) == {"deep/step/new.txt": "new"}
    assert [p.name for p in target.parent.iterdir()] == ["step"]


def test_nested_folders_are_kept(tmp_path: Path) -> None:
    with atomic_dir(tmp_path / "step") as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "file.txt").write_text("x")
    assert left_in(tmp_path) == {"step/inner/file.txt": "x"}


@pytest.mark.parametrize("old", [True, False])
def test_an_error_in_the_block_leaves_the_folder_as_it_was(tmp_path: Path, old: bool) -> None:
    target = tmp_path / "step"
    if old:
        with atomic_dir(target) as folder:
            (folder / "old.txt").write_text("old")
    before = left_in(tmp_path)

    with pytest.raises(KeyError), atomic_dir(target) as folder:
        write_half(folder / "half.txt")

    assert left_in(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == int(old)


def test_an_error_in_the_block_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_json(target, 1)
    with pytest.raises(KeyError), atomic_file(target) as temporary:
        write_half(temporary)
    assert left_in(tmp_path) == {"a.json": "1\n"}


def test_a_full_disk_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "a.json", "old")
    with atomic_dir(tmp_path / "step") as folder:
        (folder / "b.txt").write_text("old")
    before = left_in(tmp_path)

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        write_json(tmp_path / "a.json", "new")
    with pytest.raises(OSError, match="No space left"), atomic_dir(tmp_path / "step") as folder:
        (folder / "b.txt").write_text("new")

    assert left_in(tmp_path) == before


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "step"
    with atomic_dir(target) as folder:
        (folder / "old.txt").write_text("old")
    rename = Path.rename

    def refuse_the_new(self: Path, to: Path) -> Path:
        if to == target and (self / "new.txt").exists():
            disk_full()
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", refuse_the_new)
    with pytest.raises(OSError, match="No space left"), atomic_dir(target) as folder:
        (folder / "new.txt").write_text("new")

    assert left_in(tmp_path) == {"step/old.txt": "old"}


def test_a_full_disk_while_writing_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "write_text", disk_full)
    with pytest.raises(OSError, match="No space left"):
        write_json(tmp_path / "a.json", "new")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_waited_for_and_says_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / ".lock"
    with (
        locked(path, "another process writes", seconds=0, error=BuildError),
        pytest.raises(BuildError, match=r"\.lock: another process writes"),
        locked(path, "another process writes", seconds=0.05, error=BuildError),
    ):
        raise AssertionError("two held it")
    with locked(path, "nobody holds it", seconds=0):
        pass


def test_a_long_wait_says_what_for_and_how_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(atomic, "FIRST_NOTICE", 0.01)
    monkeypatch.setattr(atomic, "NEXT_NOTICE", 60.0)
    monkeypatch.setattr(logging.getLogger("matinee"), "propagate", True)
    path = tmp_path / ".lock"
    with (
        locked(path, "another process writes", seconds=0),
        pytest.raises(MatineeError, match="another process writes"),
        locked(path, "another process writes", seconds=0.3, what="the tables of shop"),
    ):
        raise AssertionError("two held it")
    assert [record.getMessage() for record in caplog.records] == [
        "waiting for the tables of shop, which another process uses: 0 s so far, at most 0 s (Ctrl-C ends the wait)",
    ]

    caplog.clear()
    with locked(path, "nobody holds it", seconds=0.3):
        pass
    assert not caplog.records


def test_a_timeout_inside_a_locked_block_is_not_taken_for_the_lock(tmp_path: Path) -> None:
    with (
        pytest.raises(TimeoutError, match="database"),
        locked(tmp_path / ".lock", "another process writes", seconds=0),
    ):
        raise TimeoutError("the database")
    with locked(tmp_path / ".lock", "released after an error", seconds=0):
        pass
