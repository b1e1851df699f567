"""How much the lists of each stratum differ, for Neyman's allocation: measured on a pilot, before there is a model.

What is estimated on a sample is the mean of a metric over lists: tuning and curves read it from the validation window.
So the pilot's lists are measured by the metric of the first gate, in the order of popularity. The pilot is drawn by
another order than the sample, so that the sample, given its sizes, is drawn at random all the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tasks.examples.arrays import group_offsets
from tasks.examples.sampling.allocation import Stratum
from tasks.examples.sampling.queries import pilot
from tasks.features.warehouse import Tables
from tasks.spec.spec import Spec

PRIOR_LISTS = 2
"""Lists that the deviation of all strata counts for beside those of one: a stratum of one list, or of equal lists, is
not taken for one without any difference."""
DIGITS = 12


def measure_spread(tables: Tables, spec: Spec, counts: Mapping[Stratum, int]) -> dict[Stratum, float]:
    """The standard deviation of the first gate's metric in each stratum, given a relation `pilot` of drawn groups."""
    from engine.lists import Lists
    from engine.metrics import parse_metric

    rows = tables.arrow(pilot(spec))
    offsets = group_offsets(rows)
    lists = Lists.of(rows["popularity"].to_numpy(), rows["grade"].to_numpy(), offsets)
    columns = [rows[name].take(offsets[:-1]).to_pylist() for name in spec.sample.strata]
    of_lists = zip(*columns, strict=True) if columns else [()] * (len(offsets) - 1)
    values: dict[Stratum, list[float]] = {stratum: [] for stratum in counts}
    for stratum, value in zip(of_lists, parse_metric(spec.gates[0].metric)(lists), strict=True):
        # The metric says nothing about a list that has no two different grades, say.
        if not math.isnan(value):
            values[stratum].append(float(value))
    return deviations(values)


def deviations(values: Mapping[Stratum, Sequence[float]]) -> dict[Stratum, float]:
    """The standard deviation within each stratum, drawn towards that of all as if `PRIOR_LISTS` more lists had it."""
    squares = {stratum: _squares(own) for stratum, own in values.items()}
    free = {stratum: max(0, len(own) - 1) for stratum, own in values.items()}
    pooled = math.fsum(squares.values()) / max(1, sum(free.values()))
    return {
        stratum: round(math.sqrt((squares[stratum] + PRIOR_LISTS * pooled) / (free[stratum] + PRIOR_LISTS)), DIGITS)
        for stratum in values
    }


def _squares(values: Sequence[float]) -> float:
    # fsum does not depend on the order of its terms.
    mean = math.fsum(values) / len(values) if values else 0.0
    return math.fsum((value - mean) ** 2 for value in values)
