"""What killed processes left: found wherever it lies, told from what is alive, and nothing else is touched."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tasks.cli.main import app
from tasks.operations.leftovers import leftovers, remove, unused_objects
from tasks.store.atomic import atomic_dir, atomic_file
from tasks.store.files import Home
from tests.tasks.damaging import names_below

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def age(folder: Path, hours: float) -> None:
    """Let everything below a folder be as old."""
    stamp = (NOW - timedelta(hours=hours)).timestamp()
    for path in sorted(folder.rglob("*"), reverse=True):
        os.utime(path, (stamp, stamp), follow_symlinks=False)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A state folder with what two killed writers left, and with locks, results and somebody's link."""
    for name in ("runs/tiny/2026-03-01/1/.sample-x8a/part.parquet", "landing/shop/lines/ds=2026-03-01/.a.parquet-q1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"12345")
    for name in ("registry/tiny/.lock", "warehouse/.tiny.duckdb.lock", "runs/tiny/2026-03-01/1/sample/result.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ".hidden").touch()
    (tmp_path / "runs" / "tiny" / "linked").symlink_to(tmp_path / "elsewhere")
    return Home(tmp_path)


def test_only_what_is_unfinished_and_old_is_listed(home: Home) -> None:
    age(home.root, 25)
    found = leftovers(home, NOW)
    assert [(str(each.path.relative_to(home.root)), each.bytes) for each in found] == [
        ("landing/shop/lines/ds=2026-03-01/.a.parquet-q1", 5),
        ("runs/tiny/2026-03-01/1/.sample-x8a", 5),
    ]
    age(home.root, 23)
    assert leftovers(home, NOW) == []
    os.utime(home.root / "runs/tiny/2026-03-01/1/.sample-x8a/part.parquet", (0, 0))
    assert leftovers(home, NOW) == [], "something else of the folder is young"


def test_nothing_else_is_removed(home: Home) -> None:
    age(home.root, 48)
    before = names_below(home.root)
    for each in leftovers(home, NOW):
        remove(each)
        remove(each)  # another process was faster
    gone = before - names_below(home.root)
    assert all("/." in name and not name.endswith(".lock") for name in gone)
    assert len(gone) == 3


def test_what_atomic_writers_leave_is_what_is_found(tmp_path: Path) -> None:
    """A kill leaves their temporary names: the same that are listed."""
    home = Home(tmp_path)
    with atomic_dir(tmp_path / "runs" / "x") as folder, atomic_file(tmp_path / "landing" / "f.json") as file:
        found = {each.path for each in leftovers(home, datetime.now(UTC) + timedelta(days=2))}
        assert found == {folder, file}


def test_copies_of_objects_go_when_nobody_has_asked_for_them_in_a_month(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = tmp_path / "cache" / "objects"
    for name, days in (("used", 29), ("unused", 31), (".half", 31)):
        (objects / name).mkdir(parents=True)
        (objects / name / "object.csv").write_bytes(b"12345")
        stamp = (datetime.now(UTC) - timedelta(days=days)).timestamp()
        os.utime(objects / name / "object.csv", (0, 0))
        os.utime(objects / name, (stamp, stamp))
    assert [(each.path.name, each.bytes) for each in unused_objects(Home(tmp_path), datetime.now(UTC))] == [
        ("unused", 5)
    ]
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path))
    assert CliRunner().invoke(app, ["gc"]).output.splitlines()[-1] == "removed 2 things, 10 bytes"
    assert [path.name for path in objects.iterdir()] == ["used"]


def test_the_command_says_what_it_would_remove(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(home.root))
    monkeypatch.setenv("COLUMNS", "200")
    for path in home.root.rglob("*"):
        os.utime(path, (0, 0), follow_symlinks=False)
    said = CliRunner().invoke(app, ["gc", "--dry-run"])
    assert said.exit_code == 0
    assert said.output.splitlines()[-1] == "would remove 2 things, 10 bytes"
    assert ".sample-x8a" in said.output
    assert CliRunner().invoke(app, ["gc"]).output.splitlines()[-1] == "removed 2 things, 10 bytes"
    assert CliRunner().invoke(app, ["gc"]).output.splitlines()[-1] == "removed 0 things, 0 bytes"
