"""One run: a pipeline, a day, an attempt; and where its steps leave their results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar

from tasks.errors import FilesChanged, MatineeError, SpecError
from tasks.runs.made_by import FILE as MADE_BY_FILE
from tasks.runs.made_by import MadeBy, changed_since
from tasks.runs.narration import named
from tasks.spec.load import load_spec
from tasks.spec.project import pipeline_path
from tasks.spec.spec import Spec
from tasks.spec.windows import Windows, landing_start, last_whole_day, windows
from tasks.store.atomic import atomic_dir
from tasks.store.files import (
    Home,
    checked_file,
    default_home,
    has_digests,
    write_digests,
)
from tasks.store.records import Record

Result = TypeVar("Result", bound=Record)
NAMED = 5
"""Changed files that an error message names."""


@dataclass
class StepFolder:
    """Where a step writes, and what it has to say in the end."""

    path: Path
    result: Record | None = None


@dataclass(frozen=True)
class Run:
    """One attempt at one as-of day of one pipeline.

    Steps read and write below `dir` only; what they read of earlier steps is complete or absent.
    """

    spec: Spec
    home: Home
    as_of: date
    attempt: str
    data: Path | None = None

    @classmethod
    def create(
        cls,
        pipeline: str | Path,
        as_of: date,
        attempt: str,
        *,
        home: Home | None = None,
        data: Path | None = None,
    ) -> Run:
        """Load the pipeline file and check that it covers the day.

        Raises:
            SpecError: the file is wrong, or the day lies outside of what it covers.
        """
        spec = load_spec(pipeline_path(pipeline))
        if as_of > last_whole_day():
            raise SpecError(
                f"pipeline {spec.name!r}: found as-of day {as_of}, which is not over yet in UTC; "
                f"expected {last_whole_day()} or earlier"
            )
        if as_of < spec.start or (spec.end is not None and as_of > spec.end):
            raise SpecError(
                f"pipeline {spec.name!r} covers {spec.start} to {spec.end or 'yesterday'}; found as-of day {as_of}. "
                "Choose a day it covers, or change `start` and `end` in the pipeline file"
            )
        return cls(spec, home or default_home(), as_of, attempt, data)

    @property
    def dir(self) -> Path:
        """Folder of this attempt."""
        return self.home.run_dir(self.spec.name, self.as_of, self.attempt)

    @property
    def windows(self) -> Windows:
        """Cuts this run trains, validates and tests on."""
        return windows(self.spec, self.as_of)

    @property
    def landing_start(self) -> date:
        """First landed day this run depends on."""
        return landing_start(self.spec, self.as_of)

    def step_dir(self, step: str) -> Path:
        """Folder of a step's results; exists once the step is complete."""
        return self.dir / step

    def file(self, step: str, name: str) -> Path:
        """Locate a file that a step has left, for reading: its bytes are those that the step wrote.

        Raises:
            DamagedFile: they are others.
        """
        folder = self.step_dir(step)
        return checked_file(folder, name) if has_digests(folder) else folder / name

    @contextmanager
    def write(self, step: str) -> Iterator[StepFolder]:
        """Yield a temporary folder that becomes the step's folder, with its result in it, when the block ends.

        Raises:
            ValueError: the block ended without a result.
        """
        # As the step begins: what is edited while it works is not what it worked with.
        made_by = self.made_by
        with atomic_dir(self.step_dir(step)) as path:
            folder = StepFolder(path)
            yield folder
            # Without a result the folder would pass for a finished step with whoever only looks whether it is there.
            if folder.result is None:
                raise ValueError(f"the step {step!r} ended without a result")
            # Beside the result, not in it: equal inputs are to give equal results whatever code made them.
            made_by.write(path / MADE_BY_FILE)
            folder.result.write(path / "result.json")
            write_digests(path)

    @property
    def made_by(self) -> MadeBy:
        """The pipeline file, the code, the SQL and the dataset file as they are now."""
        return MadeBy.now(self.spec)

    def read(self, step: str, kind: type[Result]) -> Result:
        """Read what a finished step recorded.

        Raises:
            MatineeError: the step has not run in this attempt.
            FilesChanged: it ran by another pipeline file, other SQL or other code.
        """
        path = self.step_dir(step) / "result.json"
        if not path.exists():
            raise MatineeError(
                f"the step {step!r} of {self.spec.name} {self.as_of} has not run in the attempt "
                f"{self.attempt!r} (no {path}); run it first, or `matinee run` for all steps"
            )
        self.require_unchanged(step)
        return kind.read(path)

    def require_unchanged(self, step: str) -> None:
        """Refuse to go on from a step of this attempt that was made by other files; pass if it has not run.

        Raises:
            FilesChanged: naming the files, and what to do.
        """
        folder = self.step_dir(step)
        if not (folder / "result.json").exists():
            return
        # A sample by one definition and a model by another must not become one version.
        if changed := changed_since(folder, self.made_by):
            raise FilesChanged(
                f"changed since the step {step!r} of {self.spec.name} {self.as_of} ran in the attempt "
                f"{self.attempt!r}: {named(changed, NAMED)}. Results from before and after must not be "
                "mixed, so this run stops; runs that do not use what changed go on. Run the day again: `matinee run`, "
                "or clear its run in Airflow"
            )
