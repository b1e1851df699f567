"""Which examples of a list are trained on, and with which weight, where a pipeline samples negatives.

Files hold whole lists, because lists are measured whole; the step `sample` marks what is trained on. A loss over single
examples counts a negative by `weight * correction`, so that the sum over those kept estimates the sum over all. A loss
over pairs or lists takes `weight` alone: if each negative is kept alike, so is each pair, and their sum is that of all
pairs but for a factor; a weight on one side of a pair would leave its two gradients without balance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.spec.onnx_ranker import OnnxRanker
from tasks.spec.rankers import BlendRanker, LightGBM, Ranker
from tasks.spec.spec import Spec

if TYPE_CHECKING:
    import pyarrow as pa

OVER_LISTS = frozenset({"lambdarank", "rank_xendcg", "pairwise", "pairwise_logistic", "softmax"})
"""Objectives and losses that compare the examples of a list with each other."""


def trained_rows(table: pa.Table, settings: Ranker) -> pa.Table:
    """The examples that are trained on, with their weight; all of them where negatives are not sampled.

    Args:
        table: examples as the step `sample` wrote them, or what this function gave before.
        settings: of the ranker.
    """
    import pyarrow.compute as pc

    if "trained" not in table.column_names:
        return table
    kept = table.filter(table["trained"])
    if not over_lists(settings):
        weight = pc.multiply(kept["weight"], kept["correction"])
        kept = kept.set_column(kept.schema.get_field_index("weight"), "weight", weight)
    return kept.drop_columns(["trained", "correction"])


def correction_text(spec: Spec) -> str | None:
    """Say for the descriptor which negatives are trained on and what corrects for it; None where all are."""
    chosen = spec.sample.negatives
    if chosen is None:
        return None
    what = f"at most {chosen.per_positive} negatives for each positive of a list, by {chosen.by}; "
    if over_lists(spec.ranker):
        return f"{what}no correction: the loss compares the examples of a list"
    if chosen.by == "hard":
        return f"{what}no correction: they are chosen, not drawn, and scores are no probabilities"
    return f"{what}each weighted by one over its probability of being kept"


def over_lists(settings: Ranker) -> bool:
    """Tell whether a ranker's loss compares the examples of a list with each other."""
    if isinstance(settings, BlendRanker):
        return all(over_lists(part) for part in settings.of)
    if isinstance(settings, OnnxRanker):  # whose loss nobody here knows
        return False
    return (settings.objective if isinstance(settings, LightGBM) else settings.loss) in OVER_LISTS
