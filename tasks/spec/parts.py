"""The parts of a pipeline file: closed, frozen models; units live in the values (`28d`, `ndcg@10`)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from engine.bands import MOST_EDGES
from tasks.spec.values import (
    Column,
    Day,
    Days,
    Hour,
    Name,
    NonNegativeFloat,
    NonNegativeInt,
    Number,
    PositiveInt,
    Reason,
    SomeDays,
    Whole,
)


class Part(BaseModel):
    """A closed, frozen part of a pipeline file."""

    # A misspelled key must be an error: ignoring it would silently keep a default.
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


class DatasetSource(Part):
    """Tables that `transforms/datasets/<dataset>.yaml` declares."""

    dataset: Name = Field(description="Name of the dataset file and of its staging folder.")

    @property
    def folder(self) -> str:
        """Folder in the landing; sources that differ never share one."""
        return self.dataset

    @property
    def staging(self) -> str:
        """Folder of the staging models."""
        return self.dataset


class FilesSource(DatasetSource):
    """A folder of files, declared by `transforms/datasets/<dataset>.yaml`."""

    type: Literal["files"]


class SqlSource(DatasetSource):
    """Tables of a database, declared by `transforms/datasets/<dataset>.yaml`."""

    type: Literal["sql"]
    url_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,62}$")] = Field(
        description="Name of the environment variable that holds the database's URL, with its password."
    )


Source = Annotated[Simulated | FilesSource | SqlSource, Field(discriminator="type")]


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
    anchor: Day | None = Field(
        default=None, description="A day of the calendar of cuts; the pipeline's start if absent."
    )
    train: SomeDays = Field(description="Length of the training window.")
    validation: Days = Field(default=0, description="Length of the window on which settings are chosen.")
    test: SomeDays = Field(description="Length of the window on which the result is evaluated.")


Examples = Annotated[ImpressionExamples | SnapshotExamples, Field(discriminator="kind")]


class Candidates(Part):
    """Which items a list may hold: the same for training, the model, every baseline, the truth and the ranker."""

    seen: Literal["keep", "exclude", "only"] = Field(
        default="keep",
        description="Items that the user had an interaction with by the cut, as known then: `exclude` them from every "
        "list, allow `only` them, or `keep` them beside the others.",
    )


class Bands(Part):
    """A number cut at edges: a text attribute of whatever has the number, usable wherever texts are."""

    of: Column = Field(description="Attribute that is a number.")
    edges: Annotated[tuple[Number, ...], Field(min_length=1, max_length=MOST_EDGES)] = Field(
        description="Where one band ends and the next begins, ascending; an edge belongs to the band above it."
    )


class Populations(Part):
    """Subsets of the users that get a model of their own."""

    by: Column = Field(description="User attribute that splits the populations.")
    min_groups: PositiveInt = Field(description="Fewer training groups than this: served by `*`.")
    # Left out where it is the default: such a pipeline stays, byte for byte, what it was before there was a choice.
    keep: Literal["if_better", "always"] = Field(
        default="if_better",
        exclude_if=lambda keep: keep == "if_better",
        description="`if_better`: a population keeps its own model where that is better, beyond noise, than a model of "
        "everybody on its own lists of the validation window, and else is served by `*`, which is that model of "
        "everybody. Without a validation window, or with `always`, it keeps it whatever it is worth, and `*` learns "
        "from those in no such population.",
    )


CATEGORY = "category"
"""The attribute of items that every source has, and every catalog."""


class Diversify(Part):
    """A list takes one item after the other, and an item counts less the more of its kind are there already."""

    type: Literal["diversify"]
    by: Column = Field(description="Attribute of items, a text or a list of texts, whose equal values are a kind.")
    strength: Annotated[Number, Field(ge=0, le=1)] = Field(
        description="What each item of the kind costs, in standard deviations of the list's scores."
    )


BEST_BASELINE = "best_baseline"
"""In a gate: whichever baseline has the highest mean on the run's own lists."""
BEST_FEATURE = "best_feature"
"""In a gate: whichever feature or retriever's score orders the run's own lists best, alone."""
LOGGED_ORDER = "logged_order"
"""The baseline that ranks items as they were shown."""


MOST_TRAININGS = 50
"""Trainings that measure noise; a standard deviation is known well enough by then."""


class Noise(Part):
    """Training again measures how far metrics are apart by chance."""

    seeds: Annotated[Whole, Field(ge=2, le=MOST_TRAININGS)] = Field(
        description="How often the evaluated settings are trained again, each time with another seed and on another "
        "draw of the users."
    )


class Evaluate(Part):
    """How the result is measured on the test window."""

    metrics: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="Like ndcg@10, mrr, fpc.")
    baselines: tuple[str, ...] = Field(
        default=("popularity", "history"),
        description="Names of retrievals, or `logged_order`: items as they were shown.",
    )
    slices: tuple[Column, ...] = Field(
        default=(),
        description="Attributes to look at value by value; by an item's, only items of the value count as relevant.",
    )
    acknowledged: dict[str, Reason] = Field(
        default={}, description="Features that look like leakage but are legal, each with the reason."
    )
    # Left out where it is absent: such a pipeline stays, byte for byte, what it was before noise was measured.
    noise: Noise | None = Field(
        default=None,
        exclude_if=lambda noise: noise is None,
        description="How the noise of training is measured, which gates then reckon with.",
    )


class BeatsGate(Part):
    """The model must be better than a baseline, or than each of its features alone, beyond noise."""

    metric: str = Field(description="What is compared.")
    beats: str = Field(
        description="A baseline of `evaluate.baselines`; `best_baseline`: whichever of them is the strongest; or "
        "`best_feature`: whichever single feature or retriever's score is."
    )
    by: NonNegativeFloat = Field(default=0.0, description="Least difference of the means.")

    @property
    def contender(self) -> str:
        """What the model is compared with."""
        return self.beats


class NotWorseGate(Part):
    """The model may be worse than another by no more than a margin, beyond noise."""

    metric: str = Field(description="What is compared.")
    not_worse_than: str = Field(
        description="`champion`, a baseline of `evaluate.baselines`, or `best_feature`: whichever single feature or "
        "retriever's score is the strongest."
    )
    margin: NonNegativeFloat = Field(default=0.0, description="Difference that is still accepted.")

    @property
    def contender(self) -> str:
        """What the model is compared with."""
        return self.not_worse_than


def _gate_tag(value: Any) -> str:
    # Gates have no `type`. Without a tag, pydantic tries both models and an error names the keys of both.
    keys = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    return "NotWorseGate" if "not_worse_than" in keys else "BeatsGate"


Gate = Annotated[
    Annotated[BeatsGate, Tag("BeatsGate")] | Annotated[NotWorseGate, Tag("NotWorseGate")],
    Discriminator(_gate_tag),
]


class Keep(Part):
    """How long what was made is kept; `matinee gc` removes what is older. What is absent is kept for ever."""

    runs: SomeDays | None = Field(default=None, description="Results and reports of runs, by their as-of day.")
    retrieval: SomeDays | None = Field(
        default=None, description="Models and candidates of cuts: a cache. At least what a run's windows need."
    )
    versions: SomeDays | None = Field(
        default=None, description="Published versions, but for those that an alias or a later gate needs."
    )


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
