"""The metric of scores on the validation window."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from engine.arrays import Floats

DIGITS = 12
"""Decimals on disk: the last bits of a mean depend on the order of the sum."""


def mean_and_error(metric: str, scores: Floats, validation: pa.Table) -> tuple[float, float]:
    """The weighted mean of a metric over the groups of the validation window, and its standard error.

    The groups are a sample, and their weights undo the sampling: this estimates the mean over all groups (Hájek 1971).

    Args:
        metric: its name, like `ndcg@10`.
        scores: one for each example.
        validation: the examples.
    """
    from engine.intervals import weighted_mean
    from engine.lists import Lists
    from engine.metrics import parse_metric
    from tasks.examples.arrays import group_offsets

    offsets = group_offsets(validation)
    lists = Lists.of(scores, validation["grade"].to_numpy(), offsets)
    # No list with anything to find: all settings are equal, and the simplest is taken.
    return weighted_mean(parse_metric(metric)(lists), validation["weight"].to_numpy()[offsets[:-1]]) or (0.0, 0.0)
