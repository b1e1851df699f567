"""Files of a bucket are read as those of a folder: fetched once per version, whole, and never out of their place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tasks.errors import SourceError
from tasks.sources.datasets import load_dataset
from tasks.sources.files import folders
from tasks.sources.files.file_source import FileSource
from tasks.sources.files.folders import LocalFolder, RemoteFolder, open_folder, url_of
from tasks.sources.land import land_range, landed_for
from tasks.store.files import Home

EVENTS = """
name: events
description: Events.
first_day: 2020-01-01
closed: {days: [2020-01-02]}
tables:
  events:
    file: "{ds}/*.csv.gz"
    columns: [{name: id, type: VARCHAR}, {name: value, type: INTEGER}]
"""
FILES = {"2020-01-01/b.csv.gz": "1,1\n", "2020-01-01/a.csv.gz": "2,x\n3,3\n", "2020-01-03/a.csv.gz": "4,4\n"}
URL = "memory://bucket/shop"


def packed(lines: str) -> bytes:
    import gzip

    return gzip.compress(f"id,value\n{lines}".encode(), mtime=0)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket in memory with the files of three days, one of which is closed."""
    monkeypatch.setitem(folders.PROTOCOLS, "memory", {})
    store = fsspec.filesystem("memory")
    for name, lines in FILES.items():
        store.pipe_file(f"/bucket/shop/{name}", packed(lines))
    store.pipe_file("/bucket/shopping/2020-01-01/a.csv.gz", b"of another folder")
    yield store
    store.rm("/bucket", recursive=True)


def source(tmp_path: Path, location: str | Path) -> FileSource:
    (tmp_path / "events.yaml").write_text(EVENTS)
    return FileSource(load_dataset("events", tmp_path), open_folder(location, Home(tmp_path / "home")))


def fetched(monkeypatch: pytest.MonkeyPatch, bucket: Any) -> list[str]:
    """Record what is fetched."""
    names: list[str] = []
    get_file = type(bucket).get_file

    def counted(self: Any, path: str, *args: Any, **options: Any) -> None:
        names.append(path)
        get_file(self, path, *args, **options)

    monkeypatch.setattr(type(bucket), "get_file", counted)
    return names


def test_a_bucket_lands_as_a_folder_with_the_same_files(bucket: Any, tmp_path: Path) -> None:
    for name, lines in FILES.items():
        (tmp_path / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / name).write_bytes(packed(lines))
    landed = []
    for location in (URL, tmp_path / "files"):
        home = Home(tmp_path / f"home{len(landed)}")
        land_range(source(tmp_path, location), home, date(2020, 1, 1), date(2020, 1, 3))
        parts = landed_for(source(tmp_path, location), home, date(2020, 1, 1), date(2020, 1, 3))
        landed.append([(part.table, part.ds, part.sha256, part.rows) for part in parts])
    assert landed[0] == landed[1]
    assert [rows for table, _, _, rows in landed[0] if table == "events"] == [2, 0, 1]


def test_an_object_is_fetched_once_per_version(bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = fetched(monkeypatch, bucket)
    day = date(2020, 1, 3)
    before = source(tmp_path, URL).inputs("events", day)
    assert source(tmp_path, URL).inputs("events", day) == before
    source(tmp_path, URL).read(day, ["events"])
    assert names == ["/bucket/shop/2020-01-03/a.csv.gz"]
    bucket.pipe_file("/bucket/shop/2020-01-03/a.csv.gz", packed("4,4\n"))
    assert source(tmp_path, URL).inputs("events", day) == before, "the same content, however often it is written"
    bucket.pipe_file("/bucket/shop/2020-01-03/a.csv.gz", packed("4,5\n"))
    assert source(tmp_path, URL).inputs("events", day) != before
    assert source(tmp_path, URL).read(day, ["events"])["events"]["value"].to_pylist() == [5]


def test_a_listing_without_end_is_an_error(bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MOST_OBJECTS", 3)
    assert source(tmp_path, URL).inputs("events", date(2020, 1, 3)), "as many as there may be"
    monkeypatch.setattr(folders, "MOST_OBJECTS", 2)
    with pytest.raises(
        SourceError, match=r"shop: cannot be listed: more than 2 objects; name the folder in the bucket"
    ):
        source(tmp_path, URL).inputs("events", date(2020, 1, 3))


def test_a_copy_that_is_used_is_not_old(bucket: Any, tmp_path: Path) -> None:
    source(tmp_path, URL).inputs("events", date(2020, 1, 3))
    (copy,) = (tmp_path / "home" / "cache" / "objects").iterdir()
    os.utime(copy, (0, 0))
    source(tmp_path, URL).inputs("events", date(2020, 1, 3))
    assert copy.stat().st_mtime > 0


def test_a_damaged_copy_is_fetched_again(bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = fetched(monkeypatch, bucket)
    day = date(2020, 1, 3)
    before = source(tmp_path, URL).inputs("events", day)
    (copy,) = (tmp_path / "home" / "cache" / "objects").glob("*/*.csv.gz")
    copy.write_bytes(b"\0" * copy.stat().st_size)
    assert source(tmp_path, URL).inputs("events", day) == before
    assert len(names) == 2


def test_an_object_that_is_replaced_while_it_is_fetched_is_an_error(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = source(tmp_path, URL).folder
    assert folder.find("2020-01-03/*.csv.gz") == ["2020-01-03/a.csv.gz"]
    bucket.pipe_file("/bucket/shop/2020-01-03/a.csv.gz", packed("4,5\n"))
    with pytest.raises(SourceError, match=r"^memory://bucket/shop: 2020-01-03/a.csv.gz cannot be fetched: it was rep"):
        folder.fetch("2020-01-03/a.csv.gz")
    assert not list((tmp_path / "home" / "cache" / "objects").glob("*/*.csv.gz"))


def test_an_error_names_the_object_and_not_the_copy(bucket: Any, tmp_path: Path) -> None:
    bucket.pipe_file("/bucket/shop/2020-01-03/a.csv.gz", b"torn")
    with pytest.raises(SourceError, match=r"^memory://bucket/shop/2020-01-03/a.csv.gz: cannot be unpacked"):
        source(tmp_path, URL).read(date(2020, 1, 3), ["events"])
    with pytest.raises(SourceError, match=r"^memory://bucket/shop/2020-01-05/\*.csv.gz: no file for Sunday 2020-01-05"):
        source(tmp_path, URL).inputs("events", date(2020, 1, 5))
    with pytest.raises(SourceError, match=r"^memory://bucket/none/: no such folder; expected the files of events"):
        source(tmp_path, "memory://bucket/none").inputs("events", date(2020, 1, 1))


def test_names_with_dots_lead_nowhere(bucket: Any, tmp_path: Path) -> None:
    bucket.store["/bucket/shop/2020-01-03/../../../../../outside.csv.gz"] = bucket.store[
        "/bucket/shop/2020-01-03/a.csv.gz"
    ]
    folder = open_folder(URL, Home(tmp_path / "home"))
    for name in folder.find("**/*.csv.gz"):
        assert folder.fetch(name).resolve().is_relative_to(tmp_path / "home" / "cache" / "objects")


def test_patterns_fit_the_names_that_they_fit_in_a_folder(bucket: Any, tmp_path: Path) -> None:
    names = ["a.csv", "b.CSV", ".c.csv", "x/a.csv", "x/y/a.csv", "x/y/b.csv", "x-1.csv", "x/[1].csv"]
    for name in names:
        (tmp_path / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / name).write_bytes(b"-")
        bucket.pipe_file(f"/bucket/names/{name}", b"-")
    local, remote = LocalFolder(tmp_path / "files"), RemoteFolder("memory://bucket/names/", tmp_path / "cache")
    for pattern in ("*.csv", "*/*.csv", "x/*.csv", "**/a.csv", "x/**/*.csv", "x*/a.csv", "a.csv", "none.csv", "x"):
        assert remote.find(pattern) == local.find(pattern), pattern


@pytest.mark.parametrize(
    ("location", "url"),
    [
        (Path("s3://bucket/a b"), "s3://bucket/a b"), ("s3://bucket", "s3://bucket"), (Path("/data/s3"), None),
        (Path("../data"), None), ("c:/data", None),
    ],
)  # fmt: skip
def test_a_url_is_told_from_a_path(location: str | Path, url: str | None) -> None:
    assert url_of(location) == url


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("s3://key:secret@bucket/shop", "found a URL with a user or options in it"),
        ("s3://bucket/shop?secret=x", "found a URL with a user or options in it"),
        ("http://host/secret", r"^http://: cannot be read here; expected a folder, or a URL like s3://bucket"),
    ],
)
def test_a_url_with_a_password_or_of_another_kind_is_refused(location: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        open_folder(location, Home(tmp_path))
    assert "secret" not in str(caught.value)


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to(path.parent / "none")


@pytest.mark.parametrize(
    ("make", "said"),
    [(os.mkfifo, "a named pipe"), (a_link_to_nothing, "a link that leads nowhere")],
)
def test_what_is_no_file_is_called_what_it_is(tmp_path: Path, make: Callable[[Path], None], said: str) -> None:
    make(tmp_path / "2020-01-01.csv")
    with pytest.raises(SourceError, match=f"2020-01-01.csv: found {said}, expected a file"):
        LocalFolder(tmp_path).find("2020-01-01.csv")


def test_a_pattern_is_for_files_and_refuses_pipes(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file.csv").touch()
    assert LocalFolder(tmp_path).find("*.csv") == ["file.csv"]
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(SourceError, match=r"pipe\.csv: found a named pipe"):
        LocalFolder(tmp_path).find("*.csv")
