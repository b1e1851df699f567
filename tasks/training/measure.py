"""The metric of scores on the validation window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.tuning.choice import Lists

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

    # No list with anything to find: all settings are equal.
    return weighted_mean(list_values(metric, scores, validation), lists_of(validation).weights) or (0.0, 0.0)


def list_values(metric: str, scores: Floats, validation: pa.Table) -> Floats:
    """The metric of each list of the validation window; NaN where it has none. The arguments are as above."""
    from engine.lists import Lists as RankedLists
    from engine.metrics import parse_metric
    from tasks.examples.arrays import group_offsets

    ranked = RankedLists.of(scores, validation["grade"].to_numpy(), group_offsets(validation))
    return parse_metric(metric)(ranked)


def lists_of(validation: pa.Table) -> Lists:
    """The weight and the user of each list of the validation window."""
    from tasks.examples.arrays import group_offsets

    heads = validation.take(group_offsets(validation)[:-1])
    owners = heads["user_id"].combine_chunks().dictionary_encode().indices
    return Lists(heads["weight"].to_numpy(), owners.to_numpy(zero_copy_only=False))
