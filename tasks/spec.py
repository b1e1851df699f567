"""The pipeline file: its shape. One YAML file declares one recommender.

`load_shape` is the first phase of loading (is every key known, is every value of its kind?); `load_spec` adds
the second (does every name refer to something that exists?, see `tasks.references`). Both run before any data
is touched, and both say file, line, key, what was found, what was expected and the nearest valid name.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PlainSerializer,
    PositiveFloat,
    PositiveInt,
    Tag,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from tasks.errors import SpecError
from tasks.yaml_lines import Document, nearest, read_document


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
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Column = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Simulated(_Part):
    """A simulated streaming service; every day is a function of (seed, day)."""

    type: Literal["simulated"]
    users: Annotated[int, Field(ge=10, le=1_000_000)] = Field(description="Members at the start.")
    items: Annotated[int, Field(ge=20, le=100_000)] = Field(description="Titles in the catalogue.")
    seed: NonNegativeInt = Field(description="Seed of everything that is drawn.")


class Files(_Part):
    """A folder of files, declared by `transforms/datasets/<dataset>.yaml`."""

    type: Literal["files"]
    dataset: Name = Field(description="Name of the dataset file and of its staging folder.")


Source = Annotated[Simulated | Files, Field(discriminator="type")]


class GradeRule(_Part):
    """One rule of relevance."""

    grade: Annotated[int, Field(ge=1, le=4)] = Field(description="Grade given when the rule holds.")
    when: str = Field(description="SQL condition over `kind` and `value` of one interaction.")


class Label(_Part):
    """What a positive is."""

    horizon: Days = Field(description="H: labels of cut C come from the days (C, C+H].")
    lateness: Days = Field(default=2, description="L: how many days an interaction may arrive late.")
    grades: Annotated[tuple[GradeRule, ...], Field(min_length=1)] = Field(
        description="The first rule that holds for any interaction of the pair wins; none: grade 0."
    )


class ImpressionExamples(_Part):
    """Each shown item is an example; the group is the request, the cut is the day before it."""

    kind: Literal["impressions"]
    train: Days = Field(description="Length of the training window.")
    validation: Days = Field(description="Length of the window on which settings are chosen.")
    test: Days = Field(description="Length of the window on which the result is judged.")


class SnapshotExamples(_Part):
    """At each cut of a fixed calendar, each active user's retrieved items are examples."""

    kind: Literal["snapshots"]
    every: Days = Field(description="Days between two cuts.")
    anchor: date | None = Field(
        default=None, description="A day of the calendar of cuts; the pipeline's start if absent."
    )
    train: Days = Field(description="Length of the training window.")
    validation: Days = Field(default=0, description="Length of the window on which settings are chosen.")
    test: Days = Field(description="Length of the window on which the result is judged.")


Examples = Annotated[ImpressionExamples | SnapshotExamples, Field(discriminator="kind")]


class Sample(_Part):
    """A stratified sample of groups; each keeps the weight that undoes the sampling."""

    strata: tuple[Column, ...] = Field(default=(), description="User attributes that span the strata.")
    groups: PositiveInt = Field(description="Groups to draw.")
    allocation: Literal["proportional", "sqrt", "equal"] = Field(
        default="proportional", description="How the groups are shared out over the strata."
    )
    floor: NonNegativeInt = Field(default=0, description="Groups each stratum gets at least, if it has them.")
    seed: NonNegativeInt = Field(default=0, description="Seed of the draw.")


class Populations(_Part):
    """Subsets of the users that get a model of their own."""

    by: Column = Field(description="User attribute that splits the populations.")
    min_groups: PositiveInt = Field(description="Fewer training groups than this: served by `*`.")


class AlsRetrieval(_Part):
    """Implicit-feedback matrix factorisation (Hu, Koren, Volinsky 2008)."""

    type: Literal["als"]
    factors: Annotated[int, Field(ge=1, le=1024)] = Field(default=64, description="Length of the vectors.")
    regularization: PositiveFloat = Field(default=20.0, description="L2 penalty.")
    alpha: PositiveFloat = Field(default=4.0, description="Confidence is 1 + alpha * log(1 + actions).")
    iterations: PositiveInt = Field(default=15, description="Alternating sweeps.")
    refit: Days = Field(default=7, description="Item factors are fitted anew on this calendar.")
    seed: NonNegativeInt = Field(default=0, description="Seed of the starting point.")
    k: PositiveInt = Field(description="Items retrieved for each user.")


class PopularityRetrieval(_Part):
    """The items with most actions in a trailing window."""

    type: Literal["popularity"]
    window: Days = Field(default=28, description="Trailing window; one the item features have.")
    k: PositiveInt = Field(description="Items retrieved.")


class HistoryRetrieval(_Part):
    """The user's own items of the last year, most used first, ties by distinct users."""

    type: Literal["history"]
    k: PositiveInt = Field(description="Items retrieved for each user.")


class ItemItemRetrieval(_Part):
    """EASE, a closed-form item-item model (Steck 2019), applied to the user's history."""

    type: Literal["item_item"]
    regularization: PositiveFloat = Field(default=200.0, description="L2 penalty.")
    refit: Days = Field(default=7, description="The item-item matrix is fitted anew on this calendar.")
    k: PositiveInt = Field(description="Items retrieved for each user.")


Retrieval = Annotated[
    AlsRetrieval | PopularityRetrieval | HistoryRetrieval | ItemItemRetrieval, Field(discriminator="type")
]


class LightGBM(_Part):
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
    num_leaves: Annotated[int, Field(ge=2)] = Field(default=31, description="Leaves of a tree at most.")
    min_data_in_leaf: NonNegativeInt = Field(default=50, description="Examples in a leaf at least.")
    lambda_l2: NonNegativeFloat = Field(default=1.0, description="L2 penalty on leaf values.")
    feature_fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="Share of the features a tree may use."
    )
    truncation: PositiveInt = Field(default=30, description="lambdarank_truncation_level.")
    seed: NonNegativeInt = Field(default=0, description="Seed of the learner.")


TunableParameter = Literal[
    "rounds", "learning_rate", "num_leaves", "min_data_in_leaf", "lambda_l2", "feature_fraction", "truncation"
]


class Tune(_Part):
    """Settings tried on the validation window."""

    trials: PositiveInt = Field(description="Points of the space that are tried.")
    metric: str = Field(description="What is compared, like ndcg@10.")
    choose: Literal["best", "simplest_within_one_standard_error"] = Field(
        default="simplest_within_one_standard_error",
        description="The plateau, not the peak (Breiman et al. 1984).",
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of the choice of points.")
    space: dict[TunableParameter, Annotated[tuple[float, ...], Field(min_length=1)]] = Field(
        description="Values of each ranker setting, from simple to complex."
    )


class Evaluate(_Part):
    """How the result is measured on the test window."""

    metrics: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="Like ndcg@10, mrr, fpc.")
    baselines: tuple[str, ...] = Field(
        default=("popularity", "history"), description="Retrieval types, or `policy`: the logged order."
    )
    slices: tuple[Column, ...] = Field(default=(), description="User attributes to look at one by one.")


class BeatsGate(_Part):
    """The model must be better than a baseline, beyond noise."""

    metric: str = Field(description="What is compared.")
    beats: str = Field(description="A baseline of `evaluate.baselines`.")
    by: NonNegativeFloat = Field(default=0.0, description="Least difference of the means.")


class NotWorseGate(_Part):
    """The model may be worse than another by no more than a margin, beyond noise."""

    metric: str = Field(description="What is compared.")
    not_worse_than: str = Field(description="`champion`, or a baseline of `evaluate.baselines`.")
    margin: NonNegativeFloat = Field(default=0.0, description="Difference that is still accepted.")


def _gate_tag(value: Any) -> str | None:
    keys = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    return "not_worse_than" if "not_worse_than" in keys else "beats"


Gate = Annotated[
    Annotated[BeatsGate, Tag("beats")] | Annotated[NotWorseGate, Tag("not_worse_than")],
    Discriminator(_gate_tag),
]


class Publish(_Part):
    """Where the result goes."""

    alias: Name = Field(default="champion", description="Pointer that is moved when all gates pass.")
    refit: bool = Field(
        default=True, description="Train the judged settings again on all complete examples up to the day."
    )


class Spec(_Part):
    """One recommender."""

    name: Name = Field(description="Name of the pipeline and of its DAG.")
    description: str = Field(description="One sentence for people.")
    schedule: str | None = Field(default="@daily", description="Cron expression in UTC, or null.")
    start: date = Field(description="First day the pipeline covers.")
    end: date | None = Field(default=None, description="Last day, for data that has one.")
    source: Source = Field(description="Where the data comes from.")
    label: Label = Field(description="What a positive is.")
    examples: Examples = Field(description="What is ranked, and the windows in time.")
    features: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="Columns of the marts, or `<retrieval type>_score`."
    )
    sample: Sample = Field(description="What is trained on.")
    populations: Populations | None = Field(default=None, description="Who gets a model of their own.")
    retrieval: Annotated[tuple[Retrieval, ...], Field(min_length=1)] = Field(
        description="Where candidates come from."
    )
    ranker: LightGBM = Field(description="What orders the candidates.")
    tune: Tune | None = Field(default=None, description="Which settings are tried.")
    evaluate: Evaluate = Field(description="How it is measured.")
    gates: Annotated[tuple[Gate, ...], Field(min_length=1)] = Field(description="What must hold.")
    publish: Publish = Field(default=Publish(), description="Where it goes.")

    @model_validator(mode="after")
    def _days_make_sense(self) -> Spec:
        if self.end is not None and self.end < self.start:
            raise ValueError(f"end {self.end} is before start {self.start}")
        if self.label.horizon < 1:
            raise ValueError("label.horizon: found 0d, expected at least 1d")
        if self.examples.train < 1 or self.examples.test < 1:
            raise ValueError("examples.train and examples.test: expected at least 1d each")
        if self.tune is not None and self.examples.validation < 1:
            raise ValueError("examples.validation: found 0d, but `tune` chooses on it; expected at least 1d")
        return self

    @property
    def source_name(self) -> str:
        """Folder of the source in the landing; sources that differ never share one."""
        if isinstance(self.source, Simulated):
            return f"simulated-{self.source.users}x{self.source.items}-{self.source.seed}"
        return self.source.dataset

    @property
    def staging(self) -> str:
        """Folder of the staging models."""
        return "simulated" if isinstance(self.source, Simulated) else self.source.dataset

    @property
    def lag(self) -> timedelta:
        """Days from a cut until its labels are complete (H + L)."""
        return timedelta(days=self.label.horizon + self.label.lateness)

    def retriever(self, kind: str) -> Any:
        """Return the retrieval of that type, or None."""
        return next((part for part in self.retrieval if part.type == kind), None)

    def canonical(self) -> dict[str, Any]:
        """Return the one JSON form of the spec; it loads back to an equal spec."""
        return self.model_dump(mode="json")


def load_shape(path: Path) -> Spec:
    """First phase: read a pipeline file and check its shape.

    Raises:
        SpecError: naming file, line, key, what was found and what was expected.
    """
    document = read_document(path)
    return shape(document)


def shape(document: Document) -> Spec:
    """Check the shape of a document that has been read."""
    try:
        spec = Spec.model_validate(document.value)
    except ValidationError as error:
        problems = [_explain(document, problem) for problem in error.errors()]
        raise SpecError("\n".join(dict.fromkeys(problems))) from None
    if document.path.stem != spec.name:
        raise SpecError(
            f"{document.at(('name',))}: name: found {spec.name!r}, expected {document.path.stem!r}, "
            "the name of the file"
        )
    return spec


def _explain(document: Document, problem: Any) -> str:
    location = document.known(problem["loc"])
    key = ".".join(str(part) for part in problem["loc"])
    where = document.at(location)
    kind, message = problem["type"], problem["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        names = sorted(_fields_at(problem["loc"][:-1]))
        return f"{where}: unknown key {problem['loc'][-1]!r}; expected one of {', '.join(names)}" + nearest(
            str(problem["loc"][-1]), names
        )
    if kind == "missing":
        return f"{where}: the key {key!r} is missing"
    found = problem.get("input")
    shown = f"; found {found!r}" if isinstance(found, str | int | float | bool | None | list) else ""
    return f"{where}: {key}: {message}" + ("" if "found" in message else shown)


def _fields_at(location: tuple[Any, ...]) -> set[str]:
    """Names of the keys allowed at a place, found by walking the models along the error's location."""
    models: list[Any] = [Spec]
    for part in location:
        nested = [m for model in models for m in _models_of(model, part)]
        models = nested or models
    return {name for model in models for name in model.model_fields}


def _models_of(model: type[BaseModel], part: Any) -> list[type[BaseModel]]:
    if isinstance(part, str) and part in model.model_fields:
        return _unwrap(model.model_fields[part].annotation)
    literal = model.model_fields.get("type") or model.model_fields.get("kind")
    if literal is not None and part in getattr(literal.annotation, "__args__", ()):
        return [model]
    return []


def _unwrap(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _unwrap(inner)]


def load_spec(path: Path) -> Spec:
    """Both phases: read a pipeline file, check its shape and that every name in it refers to something."""
    from tasks.references import check_references

    document = read_document(path)
    spec = shape(document)
    check_references(spec, document)
    return spec


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a pipeline file, for editors and for `docs/`."""
    schema = Spec.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "matinee pipeline"}
