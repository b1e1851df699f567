"""The parts of a pipeline file: closed, frozen models; units live in the values (`28d`, `ndcg@10`)."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    StringConstraints,
    Tag,
    WithJsonSchema,
    model_validator,
)


def _cron(text: str) -> str:
    if re.fullmatch(r"@daily|@weekly|@monthly|[0-9*/,-]+( [0-9*/,-]+){2}( [0-9A-Za-z*/,#?-]+){2}", text) is None:
        raise ValueError(f"found {text!r}, expected @daily, or a cron expression of five fields, like 0 3 * * *")
    return text


def _hour(value: Any) -> str:
    if not isinstance(value, str) or re.fullmatch(_HOUR, value) is None:
        raise ValueError(f'found {value!r}, expected an hour of the day in UTC, in quotes, like "06:00"')
    return value


_HOUR = r"^([01]\d|2[0-3]):[0-5]\d$"


def _some(days: int) -> int:
    if days < 1:
        raise ValueError("found 0d, expected at least 1d")
    return days


def _days(value: Any) -> int:
    match = re.fullmatch(r"(\d{1,4})d", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"found {value!r}, expected a number of days with its unit, like 28d")
    return int(match[1])


Days = Annotated[
    int,
    BeforeValidator(_days),
    PlainSerializer(lambda days: f"{days}d", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,4}d$", "examples": ["28d"]}),
]
SomeDays = Annotated[
    Days,
    AfterValidator(_some),
    WithJsonSchema({"type": "string", "pattern": r"^(?!0+d)\d{1,4}d$", "examples": ["28d"]}),
]
Whole = Annotated[int, Field(strict=True)]
"""A number written as one: neither "7" nor true nor 7.0."""
PositiveInt = Annotated[Whole, Field(gt=0)]
NonNegativeInt = Annotated[Whole, Field(ge=0)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
PositiveFloat = Annotated[Number, Field(gt=0)]
NonNegativeFloat = Annotated[Number, Field(ge=0)]
Cron = Annotated[str, AfterValidator(_cron)]
Hour = Annotated[
    str, BeforeValidator(_hour), WithJsonSchema({"type": "string", "pattern": _HOUR, "examples": ["06:00"]})
]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Column = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Part(BaseModel):
    """A closed, frozen part of a pipeline file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Simulated(Part):
    """A simulated streaming service; every day is a function of (seed, day)."""

    type: Literal["simulated"]
    users: Annotated[Whole, Field(ge=10, le=1_000_000)] = Field(description="Members at the start.")
    items: Annotated[Whole, Field(ge=20, le=100_000)] = Field(description="Titles in the catalogue.")
    seed: NonNegativeInt = Field(description="Seed of everything that is drawn.")

    @property
    def folder(self) -> str:
        """Folder in the landing; sources that differ never share one."""
        return f"simulated-{self.users}x{self.items}-{self.seed}"

    @property
    def staging(self) -> str:
        """Folder of the staging models."""
        return "simulated"


class FilesSource(Part):
    """A folder of files, declared by `transforms/datasets/<dataset>.yaml`."""

    type: Literal["files"]
    dataset: Name = Field(description="Name of the dataset file and of its staging folder.")

    @property
    def folder(self) -> str:
        """Folder in the landing; sources that differ never share one."""
        return self.dataset

    @property
    def staging(self) -> str:
        """Folder of the staging models."""
        return self.dataset


Source = Annotated[Simulated | FilesSource, Field(discriminator="type")]


class ImpressionExamples(Part):
    """Each shown item is an example; the group is the request, the cut is the day before it."""

    kind: Literal["impressions"]
    train: SomeDays = Field(description="Length of the training window.")
    validation: Days = Field(description="Length of the window on which settings are chosen.")
    test: SomeDays = Field(description="Length of the window on which the result is evaluated.")


class SnapshotExamples(Part):
    """At each cut of a fixed calendar, each active user's retrieved items are examples."""

    kind: Literal["snapshots"]
    every: SomeDays = Field(description="Days between two cuts.")
    anchor: date | None = Field(
        default=None, description="A day of the calendar of cuts; the pipeline's start if absent."
    )
    train: SomeDays = Field(description="Length of the training window.")
    validation: Days = Field(default=0, description="Length of the window on which settings are chosen.")
    test: SomeDays = Field(description="Length of the window on which the result is evaluated.")


Examples = Annotated[ImpressionExamples | SnapshotExamples, Field(discriminator="kind")]


class Sample(Part):
    """A stratified sample of groups; each keeps the weight that undoes the sampling."""

    strata: tuple[Column, ...] = Field(default=(), description="User attributes that span the strata.")
    groups: PositiveInt = Field(description="Groups to draw.")
    allocation: Literal["proportional", "sqrt", "equal"] = Field(
        default="proportional", description="How the groups are shared out over the strata."
    )
    floor: NonNegativeInt = Field(default=0, description="Groups each stratum gets at least, if it has them.")
    seed: NonNegativeInt = Field(default=0, description="Seed of the draw.")


class Populations(Part):
    """Subsets of the users that get a model of their own."""

    by: Column = Field(description="User attribute that splits the populations.")
    min_groups: PositiveInt = Field(description="Fewer training groups than this: served by `*`.")


class AlsRetrieval(Part):
    """Implicit-feedback matrix factorization (Hu, Koren, Volinsky 2008)."""

    type: Literal["als"]
    factors: Annotated[Whole, Field(ge=1, le=1024)] = Field(default=64, description="Length of the vectors.")
    regularization: PositiveFloat = Field(default=20.0, description="L2 penalty.")
    regularize: Literal["plain", "by_count"] = Field(
        default="plain",
        description="`plain`: everybody alike; `by_count`: users and items in proportion to their actions, with the "
        "same mean (Rendle et al. 2022).",
    )
    alpha: PositiveFloat = Field(default=4.0, description="Confidence of a pair is alpha * actions.")
    iterations: PositiveInt = Field(default=15, description="Alternating sweeps.")
    refit: SomeDays = Field(default=7, description="Item factors are fitted anew on this calendar.")
    half_life: SomeDays | None = Field(
        default=None, description="An action this long ago counts half; every action counts fully if absent."
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of the starting point.")
    solver: Literal["exact", "implicit"] = Field(
        default="exact",
        description="`exact`: the same bytes on every processor; `implicit`: that library, whose bytes depend on the "
        "processor's BLAS kernel.",
    )
    k: PositiveInt = Field(description="Items retrieved for each user.")

    @model_validator(mode="after")
    def _penalty_of_the_library(self) -> AlsRetrieval:
        if self.solver == "implicit" and self.regularize != "plain":
            raise ValueError(
                f"found regularize: {self.regularize} with solver: implicit, which knows plain only; "
                "expected solver: exact"
            )
        return self


class PopularityRetrieval(Part):
    """The items with most actions in a trailing window."""

    type: Literal["popularity"]
    window: SomeDays = Field(default=28, description="Trailing window; one the item features have.")
    k: PositiveInt = Field(description="Items retrieved.")


class HistoryRetrieval(Part):
    """The user's own items of the last year, most used first, ties by distinct users."""

    type: Literal["history"]
    k: PositiveInt = Field(description="Items retrieved for each user.")


class ItemItemRetrieval(Part):
    """EASE, a closed-form item-item model (Steck 2019), applied to the square roots of the user's actions."""

    type: Literal["item_item"]
    regularization: PositiveFloat = Field(default=50.0, description="L2 penalty.")
    refit: SomeDays = Field(default=7, description="The item-item matrix is fitted anew on this calendar.")
    half_life: SomeDays | None = Field(
        default=None, description="An action this long ago counts half; every action counts fully if absent."
    )
    k: PositiveInt = Field(description="Items retrieved for each user.")


Retrieval = Annotated[
    AlsRetrieval | PopularityRetrieval | HistoryRetrieval | ItemItemRetrieval, Field(discriminator="type")
]


class LightGBM(Part):
    """LightGBM's learning to rank."""

    type: Literal["lightgbm"]
    objective: Literal["lambdarank", "rank_xendcg", "binary"] = Field(
        default="lambdarank", description="Loss that is minimised."
    )
    position_bias: Literal["none", "lightgbm"] = Field(
        default="none", description="`lightgbm`: positions are given to unbiased LambdaMART."
    )
    rounds: PositiveInt = Field(default=100, description="Trees.")
    learning_rate: PositiveFloat = Field(default=0.1, description="Shrinkage of each tree.")
    num_leaves: Annotated[Whole, Field(ge=2)] = Field(default=31, description="Leaves of a tree at most.")
    min_data_in_leaf: NonNegativeInt = Field(default=50, description="Examples in a leaf at least.")
    lambda_l2: NonNegativeFloat = Field(default=1.0, description="L2 penalty on leaf values.")
    feature_fraction: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=1.0, description="Share of the features a tree may use."
    )
    bagging_fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="Share of the examples a tree sees."
    )
    max_bin: Annotated[int, Field(ge=2)] = Field(default=255, description="Values a feature is cut into.")
    truncation: PositiveInt = Field(default=30, description="lambdarank_truncation_level.")
    seed: NonNegativeInt = Field(default=0, description="Seed of the learner.")


TunableParameter = Literal[
    "rounds", "learning_rate", "num_leaves", "min_data_in_leaf", "lambda_l2", "feature_fraction", "truncation"
]


class Tune(Part):
    """Settings tried on the validation window."""

    trials: PositiveInt = Field(description="Points of the space that are tried.")
    metric: str = Field(description="What is compared, like ndcg@10.")
    choose: Literal["best", "simplest_within_one_standard_error"] = Field(
        default="simplest_within_one_standard_error",
        description="The plateau, not the peak (Breiman et al. 1984).",
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of the choice of points.")
    space: dict[TunableParameter, Annotated[tuple[Whole | Number, ...], Field(min_length=1)]] = Field(
        description="Values of each ranker setting, from simple to complex."
    )


LOGGED_ORDER = "logged_order"
"""The baseline that ranks items as they were shown."""


class Evaluate(Part):
    """How the result is measured on the test window."""

    metrics: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="Like ndcg@10, mrr, fpc.")
    baselines: tuple[str, ...] = Field(
        default=("popularity", "history"), description="Retrieval types, or `logged_order`: items as they were shown."
    )
    slices: tuple[Column, ...] = Field(default=(), description="User attributes to look at one by one.")
    acknowledged: dict[str, Reason] = Field(
        default={}, description="Features that look like leakage but are legal, each with the reason."
    )


class BeatsGate(Part):
    """The model must be better than a baseline, beyond noise."""

    metric: str = Field(description="What is compared.")
    beats: str = Field(description="A baseline of `evaluate.baselines`.")
    by: NonNegativeFloat = Field(default=0.0, description="Least difference of the means.")


class NotWorseGate(Part):
    """The model may be worse than another by no more than a margin, beyond noise."""

    metric: str = Field(description="What is compared.")
    not_worse_than: str = Field(description="`champion`, or a baseline of `evaluate.baselines`.")
    margin: NonNegativeFloat = Field(default=0.0, description="Difference that is still accepted.")


def _gate_tag(value: Any) -> str:
    # Gates have no `type`. Without a tag, pydantic tries both models and an error names the keys of both.
    keys = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    return "NotWorseGate" if "not_worse_than" in keys else "BeatsGate"


Gate = Annotated[
    Annotated[BeatsGate, Tag("BeatsGate")] | Annotated[NotWorseGate, Tag("NotWorseGate")],
    Discriminator(_gate_tag),
]


class Alerts(Part):
    """When alerts are sent; who gets them is up to the environment (`MATINEE_ALERTS`)."""

    green_by: Hour | None = Field(
        default=None, description="Hour of the next day, UTC, by which a day's run must be green."
    )


class Publish(Part):
    """Where the result goes."""

    alias: Name = Field(default="champion", description="Pointer that is moved when all gates pass.")
    refit: Annotated[bool, Field(strict=True)] = Field(
        default=True, description="Train the evaluated settings again on all complete examples up to the day."
    )


class Monitor(Part):
    """What the evaluated examples are compared with."""

    reference: Literal["train", "same_weekday"] = Field(
        default="train",
        description="The training window, or its and the validation window's days of the same weekdays.",
    )
    acknowledged: dict[str, Reason] = Field(
        default={}, description="Features that may drift without a warning, each with the reason."
    )
