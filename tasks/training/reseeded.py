"""The same settings with other seeds: what the learner draws is drawn anew, and nothing else changes."""

from __future__ import annotations

from tasks.spec.rankers import BlendRanker, LinearRanker, Ranker, SingleRanker


def reseeded(settings: Ranker, number: int) -> Ranker:
    """Give settings their `number`-th other seeds; of a blend, those of each member; 0 leaves them as they are."""
    if isinstance(settings, BlendRanker):
        return settings.model_copy(update={"of": tuple(_single(part, number) for part in settings.of)})
    return _single(settings, number)


def _single(settings: SingleRanker, number: int) -> SingleRanker:
    if isinstance(settings, LinearRanker):  # which draws nothing
        return settings
    # The mean of several seeds has used the ones that follow.
    return settings.model_copy(update={"seed": settings.seed + number * len(settings.copies)})
