"""The run that settings are chosen in: a run's own, or with `tune.retune` that of the last day of the calendar.

Its results are kept outside of the runs: whichever run of those days comes first makes them, and the others find them.
They are made from what was landed and known by that day alone, so it does not matter which run that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tasks.features.build import landing_digest, libraries, needed_by
from tasks.runs.run import Run
from tasks.spec.windows import tuning_day
from tasks.store.files import digest


@dataclass(frozen=True)
class TuningRun(Run):
    """A run that goes as far as the sample, in a folder of its own."""

    folder: Path = Path()

    @property
    def dir(self) -> Path:
        """The folder, named by all that its results are made from."""
        return self.folder


def tuning_run(run: Run) -> Run:
    """The run that settings are chosen in.

    Raises:
        LandingError: a day that it depends on is not landed.
    """
    if run.spec.tune is None or run.spec.tune.retune is None:
        return run
    day = tuning_day(run.spec, run.as_of)
    need = needed_by(run.spec, run.home, [day], run.data)
    made_from = [run.made_by.to_json(), libraries(), landing_digest(need.partitions)]
    folder = run.home.tunings(run.spec.name) / f"as-of={day}" / digest(made_from)[:16]
    return TuningRun(run.spec, run.home, day, "tuning", run.data, folder)
