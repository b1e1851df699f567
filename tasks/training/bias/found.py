"""What the evaluated model's correction for positions found, for the log, the summary and the report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tasks.runs.narration import say
from tasks.spec.feedback.position_bias import InversePropensity
from tasks.training.bias.results import PositionBiasResult
from tasks.training.negatives import trained_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.spec.rankers import Ranker
    from tasks.spec.spec import Spec
    from tasks.training.learners.protocol import TrainedRanker


def position_bias_of(
    model: TrainedRanker, examples: pa.Table, spec: Spec, settings: Ranker
) -> PositionBiasResult | None:
    """Record how a model was corrected for positions; None where the pipeline does not ask for it.

    Args:
        model: the model.
        examples: what it was trained on, as the step `sample` wrote them.
        spec: the pipeline.
        settings: of the ranker.
    """
    declared = spec.position_bias
    if declared is None:
        return None
    if not isinstance(declared, InversePropensity):
        result = PositionBiasResult(factors=position_factors(model))
    else:
        from tasks.training.bias.weights import propensity_weights

        weighted = propensity_weights(trained_rows(examples, settings), spec, declared)
        result = PositionBiasResult(weights=weighted.record)
    say("position bias: {_text}", _text=result.text)
    return result


def position_factors(model: TrainedRanker) -> dict[int, float]:
    """What a model adds at each position, the mean of several models; nothing where it learned from none."""
    from tasks.training.learners.blend import TrainedBlend
    from tasks.training.learners.lightgbm import TrainedTrees

    if isinstance(model, TrainedTrees):
        return model.positions
    if not isinstance(model, TrainedBlend):
        return {}
    parts = [(member.weight, position_factors(member.model)) for member in model.members]
    return {at: math.fsum(weight * found[at] for weight, found in parts) for at in parts[0][1]}
