"""The pipeline file: its shape. One YAML file declares one recommender.

`load_shape` is the first phase of loading (is every key known, is every value of its kind?); `load_spec` adds
the second (does every name refer to something that exists?, see `tasks.spec.references`). Both run before any data
is touched, and both say file, line, key, what was found, what was expected and the nearest valid name.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from tasks.spec.explain import misplaced
from tasks.spec.feedback.exploration import Rerank
from tasks.spec.feedback.position_bias import PositionBias
from tasks.spec.kinds import Interactions
from tasks.spec.label import Label
from tasks.spec.parts import (
    Alerts,
    Bands,
    Candidates,
    Evaluate,
    Examples,
    Gate,
    Keep,
    Monitor,
    Part,
    Populations,
    Publish,
    Source,
)
from tasks.spec.rankers import Ranker
from tasks.spec.retrieval import Retrieval
from tasks.spec.sample import Sample
from tasks.spec.tune import Tune
from tasks.spec.values import Column, Cron, Day, Days, Description, LinkName, Name, Owner, TimeZone, Url

if TYPE_CHECKING:
    from tasks.spec.attributes import Attribute
    from tasks.spec.resolved_features import AttributeFeature, Feature, RetrievalFeature


class Spec(Part):
    """One recommender."""

    name: Name = Field(description="Name of the pipeline and of its DAG.")
    description: Description = Field(description="One sentence for people.")
    owner: Owner = Field(default="matinee", description="Who looks after it; Airflow shows and filters by it.")
    links: dict[LinkName, Url] = Field(default={}, description="Pages about it, by name, such as a dashboard.")
    schedule: Cron | None = Field(
        default="@daily",
        description="Cron expression in UTC that comes at most once a day, or null. Each run is for the day before it.",
    )
    timezone: TimeZone = Field(default="UTC", description="Whose days the pipeline's days are.")
    start: Day = Field(description="First day the pipeline covers.")
    end: Day | None = Field(default=None, description="Last day, for data that has one.")
    catch_up: Days = Field(
        default=0, description="How many missed days, before the last one, the schedule still runs after an outage."
    )
    source: Source = Field(description="Where the data comes from.")
    interactions: Interactions = Field(
        default=Interactions(), description="Own kinds of interactions, and what each counts for retrieval."
    )
    label: Label = Field(description="What a positive is.")
    examples: Examples = Field(description="What is ranked, and the windows in time.")
    candidates: Candidates = Field(default=Candidates(), description="Which items a list may hold.")
    # Left out where it is empty, as `rerank` is below.
    bands: dict[Column, Bands] = Field(
        default={}, exclude_if=lambda bands: not bands, description="Numbers cut at edges, by the attribute they make."
    )
    features: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="Columns of the marts, attributes (docs/features.md), or `<retrieval>_score`."
    )
    sample: Sample = Field(description="What is trained on.")
    populations: Populations | None = Field(default=None, description="Who gets a model of their own.")
    retrieval: Annotated[tuple[Retrieval, ...], Field(min_length=1)] = Field(description="Where candidates come from.")
    ranker: Ranker = Field(description="What orders the candidates.")
    # Left out where it is absent, as `rerank` is below.
    position_bias: PositionBias | None = Field(
        default=None,
        exclude_if=lambda declared: declared is None,
        description="How training corrects for where items were shown (docs/presentation-bias.md).",
    )
    tune: Tune | None = Field(default=None, description="Which settings are tried.")
    # Left out where it is empty: such a descriptor stays, byte for byte, what it was before there were rules.
    rerank: tuple[Rerank, ...] = Field(
        default=(), exclude_if=lambda rules: not rules, description="What is done to the ranked lists, all together."
    )
    evaluate: Evaluate = Field(description="How it is measured.")
    gates: Annotated[tuple[Gate, ...], Field(min_length=1)] = Field(description="What a model must pass.")
    publish: Publish = Field(default=Publish(), description="Where it goes.")
    monitor: Monitor = Field(default=Monitor(), description="What drift is measured against.")
    keep: Keep = Field(default=Keep(), description="How long what was made is kept.")
    alerts: Alerts = Field(default=Alerts(), description="When people are alerted.")

    @model_validator(mode="after")
    def _days_make_sense(self) -> Spec:
        if self.schedule is None and self.end is None:
            raise misplaced(["schedule"], "found null, expected a cron expression or an `end`")
        if self.end is not None and self.end < self.start:
            raise misplaced(["end"], f"found {self.end}, expected a day from `start`, {self.start}, on")
        if self.alerts.green_by is not None and not is_daily(self.schedule):
            raise misplaced(
                ["alerts", "green_by"], "found an hour of each day, expected a daily `schedule`, like @daily"
            )
        # Without it, settings would be chosen on the window they are evaluated on.
        if self.tune is not None and self.examples.validation < 1:
            raise misplaced(["examples", "validation"], "found 0d, expected at least 1d, because `tune` chooses on it")
        return self

    @property
    def source_name(self) -> str:
        """Folder of the source in the landing; sources that differ never share one."""
        return self.source.folder

    @property
    def staging(self) -> str:
        """Folder of the staging models."""
        return self.source.staging

    @property
    def lag(self) -> timedelta:
        """Days from a cut until its labels are complete (H + L)."""
        return timedelta(days=self.label.horizon + self.label.lateness)

    @cached_property
    def attributes(self) -> tuple[Attribute, ...]:
        """What its source knows of users, items and requests, and the bands that the pipeline cuts its numbers into."""
        from tasks.spec.attributes import attributes_of, with_bands

        # Only impressions belong to a request: at a cut of the calendar nobody has asked for anything.
        shown = self.examples.kind == "impressions"
        known = [part for part in attributes_of(self.staging) if shown or part.entity != "request"]
        return with_bands(known, self.bands)

    @cached_property
    def retrieval_features(self) -> tuple[RetrievalFeature, ...]:
        """What the retrievals offer as features, whether or not `features` names it."""
        from tasks.spec.resolved_features import features_of_retrieval

        return features_of_retrieval(self.retrieval, ranks=self.examples.kind == "snapshots")

    @cached_property
    def attribute_features(self) -> tuple[AttributeFeature, ...]:
        """What the attributes of the source offer as features."""
        from tasks.spec.resolved_features import features_of_attributes

        return features_of_attributes(self.attributes)

    @cached_property
    def resolved_features(self) -> tuple[Feature, ...]:
        """What each name of `features` is, in their order; known to resolve once the file has been loaded."""
        # Here, because it reads the marts' contracts, and DAG files, which need none of them, are parsed all the time.
        from tasks.spec.resolved_features import resolve_features

        return resolve_features(self.features, (*self.attribute_features, *self.retrieval_features))

    def canonical(self) -> dict[str, Any]:
        """Give the one JSON form of the spec; it loads back to an equal spec, and versions are named by its digest."""
        # Defaults are written out, so that a changed default changes the versions that rely on it.
        return self.model_dump(mode="json")


def is_daily(schedule: str | None) -> bool:
    """Tell whether a schedule has one run for every day."""
    return schedule == "@daily" or (schedule is not None and re.fullmatch(r"\d+ \d+ \* \* \*", schedule) is not None)


def json_schema() -> dict[str, Any]:
    """Describe pipeline files as a JSON schema, for editors and for `docs/`."""
    schema = Spec.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "matinee pipeline"}
