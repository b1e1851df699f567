"""Fetching a data set from its official home: with progress, resumed where it broke off, checked, all or nothing.

An unfinished download is `<name>.part`, with the server's mark of the version in `<name>.part.etag`; it is
continued by an HTTP range request, or begun anew if the server's file has changed or ranges are not offered.
Only bytes with the declared sha256 get the final name.
"""

from __future__ import annotations

from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from tasks.errors import SourceError, first_line
from tasks.sources.datasets import Dataset, load_dataset
from tasks.sources.excel import write_days
from tasks.store.atomic import atomic_dir
from tasks.store.files import sha256_file

ATTEMPTS = 6
TIMEOUT = httpx.Timeout(30.0)
# Any other status, such as 404, would be the same a second later.
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}


class _BrokenOffError(Exception):
    """The transfer ended early, or the server asked to come back later."""


def download(name: str, folder: Path, *, console: Console | None = None) -> int:
    """Download the data set declared by `transforms/datasets/<name>.yaml`; see `fetch_dataset`."""
    return fetch_dataset(load_dataset(name), folder, console=console)


def fetch_dataset(dataset: Dataset, folder: Path, *, console: Console | None = None) -> int:
    """Download a data set and lay its files out in `folder`, as `matinee land` expects them.

    Args:
        dataset: a declaration with `download`.
        folder: must not exist, or be empty; the archive stays beside it as `<dataset>.zip`.
        console: where progress is shown.

    Returns:
        Number of files written.

    Raises:
        SourceError: the data set has no declared home, the folder holds something, or the download failed.
    """
    home = dataset.download
    if home is None:
        raise SourceError(
            f"data set {dataset.name} declares no download; get it from {dataset.homepage or 'its owner'} "
            f"and put its files in {folder}"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SourceError(f"{folder}: not an empty folder; nothing was downloaded; give another one, or empty it")
    archive = folder.parent / f"{dataset.name}.zip"
    fetch(home.url, archive, home.sha256, console=console)
    with atomic_dir(folder) as temporary:
        return write_days(archive, dataset, temporary)


def fetch(url: str, target: Path, sha256: str, *, console: Console | None = None, wait_seconds: float = 1.0) -> Path:
    """Download a file; one that is there already with the right checksum is kept.

    Args:
        url: what to download.
        target: where to put it.
        sha256: checksum it must have.
        console: where progress is shown; default: standard error.
        wait_seconds: pause before the second attempt; it doubles from attempt to attempt.

    Raises:
        SourceError: the server refuses, is out of reach after several attempts, or sends something else.
    """
    if target.is_file() and sha256_file(target) == sha256:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    # Killed between its last byte and its name.
    if part.is_file() and sha256_file(part) == sha256:
        return _accept(url, part, target, sha256)
    retrying = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential_jitter(multiplier=wait_seconds, max=30 * wait_seconds, jitter=wait_seconds),
        retry=retry_if_exception(lambda error: isinstance(error, httpx.TransportError | _BrokenOffError)),
        reraise=True,
    )
    try:
        with _bar(console) as bar, httpx.Client(follow_redirects=True, timeout=TIMEOUT) as client:
            retrying(_fetch_rest, client, url, part, bar)
    except (httpx.HTTPError, httpx.InvalidURL, _BrokenOffError) as error:
        kept = part.stat().st_size if part.exists() else 0
        raise SourceError(
            f"{url}: download failed ({first_line(error)}); {kept} bytes are kept in {part} and "
            "the next attempt goes on from there; check the network, or put the file there by hand"
        ) from None
    return _accept(url, part, target, sha256)


def _accept(url: str, part: Path, target: Path, sha256: str) -> Path:
    actual = sha256_file(part)
    _mark(part).unlink(missing_ok=True)
    if actual != sha256:
        size = part.stat().st_size
        part.unlink()
        raise SourceError(
            f"{url}: found sha256 {actual} ({size} bytes), expected {sha256}; the download was thrown away; "
            "try again; if that does not help, the file has changed at its home: compare, and declare its new checksum"
        )
    part.rename(target)
    return target


def _fetch_rest(client: httpx.Client, url: str, part: Path, bar: Progress) -> None:
    """Append what is missing of a file to `part`, or all of it if the server's file is another one."""
    have = part.stat().st_size if part.exists() else 0
    mark = _mark(part).read_text(encoding="utf-8") if have and _mark(part).exists() else ""
    # Ranges and the checksum are of the file's bytes, not of a compressed transfer of them.
    headers = {"Accept-Encoding": "identity"}
    if have and mark:
        # If-Range: a server whose file has changed sends all of it, instead of a rest that belongs to another.
        headers |= {"Range": f"bytes={have}-", "If-Range": mark}
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code in _TRY_AGAIN:
            raise _BrokenOffError(f"HTTP {response.status_code}")
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            _mark(part).unlink(missing_ok=True)
            raise _BrokenOffError("the server has nothing after what was downloaded; starting over")
        response.raise_for_status()
        resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            _mark(part).unlink(missing_ok=True)
            raise _BrokenOffError("the server sent another range than the one asked for; starting over")
        # Before the bytes, which can break off at any time: a part without its mark could not be continued.
        _mark(part).write_text(_version(response), encoding="utf-8")
        _receive(response, part, have if resumed else 0, bar)


def _receive(response: httpx.Response, part: Path, have: int, bar: Progress) -> None:
    length = response.headers.get("Content-Length")
    total = have + int(length) if length and length.isdecimal() else None
    task = bar.add_task(part.name.removesuffix(".part"), total=total, completed=have)
    try:
        with part.open("ab" if have else "wb") as stream:
            for chunk in response.iter_raw():  # unbuffered: what arrived before a break is kept
                stream.write(chunk)
                have += len(chunk)
                bar.update(task, completed=have)
    finally:
        bar.stop_task(task)
    if total is not None and have != total:
        raise _BrokenOffError(f"received {have} of {total} bytes")


def _version(response: httpx.Response) -> str:
    """Identify the server's file for a range request: by a strong ETag, by its date, or not at all."""
    # A weak ETag (W/) promises an equal meaning, not equal bytes: parts of two files must not be joined.
    tag: str = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")


def _mark(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _bar(console: Console | None) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console or Console(stderr=True),
    )
