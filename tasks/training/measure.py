"""The metric of scores on the validation window."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from engine.arrays import Floats

DIGITS = 12
"""Decimals on disk: the last bits of a mean depend on the order of the sum."""


def mean_and_error(metric: str, scores: Floats, validation: pa.Table) -> tuple[float, float]:
    """The mean of a metric over the groups of the validation window, and its standard error.

    Args:
        metric: its name, like `ndcg@10`.
        scores: one for each example.
        validation: the examples.
    """
    import numpy as np

    from engine.lists import Lists
    from engine.metrics import parse_metric
    from tasks.examples.arrays import group_offsets

    lists = Lists.of(scores, validation["grade"].to_numpy(), group_offsets(validation))
    values = parse_metric(metric)(lists)
    values = values[~np.isnan(values)]
    # No list with anything to find: all settings are equal, and the simplest is taken.
    if not len(values):
        return 0.0, 0.0
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return float(np.mean(values)), spread / math.sqrt(len(values))
