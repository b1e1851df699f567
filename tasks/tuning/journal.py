"""The journal of a search: a file for each training of each trial, which any worker writes once and all read.

A file is whole or not there, and named by what was trained: what is found is what would be made. Whoever goes on from
an interrupted search finds it, and trains the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import MatineeError
from tasks.store.atomic import atomic_file, locked
from tasks.store.files import digest
from tasks.tuning.space import Settings

if TYPE_CHECKING:
    from engine.arrays import Floats


_LAYOUT = {"values": "f8:1", "defined": "i4:1", "seconds": "f8:1", "stages": "f8:1"}


@dataclass(frozen=True)
class Training:
    """A training of a trial.

    Attributes:
        trial: its number, from 0.
        settings: what is trained.
        number: 0 for the trial itself, then those of the leading trials that are trained again.
    """

    trial: int
    settings: Settings
    number: int = 0

    @property
    def name(self) -> str:
        """What its file is called."""
        return f"{self.trial:04}-{self.number}-{digest(self.settings)[:12]}"


@dataclass(frozen=True, eq=False)
class Measured:
    """What a training gave.

    Attributes:
        values: of the metric, for each list; NaN where it has none.
        seconds: that it took.
        stages: the mean of the metric after each share of a trial's rounds that it reached, the last being the whole;
            empty without stages.
    """

    values: Floats
    seconds: float
    stages: tuple[float, ...] = ()


class TakenError(MatineeError):
    """Another worker is at a training."""


@dataclass(frozen=True)
class Journal:
    """The files of a search in a folder of their own."""

    folder: Path

    def read(self, training: Training) -> Measured | None:
        """What a training gave; None while it is not there, or where its file is damaged: it is trained again then."""
        import numpy as np

        from engine.errors import ArtifactError
        from engine.npz import load_arrays

        path = self._path(training)
        if not path.is_file():
            return None
        try:
            arrays = load_arrays(path, _LAYOUT)
        except ArtifactError:
            return None
        values = np.where(arrays["defined"] == 1, arrays["values"], np.nan)
        return Measured(values, float(arrays["seconds"][0]), tuple(arrays["stages"].tolist()))

    def write(self, training: Training, measured: Measured) -> None:
        """Keep what a training gave."""
        import numpy as np

        from engine.npz import save_arrays

        defined = ~np.isnan(measured.values)
        with atomic_file(self._path(training)) as path:
            save_arrays(
                path,
                values=np.where(defined, measured.values, 0.0),
                defined=defined.astype(np.int32),
                seconds=np.array([measured.seconds]),
                stages=np.array(measured.stages, dtype=np.float64),
            )

    @contextmanager
    def claim(self, training: Training) -> Iterator[None]:
        """Take a training for the length of the block; whoever is killed gives it back.

        Raises:
            TakenError: another worker has it.
        """
        path = self.folder / "locks" / f"{training.name}.lock"
        with locked(path, "another worker is at this training", seconds=0, error=TakenError):
            yield

    def _path(self, training: Training) -> Path:
        return self.folder / f"{training.name}.npz"
