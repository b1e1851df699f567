"""The examples that a model learns from, corrected for where they were shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.spec.feedback.position_bias import InversePropensity
from tasks.training.negatives import over_lists, trained_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.spec.rankers import Ranker
    from tasks.spec.spec import Spec


def training_rows(table: pa.Table, spec: Spec, settings: Ranker) -> pa.Table:
    """The examples that are trained on, with their weight: sampled negatives, and corrected for where they were shown.

    Args:
        table: examples as the step `sample` wrote them.
        spec: the pipeline.
        settings: of the ranker.

    Raises:
        TrainingError: propensities are missing, or nothing can be estimated from these examples.
    """
    rows = trained_rows(table, settings)
    if not isinstance(spec.position_bias, InversePropensity) or not rows.num_rows:
        return rows
    # Only now: whoever lists rankers need not wait for numpy.
    from tasks.training.bias.weights import lists_of_relevant, propensity_weights, times

    weights = propensity_weights(rows, spec, spec.position_bias).weights
    if spec.position_bias.propensities != "logged" and over_lists(settings):
        return lists_of_relevant(rows, weights, spec)
    return times(rows, weights)
