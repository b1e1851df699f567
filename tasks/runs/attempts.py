"""How a DAG run is called on disk."""

from __future__ import annotations

import re


def attempt_of(run_id: str) -> str:
    """Name a run's folder: Airflow's run id without what a path should not hold.

    For example `backfill__2026-01-31T00:00:00+00:00` gives `backfill__2026-01-31T000000Z`.
    """
    short = run_id.replace("+00:00", "Z").replace(":", "")
    # A name that begins with a dot is a folder that is being written: what lists attempts passes over it.
    return re.sub(r"[^A-Za-z0-9._-]", "-", short).lstrip("._-") or "run"
