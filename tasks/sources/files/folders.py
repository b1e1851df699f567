"""Where a data set's files lie: in a folder of this machine, or in a bucket, from which they are fetched when read."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from tasks.errors import DamagedFile, MatineeError, SourceError, first_line
from tasks.store.atomic import atomic_dir
from tasks.store.files import Home, checked_file, digest, read_digests, sha256_file, write_digests

PROTOCOLS: dict[str, dict[str, Any]] = {
    "s3": {"use_listings_cache": False, "config_kwargs": {
        "connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 4, "mode": "standard"},
    }},
}  # fmt: skip
"""Options of the file systems that can be read: waits are bounded, and what is listed is what is there now."""
MOST_OBJECTS = 200_000
"""Below a URL: one listing of them is held in memory, and takes a request for each thousand."""
_URL = re.compile(r"([a-z][a-z0-9+]+):/{1,2}([^/].*)")
_LONGEST_SUFFIX = 30
# Of file systems without tags of content; which of them one has depends on it.
_TIMES = ("LastModified", "created", "mtime")
_WORDS = {
    "NoCredentialsError": "found no credentials; expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to be set",
    "PermissionError": "refused: the credentials in the environment are wrong, or may not read it",
    "EndpointConnectionError": "no answer; is AWS_ENDPOINT_URL right, and the server up?",
    "ConnectTimeoutError": "no answer; is AWS_ENDPOINT_URL right, and the server up?",
}
"""What errors of file systems mean, by the names of their classes: botocore's are no OSErrors."""


class Folder(Protocol):
    """Files by their names: paths below the folder, with slashes."""

    def exists(self) -> bool:
        """Tell whether it is there."""

    def find(self, pattern: str) -> list[str]:
        """List the files whose names fit a pattern, in the order of their paths."""

    def sha256(self, name: str) -> str:
        """Digest the content of a file."""

    def fetch(self, name: str) -> Path:
        """Locate a file for reading."""

    def place(self, name: str) -> str:
        """Say where a file is, for people."""


@dataclass(frozen=True)
class LocalFolder:
    """A folder of this machine."""

    path: Path

    def exists(self) -> bool:
        """Tell whether it is there."""
        return self.path.is_dir()

    def find(self, pattern: str) -> list[str]:
        """List the files whose names fit a pattern, in the order of their paths.

        Raises:
            SourceError: one is a link that leads out of the folder, or no file at all, such as a pipe.
        """
        found = self.path.glob(pattern) if "*" in pattern else [self.path / pattern]
        # Folders are passed over: a bucket has none. A link is one of those that exist, also where it leads nowhere.
        paths = sorted(path for path in found if not path.is_dir() and (path.exists() or path.is_symlink()))
        for path in paths:
            if not path.is_file():
                raise SourceError(
                    f"{path}: found {_kind_of(path)}, expected a file; put the file there, or take this away"
                )
            # A link could let a file from anywhere be landed, and its content quoted in reports.
            if not path.resolve().is_relative_to(self.path.resolve()):
                raise SourceError(f"{path}: a link that leads out of the folder of the data; copy the file into it")
        return [path.relative_to(self.path).as_posix() for path in paths]

    def sha256(self, name: str) -> str:
        """Digest the content of a file."""
        return sha256_file(self.path / name)

    def fetch(self, name: str) -> Path:
        """Locate a file for reading."""
        return self.path / name

    def place(self, name: str) -> str:
        """Say where a file is, for people."""
        return str(self.path / name)


def _kind_of(path: Path) -> str:
    """Say what a path is that is no file: reading a pipe would wait for somebody who writes."""
    if not path.exists():
        return "a link that leads nowhere"
    mode = path.stat().st_mode
    kinds = {"a named pipe": stat.S_ISFIFO, "a socket": stat.S_ISSOCK}
    return next((kind for kind, fits in kinds.items() if fits(mode)), "a device")


class RemoteFolder:
    """Objects below a URL, which are listed once and fetched once per version of their content."""

    def __init__(self, url: str, cache: Path) -> None:
        """Take a URL like s3://bucket/prefix, and the folder that fetched objects are kept in."""
        self.url, self.cache = url.rstrip("/"), cache

    def exists(self) -> bool:
        """Tell whether there is any object."""
        return bool(self._objects)

    def find(self, pattern: str) -> list[str]:
        """List the objects whose names fit a pattern, in the order of their paths."""
        if "*" not in pattern:
            return [pattern] if pattern in self._objects else []
        wanted = PurePosixPath(pattern).parts
        return sorted((n for n in self._objects if _fits(PurePosixPath(n).parts, wanted)), key=PurePosixPath)

    def sha256(self, name: str) -> str:
        """Digest the content of an object."""
        path = self.fetch(name)
        return read_digests(path.parent)[path.name]

    def fetch(self, name: str) -> Path:
        """Fetch an object, unless this version of it has been.

        Raises:
            SourceError: it cannot be fetched, or was replaced meanwhile.
        """
        info = self._objects[name]
        suffix = "".join(PurePosixPath(name).suffixes[-2:])
        folder = self.cache / digest([self.url, name, _version(info)])
        file = f"object{suffix if len(suffix) <= _LONGEST_SUFFIX else ''}"
        with suppress(DamagedFile, MatineeError, OSError):
            # What was damaged on the disk since, or is not there yet, is fetched.
            kept = checked_file(folder, file)
            os.utime(folder)  # by which `matinee gc` tells what is still used
            return kept
        with self._plain_errors(f"{name} cannot be fetched"), atomic_dir(folder) as temporary:
            if info["size"] > (free := shutil.disk_usage(temporary).free):
                raise SourceError(f"it has {info['size']:,} bytes, and {free:,} are free for {self.cache}")
            self._file_system.get_file(info["name"], str(temporary / file))
            now = self._file_system.info(info["name"])
            if _version(now) != _version(info) or (temporary / file).stat().st_size != info["size"]:
                raise SourceError("it was replaced while it was fetched; run this step again")
            write_digests(temporary)
        return folder / file

    def place(self, name: str) -> str:
        """Say where an object is, for people."""
        return f"{self.url}/{name}"

    @cached_property
    def _file_system(self) -> Any:
        import fsspec

        protocol = self.url.partition("://")[0]
        try:
            return fsspec.filesystem(protocol, skip_instance_cache=True, **PROTOCOLS[protocol])
        except ImportError as error:
            raise SourceError(f"{first_line(error)} (a package that is not installed)") from None

    @cached_property
    def _objects(self) -> dict[str, dict[str, Any]]:
        with self._plain_errors("cannot be listed"):
            root = self._file_system._strip_protocol(self.url).rstrip("/")
            try:
                # One more than there may be, so that the listing of a whole bucket ends, and is told from what is read.
                found = self._file_system.find(root, detail=True, max_items=MOST_OBJECTS + 1)
            except FileNotFoundError:
                bucket = root.partition("/")[0]
                if "/" in root.strip("/") and self._file_system.exists(bucket):
                    return {}
                raise SourceError(f"there is no bucket {bucket}") from None
            if len(found) > MOST_OBJECTS:
                raise SourceError(
                    f"more than {MOST_OBJECTS:,} objects; name the folder in the bucket that has the files"
                )
            return {path.removeprefix(root).lstrip("/"): info | {"name": path} for path, info in found.items()}

    @contextmanager
    def _plain_errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            name = type(error).__name__
            said = str(error) if isinstance(error, SourceError) else f"{name}: {first_line(error)}"
            said = f"{_WORDS[name]} ({first_line(error)})" if name in _WORDS else said
            raise SourceError(f"{self.url}: {what}: {said}") from None


def open_folder(location: Path | str, home: Home) -> Folder:
    """Open a folder of this machine, or one by its URL.

    Args:
        location: a path, or a URL like s3://bucket/prefix.
        home: the state folder; what is fetched is kept in `cache/objects` below it.

    Raises:
        SourceError: a URL of another kind, or with a password.
    """
    url = url_of(location)
    if url is None:
        return LocalFolder(Path(location))
    protocol, _, rest = url.partition("://")
    if protocol not in PROTOCOLS:
        raise SourceError(f"{protocol}://: cannot be read here; expected a folder, or a URL like s3://bucket/folder")
    if "@" in rest.partition("/")[0] or "?" in rest:
        raise SourceError(
            f"{protocol}://: found a URL with a user or options in it; expected {protocol}://bucket/folder, and "
            "credentials and endpoint in the environment"
        )
    return RemoteFolder(url, home.root / "cache" / "objects")


def url_of(location: Path | str) -> str | None:
    """Tell the URL that was given in place of a path; None if it is a path."""
    # A command line's option makes a path of it, which has one slash where there were two.
    match = _URL.fullmatch(str(location))
    return f"{match[1]}://{match[2]}" if match else None


def _version(info: dict[str, Any]) -> list[str]:
    """Tell the versions of an object apart by what both a listing and the object's own answer have."""
    # Times only without a tag: a listing has them with fractions, or as seconds, where the object's answer has not.
    keys = ("ETag",) if info.get("ETag") else _TIMES
    values = (info.get(key, "") for key in (*keys, "size"))
    return [str(value.timestamp() if isinstance(value, datetime) else value) for value in values]


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Tell whether a path fits a pattern, part by part, as `Path.glob` does."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return _fits(parts, pattern[1:]) or (bool(parts) and _fits(parts[1:], pattern))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])
