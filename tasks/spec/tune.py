"""The part of a pipeline file that says which settings are tried, and which of them is taken."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from tasks.spec.parts import Part
from tasks.spec.rankers import TUNABLE
from tasks.spec.retrieval import Retrieval
from tasks.spec.values import Column, Minutes, NonNegativeInt, Number, PositiveInt, RetrieverName, SomeDays, Whole

MOST_POINTS = 1_000_000
"""Of a space: each is a number in the order in which those not tried yet are gone through."""
Values = Annotated[tuple[Whole | Number, ...], Field(min_length=1)]
"""Whole or not as written: LightGBM expects 31 leaves, not 31.0."""
RetrievalValues = Annotated[tuple[Whole | Number | str, ...], Field(min_length=1)]
"""Numbers, or spans with their unit, like 60d."""
RetrievalSpace = Annotated[dict[Column, RetrievalValues], Field(min_length=1)]


_FIXED = frozenset(
    {"type", "name", "k", "refit", "seed", "window", "by", "of", "depth", "solver", "regularize", "similarity"}
)
"""Settings of retrievals that are not tried: they decide what is kept where, or are no numbers."""


class TuneRetrieval(Part):
    """Settings of retrievals tried on the validation cuts, of each retriever by itself."""

    trials: PositiveInt = Field(description="Points that are tried of each retriever.")
    metric: str = Field(description="What its lists are compared by, like recall@100 or ndcg@20.")
    spaces: Annotated[
        dict[RetrieverName, Annotated[dict[Column, RetrievalValues], Field(min_length=1)]], Field(min_length=1)
    ] = Field(description="Values of each setting, from simple to complex, by the retriever's name.")

    def of(self, tune: Tune, retriever: str) -> Tune:
        """The search of one retriever, as that of a ranker."""
        return tune.model_copy(
            update={"trials": self.trials, "metric": self.metric, "space": self.spaces[retriever], "retrieval": None}
        )


def tunable(part: Retrieval) -> list[str]:
    """The settings of a retrieval that may be tried."""
    return sorted(set(type(part).model_fields) - _FIXED)


class Tune(Part):
    """Settings tried on the validation window."""

    trials: PositiveInt = Field(description="Points of the space that are tried.")
    metric: str = Field(description="What is compared, like ndcg@10.")
    # Left out where it is the default, as below: a pipeline file without the key stays, byte for byte, what it was.
    sampler: Literal["grid", "tpe", "gp"] = Field(
        default="grid",
        exclude_if=lambda sampler: sampler == "grid",
        description="`grid`: all points, or as many drawn at random; `tpe`: where good trials are denser than bad ones "
        "(Optuna); `gp`: where a Gaussian process expects most, or knows least.",
    )
    at_once: Annotated[Whole, Field(ge=1, le=64)] = Field(
        default=4,
        exclude_if=lambda trials: trials == 4,
        description="Trials that may be under way at the same time: each is chosen by the results of those that are so "
        "many before it, however many workers there are.",
    )
    choose: Literal["best", "simplest_within_one_standard_error"] = Field(
        default="simplest_within_one_standard_error",
        description="The plateau, not the peak (Breiman et al. 1984).",
    )
    seeds: Annotated[Whole, Field(ge=1, le=20)] = Field(
        default=3,
        exclude_if=lambda seeds: seeds == 3,
        description="Trainings of each leading trial: the first is the trial's, the others have other seeds and other "
        "draws of the users.",
    )
    leaders: Annotated[Whole, Field(ge=1, le=50)] = Field(
        default=5,
        exclude_if=lambda leaders: leaders == 5,
        description="Trials that are trained so often: the best, and the simplest within one standard error of it.",
    )
    budget: Minutes | None = Field(
        default=None,
        exclude_if=lambda budget: budget is None,
        description="Time that all trials together may take: none begins once it is over. Another machine may do more "
        "of them: the run names the `trials` that give the same.",
    )
    pruning: Literal["none", "median"] = Field(
        default="none",
        exclude_if=lambda pruning: pruning == "none",
        description="`median`: a trial ends after a quarter, a half or three quarters of its rounds where it is behind "
        "the median of earlier trials at that stage.",
    )
    retune: SomeDays | None = Field(
        default=None,
        exclude_if=lambda retune: retune is None,
        description="Settings are chosen on this calendar, counted from the start, and kept until its next day; each "
        "day if absent.",
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of the choice of points.")
    space: dict[Annotated[str, WithJsonSchema({"type": "string", "enum": TUNABLE})], Values] = Field(
        description="Values of each setting of the ranker, from simple to complex."
    )
    retrieval: TuneRetrieval | None = Field(
        default=None,
        exclude_if=lambda retrieval: retrieval is None,
        description="Settings of retrievals, chosen before anything is retrieved.",
    )

    @property
    def points(self) -> int:
        """Points of the space."""
        return math.prod(len(values) for values in self.space.values())
