"""The manifest of a partition: it names a file beside it, and nothing else (landing: sources/test_land.py)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.sealed import sealed
from tasks.errors import LandingError
from tasks.store import partitions
from tasks.store.files import Home
from tasks.store.partitions import day_of, partition_dir, read_manifest, read_manifests, store

DAY = date(2026, 3, 1)


@pytest.fixture
def folder(home: Home) -> Path:
    """The folder of a landed partition."""
    folder = partition_dir(home, "shop", "lines", DAY)
    store(folder, pa.table({"n": [1, 2]}), inputs="a file")
    return folder


def change(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(sealed(manifest)))


def elsewhere(manifest: dict[str, Any]) -> None:
    manifest["current"] = manifest["landings"][0]["file"] = "../../x.parquet"


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a path that leads out": (elsewhere, r"current: found '\.\./\.\./x\.parquet': expected a plain name"),
    "an absolute path": (
        lambda m: m["landings"][0].update(file="/etc/passwd"),
        r"landings\.0\.file: found '/etc/passwd': expected a plain name",
    ),
    "fewer rows than none": (lambda m: m["landings"][0].update(rows=-5), r"landings\.0\.rows: found -5: "),
    "fewer bytes than none": (lambda m: m["landings"][0].update(bytes=-1), r"landings\.0\.bytes: found -1: "),
    "fewer rejects than none": (lambda m: m["landings"][0].update(rejects=-1), r"landings\.0\.rejects: found -1: "),
    "a day in words": (
        lambda m: m["landings"][0].update(landed_at="yesterday"),
        r"landings\.0\.landed_at: found 'yesterday': expected an instant",
    ),
    "no digest": (lambda m: m["landings"][0].update(sha256="x"), r"landings\.0\.sha256: found 'x': "),
    "no landing": (lambda m: m.update(landings=[]), r"landings: found a list: "),
    "an earlier file is current": (
        lambda m: m.update(current="a.parquet"),
        r"expected the latest landing, \w+\.parquet",
    ),
    "another table": (
        lambda m: m.update(table="items"),
        r"found the manifest of 'items' of 2026-03-01, expected that of",
    ),
    "another day": (
        lambda m: m.update(ds="2026-03-02"),
        r"found the manifest of 'lines' of 2026-03-02, expected that of",
    ),
    "a table elsewhere": (lambda m: m.update(table="../items"), r"found the manifest of '\.\./items' of 2026-03-01"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_manifest_that_says_something_else_is_refused(name: str, folder: Path, home: Home) -> None:
    damage, said = CHANGES[name]
    change(folder, damage)
    for read in (lambda: read_manifest(folder), lambda: read_manifests(home, "shop", ["lines"], None, DAY)):
        with pytest.raises(LandingError, match=rf"^{folder}/manifest\.json: .*{said}") as caught:
            read()
        assert str(caught.value).endswith(
            "delete this file and run `matinee land` again: it is made anew from the source"
        )


def test_a_folder_that_somebody_else_made_is_named(folder: Path, home: Home) -> None:
    for name in ("ds=2026-02-30", "ds=20260301", "ds=2026-W09-6", "ds=", "ds=x", "ds=0001-01-01"):
        (folder.parent / name).mkdir()
        with pytest.raises(LandingError, match=rf"{name}: found a name without a day, expected ds=YYYY-MM-DD"):
            read_manifests(home, "shop", ["lines"], None, DAY)
        (folder.parent / name).rmdir()
    assert day_of(folder) == DAY


def test_a_file_that_is_no_file_is_missing(folder: Path, home: Home) -> None:
    (path,) = folder.glob("*.parquet")
    path.unlink()
    path.mkdir()
    with pytest.raises(LandingError, match=rf"{path.name}: missing, though .*; delete {path.name} and run"):
        read_manifests(home, "shop", ["lines"], None, DAY)


def test_rows_are_the_same_bytes_in_batches_of_any_size(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "ROW_GROUP", 10)
    for count in (0, 1, 9, 10, 11, 20, 35):
        numbers = [None if n % 7 == 3 else n for n in range(count)]
        rows = pa.table({"n": pa.array(numbers, pa.int64()), "text": pa.array([f"t{n}" for n in range(count)])})
        whole = home.root / "whole.parquet"
        pq.write_table(
            rows, whole, version="2.6", compression="zstd", row_group_size=10, store_schema=False,
            write_page_checksum=True,
        )  # fmt: skip
        for size in (1, 3, 10, 100):
            batches = pa.Table.from_batches(rows.to_batches(size), rows.schema)
            landed = store(partition_dir(home, "shop", f"t{size}", DAY), batches, inputs=str(count))
            assert landed.path.read_bytes() == whole.read_bytes(), (count, size)
            assert landed.rows == count
    assert not list(home.root.rglob(".rows*"))
