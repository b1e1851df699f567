"""Several retrievals as one: models are those of what is blended; weights are given, or fitted and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from pydantic import NonNegativeFloat

from tasks.examples.learners.protocol import RetrievalModel
from tasks.runs.narration import say, warn
from tasks.spec.retrieval import Retrieval
from tasks.spec.retrievals.blend import BlendRetrieval
from tasks.store.records import Count, Record


class BlendWeights(Record):
    """The weights of a blend and what they were chosen by.

    Attributes:
        as_of: the refit day.
        held_out: days before it that lists were compared with.
        users: who had lists to compare; without any, the weights are even.
        weights: of each retrieval by its name, together 1.
        recall: mean share of what a user did in the days held out that the first `k` of the blend's list hold; null
            without users.
        alone: the same of each retrieval by itself.
    """

    as_of: date
    held_out: Count
    users: Count
    weights: dict[str, NonNegativeFloat]
    recall: float | None
    alone: dict[str, float]


def fitted_weights(parts: Sequence[Retrieval], folder: Path) -> dict[str, BlendWeights]:
    """The weights of each blend with `fit` by its name, as they were fitted for the cut of a folder.

    Raises:
        MatineeError: a file of them is missing or damaged.
    """
    fitted = [part for part in parts if isinstance(part, BlendRetrieval) and part.fit is not None]
    return {part.identity: BlendWeights.read(folder / part.files[0]) for part in fitted}


def written_weights(parts: Sequence[Retrieval], folder: Path) -> dict[str, Mapping[str, float]]:
    """The weights of each blend of a pipeline by its name: given, or as they were fitted for the cut of a folder.

    Raises:
        MatineeError: a file of fitted weights is missing or damaged.
    """
    blends = [part for part in parts if isinstance(part, BlendRetrieval)]
    given: dict[str, Mapping[str, float]] = {
        part.identity: {one.retrieval: one.weight for one in part.of} for part in blends
    }
    return given | {name: found.weights for name, found in fitted_weights(parts, folder).items()}


def say_weights(name: str, fitted: BlendWeights, k: int) -> None:
    """Log the weights of a blend, and how far they lead."""
    if fitted.recall is None:
        warn(
            "the weights of {blend} are even: no user has actions both in the {days:,} days before {day} and earlier",
            blend=name, days=fitted.held_out, day=fitted.as_of,
        )  # fmt: skip
        return
    say(
        "weights of {blend} as of {day}: {weights}, with which recall@{k} of what {users:,} users did in the {days:,} "
        "days before it is {recall:.4f}; alone: {alone}",
        blend=name, day=fitted.as_of, users=fitted.users, days=fitted.held_out, k=k, recall=fitted.recall,
        weights=", ".join(f"{one} {weight:g}" for one, weight in fitted.weights.items()),
        alone=", ".join(f"{one} {value:.4f}" for one, value in fitted.alone.items()),
    )  # fmt: skip


BLEND = RetrievalModel(BlendRetrieval, "RetrieverBlend")
