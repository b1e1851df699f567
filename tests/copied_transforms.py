"""A copy of the SQL project that a test may edit, and that is built instead of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tasks.runs import made_by, sql_lineage
from tasks.spec.project import TRANSFORMS, Layers


def copied_transforms(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the project below a folder, and let pipelines be built from the copy in this process."""
    copy = folder / "transforms"
    shutil.copytree(TRANSFORMS, copy, ignore=shutil.ignore_patterns("target", "logs"))
    for module in (sql_lineage, made_by):
        monkeypatch.setattr(module, "transforms", lambda: Layers((copy,)))
    return copy


def edit(file: Path, old: str, new: str) -> None:
    """Replace a text that the file has."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
