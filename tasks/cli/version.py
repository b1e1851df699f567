"""The version of matinee that runs."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, version

from tasks.spec.project import TOOL


def version_of_matinee() -> str:
    """Read the version: of the clone that this is, or of the installed wheel."""
    declared = TOOL / "pyproject.toml"
    # A clone before a wheel: what is installed beside it is not what runs.
    if declared.is_file():
        return str(tomllib.loads(declared.read_text(encoding="utf-8"))["project"]["version"])
    try:
        return version("matinee")
    except PackageNotFoundError:
        return "unknown"
