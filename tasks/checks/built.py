"""Whether there are tables to check: asked of the ledger first, because no rows would look like bad ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.features.engines import warehouse_of
from tasks.spec.feature_catalog import MARTS, ON_DEMAND_MARTS

if TYPE_CHECKING:
    from tasks.runs.run import Run


def why_not_built(run: Run) -> str | None:
    """Say that the features as of the run's day are not in the tables, and what to do; None if they are.

    Raises:
        BuildError: the tables are damaged, or somebody is building all the time.
    """
    ledger = warehouse_of(run.home, run.spec.name).ledger()
    # On-demand marts are views, of which the ledger has nothing.
    if all((mart, "", run.as_of) in ledger for mart in MARTS if mart not in ON_DEMAND_MARTS):
        return None
    return (
        f"the tables of {run.spec.name} as of {run.as_of} are not there, so they were not checked. Tables are a cache "
        "of the landing: a build by another pipeline file, other SQL or other code drops those of before. Build them "
        f"with `matinee build {run.spec.name} --as-of {run.as_of}`, then check again"
    )
