"""Whether a list is the one that was published: to the last bit, or as near as another processor comes."""

from __future__ import annotations

from collections.abc import Sequence

from engine.descriptor import Descriptor, Ranked
from engine.functions.schema import tolerance_of
from engine.retriever_schema import TwoTowersNode

TOWERS = 1e-4
"""Of versions in which a model of ONNX retrieves."""


def tolerance(descriptor: Descriptor) -> float:
    """How far apart a version's scores may be on two processors, in parts of a list's largest; mostly 0."""
    rankers = descriptor.rankers.values() or (descriptor.ranker,)
    scoring = [ranker for ranker in rankers if ranker.type == "ScoringRanker"]
    towers = any(isinstance(part, TwoTowersNode) for ranker in scoring for part in ranker.retrieve.of)
    return max(TOWERS if towers else 0.0, *(tolerance_of(ranker.scorer.function) for ranker in scoring))


def first_difference(old: Sequence[Ranked], new: Sequence[Ranked], tolerance: float) -> int | None:
    """The place at which an answer is not the one that was published; None where it is.

    Args:
        old: as published.
        new: as answered now.
        tolerance: of `tolerance`; with 0 scores are compared exactly. Items whose scores are nearer to each other than
            that may have changed places, also with items that are not listed.
    """
    shorter = min(len(old), len(new))
    near = tolerance * max((abs(place.score) for place in old), default=0.0)
    known = {place.item: place.score for place in new}
    last = new[-1].score if new else 0.0
    for place, (was, now) in enumerate(zip(old, new, strict=False)):
        moved = abs(known.get(was.item, last) - was.score) > near
        if abs(was.score - now.score) > near or moved or (was.item != now.item and not tolerance):
            return place
    return None if len(old) == len(new) else shorter
