"""A state folder whose day has been run, and ways to damage it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.sealed import sealed
from tasks.operations.verification.faults import DiskFault
from tasks.store.files import Home

Damages = dict[str, tuple[Callable[[Home], object], str]]
"""By name: what is done to a state folder, and what a fault must say, as a pattern."""


def names_below(folder: Path) -> set[str]:
    """Paths of all files and folders below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def rewrite(path: Path, **values: object) -> None:
    """Change keys of a JSON file by a hand that knows of the checksum."""
    path.write_text(json.dumps(sealed(json.loads(path.read_text()) | values)))


def partition(home: Home, day: str = "2011-01-10") -> Path:
    """The current file of a landed day of the shop's lines."""
    (path,) = (home.root / "landing").glob(f"*/lines/ds={day}/*.parquet")
    return path


def version(home: Home) -> Path:
    """The folder of the one version."""
    (folder,) = (home.registry("bought") / "versions").iterdir()
    return folder


def alias(home: Home) -> Path:
    """The file of the alias."""
    return home.registry("bought") / "aliases" / "champion.json"


def texts(faults: Sequence[DiskFault]) -> list[str]:
    """The faults, as a person reads them."""
    return [f"{fault.part}: {fault.place} {fault.problem} | {fault.next}" for fault in faults]


def assert_named(faults: Sequence[DiskFault], said: str) -> None:
    """Check that one of the faults says so, and that each says what to do."""
    assert any(re.search(said, text) for text in texts(faults)), texts(faults)
    assert all(fault.next for fault in faults)
