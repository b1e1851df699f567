"""The SQL of drawing a sample: one function for each statement in `sql/`, with its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Literal

from tasks.spec.spec import Spec
from tasks.store.sql import render

_sql = partial(render, Path(__file__).parent / "sql")
Purpose = Literal["sample", "pilot"]
"""What is drawn for; groups are in another order for each."""


def strata(spec: Spec, cuts: Sequence[date]) -> str:
    """Query the groups there are to draw from, by stratum."""
    return _sql("strata", strata=spec.sample.strata, cuts=cuts)


def draw(spec: Spec, sizes: str, cuts: Sequence[date], purpose: Purpose = "sample") -> str:
    """Query the groups that are drawn, given a relation of strata with `available`, `size` and `bound`."""
    seed = int(spec.sample.seed)
    return _sql("draw", strata=spec.sample.strata, sizes=sizes, cuts=cuts, seed=seed, purpose=purpose)


def pilot(spec: Spec) -> str:
    """Query the candidates of the groups in the relation `pilot`."""
    attributed = spec.label.attribution_minutes is not None
    return _sql("pilot", strata=spec.sample.strata, attributed=attributed)
