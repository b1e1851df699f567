"""Files of a bucket on a server that speaks S3: landed as those of a folder, by what the environment says alone."""

from __future__ import annotations

import gzip
import logging
import os
import urllib.request
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tasks.errors import SourceError
from tasks.sources.datasets import load_dataset
from tasks.sources.files import folders
from tasks.sources.files.file_source import FileSource
from tasks.sources.files.folders import RemoteFolder, open_folder
from tasks.sources.land import land_range, landed_for
from tasks.store.files import Home

EVENTS = """
name: events
description: Events.
first_day: 2020-01-01
closed: {days: [2020-01-02]}
tables:
  events:
    file: "{ds}/**/*.csv.gz"
    key: [id]
    columns: [{name: id, type: VARCHAR}, {name: value, type: INTEGER}]
  items:
    file: items.csv
    static: true
    columns: [{name: id, type: VARCHAR}]
"""
FILES = {
    "items.csv": b"id\na\n",
    "2020-01-01/b.csv.gz": gzip.compress(b"id,value\n1,1\n"),
    "2020-01-01/late/a.csv.gz": gzip.compress(b"id,value\n2,x\n3,3\n"),
    "2020-01-03/a b+c=%20.csv.gz": gzip.compress(b"id,value\n3,3\n4,4\n"),
}
URL = "s3://bucket/shop"
START, END = date(2020, 1, 1), date(2020, 1, 3)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A server on this machine without any bucket, and an environment that names it and its user."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "anybody", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"), "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    call(settings["AWS_ENDPOINT_URL"], "reset")
    yield settings["AWS_ENDPOINT_URL"]
    running.stop()


def call(url: str, name: str, data: bytes = b"") -> None:
    request = urllib.request.Request(
        f"{url}/moto-api/{name}", data, {"Content-Type": "text/plain"}, method="POST"
    )  # fmt: skip
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


@pytest.fixture
def bucket(server: str) -> Any:
    """A client of a bucket with the files of three days, one of which is closed, and another folder's."""
    client = boto3.client("s3")
    client.create_bucket(Bucket="bucket")
    for name, content in FILES.items():
        client.put_object(Bucket="bucket", Key=f"shop/{name}", Body=content)
    client.put_object(Bucket="bucket", Key="shopping/2020-01-01/a.csv.gz", Body=b"of another folder")
    return client


def source(tmp_path: Path, location: str | Path = URL) -> FileSource:
    (tmp_path / "events.yaml").write_text(EVENTS)
    return FileSource(load_dataset("events", tmp_path), open_folder(location, Home(tmp_path / "home")))


def test_a_bucket_lands_as_a_folder_with_the_same_files(bucket: Any, tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / name).write_bytes(content)
    landed = []
    for location in (URL, tmp_path / "files"):
        home = Home(tmp_path / f"home{len(landed)}")
        land_range(source(tmp_path, location), home, START, END)
        parts = landed_for(source(tmp_path, location), home, START, END)
        landed.append([(part.table, part.ds, part.sha256, part.rows, part.rejects) for part in parts])
    assert landed[0] == landed[1]
    assert [rows for table, _, _, rows, _ in landed[0] if table == "events"] == [2, 0, 2]
    again = land_range(source(tmp_path, URL), Home(tmp_path / "home0"), START, END)
    assert again.landed == (), "what the bucket has is landed"


def test_a_listing_without_end_is_an_error(bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MOST_OBJECTS", 1)
    with pytest.raises(SourceError, match=r"cannot be listed: more than 1 objects; name the folder in the bucket"):
        source(tmp_path).inputs("items", START)


def test_a_versioned_bucket_lands_only_what_was_changed(bucket: Any, tmp_path: Path) -> None:
    bucket.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    home = Home(tmp_path / "landed")
    land_range(source(tmp_path), home, START, END)
    bucket.put_object(Bucket="bucket", Key="shop/items.csv", Body=b"id\na\nb\n")
    landed = land_range(source(tmp_path), home, START, END).landed
    assert [(part.table, part.ds, part.rows) for part in landed if part.new] == [("items", START, 2)]


def test_an_object_that_changes_while_it_is_read_is_an_error(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RemoteFolder(URL, tmp_path / "cache")
    get = folder._file_system.get_file

    def replaced(*args: Any, **options: Any) -> None:
        get(*args, **options)
        bucket.put_object(Bucket="bucket", Key="shop/items.csv", Body=b"id\nb\n")

    monkeypatch.setattr(folder._file_system, "get_file", replaced)
    with pytest.raises(SourceError, match=r"^s3://bucket/shop: items.csv cannot be fetched: it was replaced while"):
        folder.fetch("items.csv")
    monkeypatch.undo()
    assert not list((tmp_path / "cache").glob("*"))


def test_an_object_for_which_there_is_no_room_is_not_fetched(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RemoteFolder(URL, tmp_path / "cache")
    folder._objects["items.csv"]["size"] = 10**18
    with pytest.raises(
        SourceError, match=r"items.csv cannot be fetched: it has 1,0{3}(,000){5} bytes, and .* are free"
    ):
        folder.fetch("items.csv")


def test_buckets_that_cannot_be_read_are_errors_in_words(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceError, match=r"^s3://bucket/shop: cannot be listed: there is no bucket bucket$"):
        source(tmp_path).inputs("events", START)
    boto3.client("s3").create_bucket(Bucket="bucket")
    with pytest.raises(SourceError, match=r"^s3://bucket/shop/: no such folder; expected the files of events"):
        source(tmp_path).inputs("events", START)
    call(server, "reset-auth", b"0")
    with pytest.raises(SourceError, match=r"cannot be listed: refused: the credentials in the environment") as caught:
        source(tmp_path).inputs("events", START)
    call(server, "reset-auth", b"inf")
    assert "s3cret" not in str(caught.value)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(SourceError, match=r"found no credentials; expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS"):
        source(tmp_path).inputs("events", START)


def test_a_server_that_does_not_answer_is_an_error(
    monkeypatch: pytest.MonkeyPatch, server: str, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(SourceError, match=r"cannot be listed: no answer; is AWS_ENDPOINT_URL right"):
        RemoteFolder(URL, tmp_path).exists()
