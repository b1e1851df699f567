"""Where files lie: matinee's own (code, shared SQL, suites), and those of the project that it works on (ADR 36)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import SpecError
from tasks.store.env_file import read_env_file

TOOL = Path(__file__).resolve().parents[2]
"""Folder of matinee itself: the clone, or the package `matinee` of an installed wheel."""
TRANSFORMS = TOOL / "transforms"
"""The SQL project that comes with matinee."""
PREFIX = __name__.partition("tasks.")[0]
"""What stands before the names of our packages: nothing here, `matinee.` in an installed wheel (ADR 21)."""
VARIABLE = "MATINEE_PROJECT"

PIPELINE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class Layers:
    """A folder of matinee's, and the project's of the same name, whose files are added to it.

    Attributes:
        folders: matinee's, then the project's; one folder where matinee's own folder is the project.
    """

    folders: tuple[Path, ...]

    @property
    def own(self) -> Path:
        """The project's folder; it need not exist."""
        return self.folders[-1]

    def whole(self, path: str) -> Path:
        """Locate a file or folder that one of them has as a whole: the project's goes before matinee's."""
        return self.of(path).own / path

    def of(self, path: str) -> Layers:
        """The one of them that has a folder as a whole, alone."""
        return next((Layers((root,)) for root in reversed(self.folders) if (root / path).exists()), self)

    def below(self, path: str) -> Layers:
        """The same folder of each."""
        return Layers(tuple(folder / path for folder in self.folders))

    def glob(self, pattern: str) -> list[Path]:
        """List what both have, matinee's first."""
        return [path for folder in self.folders for path in sorted(folder.glob(pattern))]


def project() -> Path:
    """Locate the project: `MATINEE_PROJECT`, else the working directory if it has `pipelines/`, else matinee itself.

    The folders above the working directory are not looked at: the state, `./var`, would not be found from there either.
    Folders within matinee's own are no projects unless they are named: `tests/` and `bench/` have pipelines, too.

    Raises:
        SpecError: the variable names no folder.
    """
    if named := os.environ.get(VARIABLE):
        folder = Path(named).resolve()
        if not folder.is_dir():
            raise SpecError(f"{folder}: no such folder; create it, or correct {VARIABLE}")
        return folder
    here = Path.cwd()
    return here if (here / "pipelines").is_dir() and not here.is_relative_to(TOOL) else TOOL


def new_project() -> Path:
    """Locate the folder that gets a new pipeline: as `project`, but the working directory where that has none yet."""
    here = Path.cwd()
    begun = os.environ.get(VARIABLE) or here.is_relative_to(TOOL) or (here / "pipelines").is_dir()
    return project() if begun else here


def stack_command(what: str) -> str:
    """What people type to start or stop Airflow: `make up` in a clone, `matinee stack up` with a wheel."""
    return f"matinee stack {what}" if PREFIX else f"make {what}"


def take_environment() -> None:
    """Take the variables of the project's `.env` that the environment does not have.

    The `.env` of a clone belongs to the compose file, which needs other values than commands beside it.

    Raises:
        MatineeError: a line of the file is none.
    """
    if project() != TOOL:
        for name, value in read_env_file(project() / ".env").items():
            os.environ.setdefault(name, value)


def transforms() -> Layers:
    """Locate the SQL: matinee's, and what the project adds to it."""
    return _layers().below("transforms")


def expectations() -> Layers:
    """Locate the suites: matinee's, and what the project adds to them."""
    return _layers().below("expectations")


def learners() -> Path:
    """Locate the programs and files of models that were not trained by matinee; there need be none."""
    return project() / "learners"


def _layers() -> Layers:
    own = project()
    return Layers((TOOL,) if own == TOOL else (TOOL, own))


def pipelines_folder() -> Path:
    """Locate the folder of pipeline files: `MATINEE_PIPELINES`, or the project's `pipelines/`.

    Raises:
        SpecError: there is none; no pipelines at all would be a quiet end of all of them.
    """
    named = os.environ.get("MATINEE_PIPELINES")
    folder = Path(named).resolve() if named else project() / "pipelines"
    if not folder.is_dir():
        variable = "MATINEE_PIPELINES" if named else VARIABLE
        raise SpecError(f"{folder}: no such folder of pipeline files; create it, or correct {variable}")
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
