"""The evaluation record: one measured figure, as it stands in `records.json` and in every descriptor.

Readers ask `overall` and `select` for records instead of comparing fields one by one.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from engine.closed import Closed, FiniteFloat

MODEL = "model"
MODEL_WITHOUT_RERANK = "model_without_rerank"
"""The model's lists before they are re-ranked, where they are."""
CHAMPION = "champion"
ALONE = "feature:"
"""How the name of a contender begins that is one feature alone."""
EVERYBODY = "*"
"""The population of figures over all groups; as a model, `*` serves whoever has no model of their own."""


def alone(feature: str) -> str:
    """Name the contender that is one feature alone."""
    return f"{ALONE}{feature}"


def feature_of(contender: str) -> str | None:
    """Name the feature that a contender is; None if it is no single feature."""
    return contender.removeprefix(ALONE) if contender.startswith(ALONE) else None


class EvaluationRecord(Closed):
    """One measured figure. `of` is what was measured: model, popularity, history, champion, feature:als_score …"""

    metric: str
    of: str
    population: str = EVERYBODY
    slice: dict[str, str] | str | None = None
    value: FiniteFloat | None
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    groups: int = Field(ge=0)
    definition: str
    window: str | None = None

    @property
    def is_overall(self) -> bool:
        """Whether the figure covers all groups, not one population or one slice of them."""
        return self.population == EVERYBODY and self.slice is None

    @property
    def feature(self) -> str | None:
        """The feature that was measured alone; None if it was something else."""
        return feature_of(self.of)


class Evaluation(BaseModel):
    """All figures as one flat list, and whatever else belongs to them."""

    model_config = ConfigDict(extra="allow", frozen=True)
    records: tuple[EvaluationRecord, ...] = ()


def select(
    records: Iterable[EvaluationRecord],
    *,
    metric: str | None = None,
    of: str | None = None,
    is_overall: bool | None = None,
) -> list[EvaluationRecord]:
    """Select records in their order; an argument that is None does not restrict.

    Args:
        records: the flat list of an evaluation.
        metric: name of a metric, such as `ndcg@10`.
        of: the contender that was measured.
        is_overall: True for figures over all groups, False for those of populations and slices.
    """
    return [
        record
        for record in records
        if metric in {None, record.metric} and of in {None, record.of} and is_overall in {None, record.is_overall}
    ]


def features_alone(records: Iterable[EvaluationRecord], metric: str) -> list[EvaluationRecord]:
    """Select the figures of features alone by a metric, the strongest first."""
    measured = [r for r in select(records, metric=metric, is_overall=True) if r.feature and r.value is not None]
    # By name where values are equal, so that a page is the same each time it is made.
    return sorted(measured, key=lambda record: (-(record.value or 0.0), record.of))


def overall(records: Iterable[EvaluationRecord], metric: str, of: str) -> EvaluationRecord | None:
    """Find a contender's figure over all groups; None if it was not measured."""
    return next(iter(select(records, metric=metric, of=of, is_overall=True)), None)
