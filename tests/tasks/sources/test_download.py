"""Downloading against a local server that breaks off, changes its mind or sends something else."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from rich.console import Console

from tasks.errors import SourceError
from tasks.sources.datasets import Dataset, load_dataset
from tasks.sources.download import ATTEMPTS, download, fetch, fetch_dataset
from tasks.sources.files.file_source import FileSource
from tasks.sources.files.folders import LocalFolder
from tasks.sources.land import land_range
from tasks.store.files import Home

BODY = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(BODY).hexdigest()
QUIET = Console(file=io.StringIO())


class Server(ThreadingHTTPServer):
    """Serves `body`; breaks off after `break_after` bytes as often as told."""

    body = BODY
    etag = '"one"'
    ranges = True
    breaks = 0
    break_after = 100_000
    statuses: list[int]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses = []
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/data.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        server, asked = self.server, self.headers.get("Range")
        server.asked.append(asked)
        if server.statuses:
            self.send_response(server.statuses.pop(0))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        first = 0
        if server.ranges and asked and self.headers.get("If-Range") == server.etag:
            first = int(asked.removeprefix("bytes=").removesuffix("-"))
        rest = server.body[first:]
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(server.body) - 1}/{len(server.body)}")
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("ETag", server.etag)
        self.end_headers()
        if server.breaks:
            server.breaks -= 1
            rest = rest[: server.break_after]
        self.wfile.write(rest)
        self.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def get(server: Server, target: Path, sha256: str = SHA256) -> Path:
    return fetch(server.url, target, sha256, console=QUIET, wait_seconds=0.001)


def test_a_file_is_downloaded_once_and_nothing_else_is_left(server: Server, tmp_path: Path) -> None:
    target = get(server, tmp_path / "data.zip")
    assert target.read_bytes() == BODY
    assert list(tmp_path.iterdir()) == [target]
    get(server, target)
    assert server.asked == [None], "it is there already"


def test_a_connection_that_drops_is_resumed_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.breaks = 3
    assert get(server, tmp_path / "data.zip").read_bytes() == BODY
    starts = [int((asked or "bytes=0-")[6:-1]) for asked in server.asked]
    assert starts == [0, 100_000, 200_000, 300_000]


def test_a_later_call_goes_on_from_what_an_earlier_one_kept(server: Server, tmp_path: Path) -> None:
    server.breaks, server.break_after = ATTEMPTS, 10_000
    with pytest.raises(SourceError, match=rf"{ATTEMPTS * 10_000} bytes are kept in .*data.zip.part"):
        get(server, tmp_path / "data.zip")
    server.asked.clear()
    assert get(server, tmp_path / "data.zip").read_bytes() == BODY
    assert server.asked == [f"bytes={ATTEMPTS * 10_000}-"]


@pytest.mark.parametrize("change", ["etag", "ranges"])
def test_a_changed_file_or_a_server_without_ranges_starts_over(server: Server, tmp_path: Path, change: str) -> None:
    (tmp_path / "data.zip.part").write_bytes(b"old" * 1000)
    (tmp_path / "data.zip.part.etag").write_text('"zero"' if change == "etag" else server.etag)
    server.ranges = change != "ranges"
    assert get(server, tmp_path / "data.zip").read_bytes() == BODY


def test_a_part_of_unknown_origin_is_not_continued(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.zip.part").write_bytes(b"x" * 50)
    assert get(server, tmp_path / "data.zip").read_bytes() == BODY
    assert server.asked == [None]


def test_a_finished_part_is_taken_without_asking(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.zip.part").write_bytes(BODY)
    assert get(server, tmp_path / "data.zip").read_bytes() == BODY
    assert server.asked == []


def test_a_busy_server_is_asked_again_and_a_refusal_is_final(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    assert get(server, tmp_path / "data.zip").read_bytes() == BODY
    server.statuses = [404]
    with pytest.raises(SourceError, match=r"download failed \(.*404.*put the file there by hand"):
        get(server, tmp_path / "other.zip")
    assert len(server.asked) == 4


def test_a_wrong_checksum_keeps_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"found sha256 {SHA256} .*, expected {'0' * 64}; .*thrown away"):
        get(server, tmp_path / "data.zip", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_server_out_of_reach_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"127.0.0.1:1/x: download failed \(.*; 0 bytes are kept"):
        fetch("http://127.0.0.1:1/x", tmp_path / "x", SHA256, console=QUIET, wait_seconds=0.001)


# --- the workbook

STRINGS = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
STRINGS += ["85123A", 'A "red", box', "UK", "C536379", "two\nlines"]
ROWS = [
    [*((column, "s", n) for n, column in enumerate("ABCDEFGH"))],
    [("A", "n", 536365), ("B", "s", 8), ("C", "s", 9), ("D", "n", 6), ("E", "n", 40513.351388888892),
     ("F", "n", 2.5499999999999998), ("G", "n", 17850), ("H", "s", 10)],
    [("A", "s", 11), ("B", "n", 22745), ("D", "n", -1), ("E", "n", 40514), ("F", "n", 18), ("H", "s", 10)],
    [("A", "n", 536370), ("B", "n", 22745), ("C", "s", 12), ("D", "n", 1), ("E", "n", 40513.999988425923),
     ("F", "n", 0), ("H", "s", 10)],
]  # fmt: skip
NAMESPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def archive(rows: list[list[tuple[str, str, float]]] = ROWS, name: str = "Online Retail.xlsx") -> bytes:
    """Return a zip with an Excel workbook in it."""
    strings = "".join(f"<si><t>{text}</t></si>" for text in STRINGS)
    cells = "".join(
        f'<row r="{n}">' + "".join(f'<c r="{c}{n}" t="{t}"><v>{v}</v></c>' for c, t, v in row) + "</row>"
        for n, row in enumerate(rows, 1)
    )
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w") as workbook:
        workbook.writestr("xl/sharedStrings.xml", f"<sst {NAMESPACE}>{strings}</sst>")
        workbook.writestr(
            "xl/worksheets/sheet1.xml", f"<worksheet {NAMESPACE}><sheetData>{cells}</sheetData></worksheet>"
        )
    with zipfile.ZipFile(outer, "w") as result:
        result.writestr(name, inner.getvalue())
    return outer.getvalue()


def retail(server: Server, content: bytes, rows: int = 3) -> Dataset:
    """Return the declaration of Online Retail with its home on the local server."""
    server.body = content
    dataset = load_dataset("online_retail")
    assert dataset.download is not None
    sha256 = hashlib.sha256(content).hexdigest()
    home = dataset.download.model_copy(update={"url": server.url, "sha256": sha256, "rows": rows})
    return dataset.model_copy(update={"download": home})


def test_the_workbook_becomes_a_csv_per_day_that_can_be_landed(server: Server, tmp_path: Path) -> None:
    dataset, folder = retail(server, archive()), tmp_path / "files"
    assert fetch_dataset(dataset, folder, console=QUIET) == 2
    header = ",".join(STRINGS[:8])
    assert (folder / "2010-12-01.csv").read_text().splitlines() == [
        header,
        '536365,85123A,"A ""red"", box",6,2010-12-01 08:26:00,2.55,17850,UK',
        "536370,22745,two lines,1,2010-12-01 23:59:59,0.0,,UK",
    ]
    assert (folder / "2010-12-02.csv").read_text().splitlines() == [
        header, "C536379,22745,,-1,2010-12-02 00:00:00,18.0,,UK",
    ]  # fmt: skip
    day = date(2010, 12, 1)
    result = land_range(FileSource(dataset, LocalFolder(folder)), Home(tmp_path), day, day)
    assert result.rows == {"lines": 2, "_rejects": 0}


@pytest.mark.parametrize(
    ("content", "rows", "message"),
    [
        (archive(), 4, "found 3 rows in 'Online Retail.xlsx', expected 4"),
        (archive(name="Other.xlsx"), 3, r"cannot read 'Online Retail.xlsx' in it \(.*no item named"),
        (
            archive(ROWS[1:]),
            3,
            r"in it \(its first row is another header\); expected an Excel workbook with the columns InvoiceNo",
        ),
        (b"<html>Moved</html>", 3, "cannot read 'Online Retail.xlsx' in it .*not a zip"),
    ],
)
def test_another_workbook_leaves_no_folder(
    server: Server, tmp_path: Path, content: bytes, rows: int, message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        fetch_dataset(retail(server, content, rows), tmp_path / "files", console=QUIET)
    assert not (tmp_path / "files").exists()


def test_a_folder_with_something_in_it_is_left_alone(server: Server, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(SourceError, match="not an empty folder; nothing was downloaded"):
        fetch_dataset(retail(server, archive()), tmp_path, console=QUIET)
    assert server.asked == []


def test_a_data_set_without_a_download_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"declares no download; get it from https://grouplens.org/\S+ and put"):
        download("ml_latest_small", tmp_path / "ml")
