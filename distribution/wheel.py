"""The build back end (PEP 517): packs the folders of this repository into a wheel, below one package (ADR 21, 36).

It needs nothing but Python, so a wheel is built offline, and writes the same bytes whenever and wherever it is run.
Whoever works on the code uses the clone itself: there is no editable wheel, whose imports could not be changed.
"""

from __future__ import annotations

import base64
import hashlib
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from tasks.runs.import_root import PACKAGES, with_root

CLONE = Path(__file__).resolve().parents[1]
ROOT = "matinee"
FOLDERS = ("transforms", "expectations", "pipelines", "docs")
"""Folders without code that are packed as they are."""
FILES = ("supervisord.conf",)
_NOT_OURS = frozenset({"__pycache__", "target", "logs"})


class UnsupportedOperation(Exception):  # noqa: N818 - PEP 517 names it
    """By which the front end knows that there is no source archive."""


def build_wheel(
    wheel_directory: str, config_settings: Mapping[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel, and return the name of its file.

    Raises:
        ValueError: a module imports ours in a way that cannot be changed; names file and line.
    """
    return write_wheel(CLONE, Path(wheel_directory))


def build_sdist(sdist_directory: str, config_settings: Mapping[str, Any] | None = None) -> str:
    """Refuse: the source is the repository."""
    raise UnsupportedOperation("matinee has no source archive: build the wheel in a clone, with `make wheel`")


def write_wheel(clone: Path, folder: Path) -> str:
    """Pack a clone into a wheel in a folder, and return the name of the file."""
    project = tomllib.loads((clone / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    information = f"{project['name']}-{project['version']}.dist-info"
    files = dict(packed(clone))
    files |= {f"{information}/licenses/{name}": (clone / name).read_bytes() for name in ("LICENSE", "NOTICE")}
    files[f"{information}/METADATA"] = _metadata(project, clone)
    files[f"{information}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: {__name__}\nRoot-Is-Purelib: true\nTag: py3-none-any\n".encode()
    )
    files[f"{information}/entry_points.txt"] = _entry_points(project)
    record = f"{information}/RECORD"
    files[record] = "".join([*map(_recorded, files, files.values()), f"{record},,\n"]).encode()
    name = f"{project['name']}-{project['version']}-py3-none-any.whl"
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            # The time of a file is 1980-01-01: that of the clone's would differ from clone to clone.
            entry = zipfile.ZipInfo(path)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return name


def packed(clone: Path) -> Iterator[tuple[str, bytes]]:
    """Yield what is installed, by path below `site-packages`, in order.

    Raises:
        ValueError: a module imports ours in a way that cannot be changed; names file and line.
    """
    for folder in (ROOT, *PACKAGES, *FOLDERS):
        below = "" if folder == ROOT else f"{ROOT}/"
        for path in sorted((clone / folder).rglob("*")):
            place = PurePosixPath(path.relative_to(clone).as_posix())
            if path.is_file() and not _NOT_OURS & set(place.parts) and not path.name.startswith("."):
                yield f"{below}{place}", _content(path, place)
    for name in FILES:
        yield f"{ROOT}/{name}", (clone / name).read_bytes()


def _content(path: Path, place: PurePosixPath) -> bytes:
    content = path.read_bytes()
    if path.suffix != ".py" or place.parts[0] in FOLDERS:
        return content
    try:
        return with_root(content, f"{ROOT}.")
    except ValueError as error:  # a syntax error is one, too
        raise ValueError(f"{place}: {error}") from None


def _metadata(project: Mapping[str, Any], clone: Path) -> bytes:
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"License-Expression: {project['license']}",
        "License-File: LICENSE",
        "License-File: NOTICE",
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {requirement}" for requirement in project["dependencies"]),
        "Description-Content-Type: text/markdown",
    ]
    readme = (clone / project["readme"]).read_text(encoding="utf-8")
    return ("\n".join(lines) + f"\n\n{readme}").encode()


def _entry_points(project: Mapping[str, Any]) -> bytes:
    groups = {"console_scripts": project["scripts"], **project.get("entry-points", {})}
    lines: list[str] = []
    for group, entries in groups.items():
        lines += [f"[{group}]", *(f"{name} = {ROOT}.{target}" for name, target in entries.items()), ""]
    return "\n".join(lines).encode()


def _recorded(path: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(content)}\n"
