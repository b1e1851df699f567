"""Several trained rankers as one: a model per seed, or rankers of several types, weighted by the validation window.

The scores of different rankers have different scales. Each is standardized by the mean and the standard deviation of
its own scores of the examples that it was trained on; so an item has one score, whatever list it is in. Weights are
not negative and add up to 1: the blend lies between its members, and a scale says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.examples.shares import evenest_first
from tasks.training.learners.protocol import TrainedRanker
from tasks.training.measure import mean_and_error

if TYPE_CHECKING:
    import pyarrow as pa

    from engine.arrays import Floats
    from engine.functions.load import Blend
    from engine.functions.schema import BlendNode
    from tasks.spec.spec import Spec

_DIGITS = 6


@dataclass(frozen=True)
class Member:
    """A ranker of a blend, its share, and the mean and deviation that its scores are standardized by."""

    model: TrainedRanker
    weight: float
    center: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class TrainedBlend:
    """Several trained rankers as one."""

    members: tuple[Member, ...]

    def scorer(self) -> Blend:
        """The blend as the engine executes it."""
        from engine.functions.load import Blend, Weighted

        return Blend(tuple(Weighted(m.model.scorer(), m.weight, m.center, m.scale) for m in self.members))

    def importance(self) -> dict[str, float]:
        """The share of each feature in the importance that each member sees, by the members' weights."""
        shares: dict[str, float] = {}
        for member in self.members:
            found = member.model.importance()
            total = math.fsum(found.values()) or 1.0
            for name, value in found.items():
                shares[name] = shares.get(name, 0.0) + member.weight * value / total
        return {name: round(share, _DIGITS) for name, share in shares.items()}

    def splits(self) -> dict[str, int]:
        """How often each feature is split on in all members."""
        found = [member.model.splits() for member in self.members]
        names = dict.fromkeys(name for splits in found for name in splits)
        return {name: sum(splits.get(name, 0) for splits in found) for name in names}

    def save(self, folder: Path) -> BlendNode:
        """Write the files of each member into a folder of its own, which has its number as its name."""
        from engine.functions.schema import BlendNode, BlendPart, below

        parts = []
        for number, member in enumerate(self.members):
            (folder / str(number)).mkdir()
            function = below(str(number), member.model.save(folder / str(number)))
            parts.append(BlendPart(function=function, weight=member.weight, center=member.center, scale=member.scale))
        return BlendNode(of=tuple(parts))


def mean_of(models: Sequence[TrainedRanker]) -> TrainedBlend:
    """The mean of the scores of models of one kind."""
    return TrainedBlend(tuple(Member(model, 1.0 / len(models)) for model in models))


def member(model: TrainedRanker, weight: float, table: pa.Table, spec: Spec) -> Member:
    """A ranker as a member of a blend; `table` are the examples that it was trained on."""
    import numpy as np

    from tasks.examples.arrays import matrix
    from tasks.training.learners.inputs import mean_and_deviation

    scores = model.scorer().predict(matrix(table, spec.features))
    weights = np.ascontiguousarray(table["weight"].to_numpy(), dtype=np.float64)
    center, scale = mean_and_deviation(scores, weights)
    # Equal scores say nothing on any scale, and the deviation from their rounded mean is none.
    return Member(model, weight, center, scale if np.ptp(scores) > 0.0 else 1.0)


def best_weights(scores: Sequence[Floats], validation: pa.Table, metric: str) -> tuple[tuple[float, ...], float]:
    """The weights with the greatest mean of a metric over the lists of the validation window, and that mean.

    Of equal ones those that are the most even, then those that give the first members more.

    Args:
        scores: of the examples, standardized, by each member.
        validation: the examples.
        metric: its name, like `ndcg@10`.
    """
    tried = evenest_first(len(scores))
    values = []
    for weights in tried:
        blended = weights[0] * scores[0]
        for weight, given in zip(weights[1:], scores[1:], strict=True):
            blended = blended + weight * given
        values.append(mean_and_error(metric, blended, validation)[0])
    return tried[values.index(max(values))], max(values)
