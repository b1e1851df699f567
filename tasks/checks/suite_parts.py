"""The parts of an expectation suite: closed, frozen models."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.checks.profile_columns import ProfileColumn, TrailingBound
from tasks.checks.verdicts import Severity

TABLE_MEASURES = (
    "rows",
    "rows_vs_trailing",
    "rows_vs_manifest",
    "missing_days",
    "unexpectedly_empty",
    "unparsed__rate",
    "missing_columns",
    "unexpected_columns",
    "mistyped_columns",
    "key__null_rate",
    "key__duplicate_rate",
    "key__seen_before_rate",
    "with_features_share",
    "changed_share",
    "positives",
    "positive__rate",
)


COMPARED_MEASURES = ("mix_unusual", "mix_broken", "vanished", "seen_before_rate")
"""Of a column, against the trailing days."""


COLUMN_MEASURES = (
    "null_rate",
    "min",
    "max",
    "mean",
    "std",
    "median",
    "p05",
    "p95",
    "distinct",
    "approx_distinct",
    "top_share",
    "not_finite_rate",
    "unreadable_rate",
    "null_word_rate",
    "hours_to_end",
    *COMPARED_MEASURES,
)


FAMILY_MEASURES = ("null_rate", "not_finite_rate", "min", "max", "constant", "all_null")


RULE_MEASURES = ("rate",)


CHEAP_MEASURES = ("rows", "rows_vs_manifest", "missing_columns", "unexpected_columns", "mistyped_columns")
"""What the manifest of a partition and the footer of its file tell, without reading the rows."""


PARAMETER = "$PARAMETER"
"""Key by which Great Expectations marks an argument that is filled in later."""

RUN_PARAMETERS = ("highest_grade", "horizon_days", "lateness_days")
"""What `{"$PARAMETER": …}` may name of the run."""


class Part(BaseModel):
    """What all parts share: no unknown keys, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ExpectationMeta(Part):
    """What Great Expectations does not know about an expectation."""

    why: str = Field(min_length=1, description="One sentence: what goes wrong if it fails.")
    next: str | None = Field(default=None, description="What to do if it fails; the suite's, if absent.")
    days: Literal["as_of", "all"] = Field(
        default="as_of", description="`all`: every landed day is checked, from manifests and file footers."
    )
    unmeasured: Literal["fails", "passes"] = Field(
        default="fails",
        description="Whether it passes where there is nothing to measure (no trailing days yet).",
    )
    floor: float | None = Field(
        default=None,
        gt=0,
        description="Half the width that a band of trailing days has at least: absolute for shares and hours, else "
        "relative. 0.02, 3 hours and 0.25, if absent.",
    )


class Expectation(Part):
    """One expectation of a suite, as Great Expectations writes it."""

    # Only expectations on single values: rows are profiles, and an aggregate would mix several days or tables.
    type: str = Field(pattern=r"^expect_column_values_to_[a-z_]+$")
    kwargs: dict[str, Any]
    severity: Severity
    meta: ExpectationMeta

    @property
    def column(self) -> ProfileColumn:
        """Profile column that it is about."""
        return ProfileColumn.parse(self.kwargs["column"])

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names that still stand for values of the run or of the trailing days."""
        return tuple(name for value in self.kwargs.values() if (name := parameter_in(value)))

    @property
    def looks_back(self) -> bool:
        """Whether it needs the trailing days."""
        return self.column.measure in COMPARED_MEASURES or any(map(TrailingBound.parse, self.parameters))

    def about(self, subject: str) -> Expectation:
        """The same expectation on another subject, its trailing bounds included."""
        column = ProfileColumn(subject, self.column.measure)
        kwargs = {**self.kwargs, "column": column.name}
        for key, value in self.kwargs.items():
            bound = TrailingBound.parse(parameter_in(value) or "")
            if bound is not None:
                kwargs[key] = {PARAMETER: TrailingBound(column.name, bound.bound).name}
        return self.model_copy(update={"kwargs": kwargs})


def parameter_in(value: Any) -> str | None:
    """The name in an argument `{"$PARAMETER": name}`; None for any other argument."""
    return str(value[PARAMETER]) if isinstance(value, dict) and set(value) == {PARAMETER} else None


class ProfileDeclaration(Part):
    """What SQL has to know to measure a table."""

    columns: dict[str, str] = Field(default={}, description="Columns the table must have, with DuckDB types.")
    key: tuple[str, ...] = Field(default=(), description="Columns that name a row.")
    unit: str | None = Field(
        default=None,
        description="Column whose rows come together (an invoice, a request): chance works on units, not on rows.",
    )
    rules: dict[str, str] = Field(default={}, description="Conditions whose rate is measured.")
    families: dict[str, tuple[str, ...]] = Field(
        default={}, description="Column names (`*ctr*`) or types (`type:FLOAT`) measured as one."
    )


class Trailing(Part):
    """Which earlier days a day is compared with."""

    days: int = Field(default=28, ge=2, le=92, description="Calendar days before the as-of day.")
    least: int = Field(default=5, ge=2, description="Fewer non-empty days than this give no bounds.")
    weekdays: bool = Field(
        default=False, description="Whether a day is like the same weekdays before (from three of them on)."
    )


class SuiteMeta(Part):
    """What a suite is about."""

    about: str = Field(min_length=1)
    next: str = Field(min_length=1, description="What to do when one of its checks fails.")
    measure: ProfileDeclaration = ProfileDeclaration()
    trailing: Trailing = Trailing()


REJECT_MEASURES = ("rejected", "rate", "rate_vs_trailing")
"""Columns of the profiles of rejected rows, one for each table and rule."""


PREDICTION_MEASURES = (
    "lists",
    "scored_share",
    "score_spread",
    "constant_list_share",
    "distinct_score_share",
    "catalog_coverage_share",
    "same_list_share",
    *(f"{of}_{what}" for of in ("refit", "champion") for what in ("correlation", "overlap_share", "rbo")),
)
"""Columns of the profiles of predictions (`tasks.checks.list_statistics`), one for each population."""
