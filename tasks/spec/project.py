"""Where the project's own files lie: its root, its SQL, and the pipeline files."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tasks.errors import SpecError

PROJECT = Path(__file__).resolve().parents[2]
TRANSFORMS = PROJECT / "transforms"
PREFIX = __name__.partition("tasks.")[0]
"""What stands before the names of our packages: nothing here, `matinee.` in an installed wheel (ADR 21)."""

PIPELINE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def pipelines_folder() -> Path:
    """Locate the folder of pipeline files: `MATINEE_PIPELINES`, or the project's `pipelines/`.

    Raises:
        SpecError: there is none; no pipelines at all would be a quiet end of all of them.
    """
    folder = Path(os.environ.get("MATINEE_PIPELINES") or PROJECT / "pipelines").resolve()
    if not folder.is_dir():
        raise SpecError(f"{folder}: no such folder of pipeline files; create it, or correct MATINEE_PIPELINES")
    return folder


def pipeline_names() -> list[str]:
    """List the pipelines that there are files of, by name; files with other names are none."""
    stems = (path.stem for path in pipelines_folder().glob("*.yaml"))
    return sorted(stem for stem in stems if PIPELINE_NAME.fullmatch(stem))


def pipeline_path(name_or_path: str | Path) -> Path:
    """Locate the file of a pipeline given by name (`streaming`) or by path."""
    path = Path(name_or_path)
    return path if path.suffix in {".yaml", ".yml"} else pipelines_folder() / f"{name_or_path}.yaml"


def pipeline_name(name_or_path: str | Path) -> str:
    """Name a pipeline given by name or by path; its file need not exist."""
    return pipeline_path(name_or_path).stem
