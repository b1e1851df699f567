"""Expectation suites: hand-written Great Expectations JSON, read and checked before anything is measured.

A suite says in `meta.measure` what SQL has to measure (`tasks.profile`) and in `expectations` what Great
Expectations has to judge (`tasks.judge`). Both speak of the same profile columns, `<subject>__<measure>`:
an expectation on something that is not measured is an error here, not a check that silently never runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tasks.errors import CheckFailed
from tasks.measures import family
from tasks.yaml_lines import nearest

EXPECTATIONS = Path(__file__).resolve().parent.parent / "expectations"

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
    "hours_to_end",
    *COMPARED_MEASURES,
)
FAMILY_MEASURES = ("null_rate", "not_finite_rate", "min", "max", "constant", "all_null")
RULE_MEASURES = ("rate",)
CHEAP_MEASURES = ("rows", "rows_vs_manifest", "missing_columns", "unexpected_columns", "mistyped_columns")
"""What can be said of a partition from its manifest and the footer of its file, without reading the rows."""

RUN_PARAMETERS = ("highest_grade", "horizon_days", "lateness_days")
"""What `{"$PARAMETER": …}` may name of the run."""
TRAILING = ("trailing_lowest", "trailing_low", "trailing_high", "trailing_highest")
"""`<profile column>__<one of these>`: the bounds that the trailing days give (`tasks.trailing`)."""

Severity = Literal["critical", "warning", "info"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExpectationMeta(_Part):
    """What Great Expectations does not know about an expectation."""

    why: str = Field(min_length=1, description="One sentence: what goes wrong if it does not hold.")
    next: str | None = Field(default=None, description="What to do if it does not hold; the suite's, if absent.")
    days: Literal["as_of", "all"] = Field(
        default="as_of", description="`all`: every landed day is judged, from manifests and file footers."
    )
    unmeasured: Literal["fails", "passes"] = Field(
        default="fails",
        description="Whether it holds where there is nothing to measure (no trailing days yet).",
    )
    floor: float | None = Field(
        default=None,
        gt=0,
        description="Half the width that a band of trailing days has at least: absolute for shares and hours, else "
        "relative. 0.02, 3 hours and 0.25, if absent.",
    )


class Expectation(_Part):
    """One expectation of a suite, as Great Expectations writes it."""

    type: str = Field(pattern=r"^expect_column_values_to_[a-z_]+$")
    kwargs: dict[str, Any]
    severity: Severity
    meta: ExpectationMeta

    @property
    def column(self) -> str:
        """Profile column that is judged."""
        return str(self.kwargs["column"])

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names that stand for values of the run or of the trailing days."""
        named = [value["$PARAMETER"] for value in self.kwargs.values() if is_parameter(value)]
        return tuple(str(name) for name in named)

    @property
    def looks_back(self) -> bool:
        """Whether it needs the trailing days."""
        measure = self.column.rpartition("__")[2]
        return measure in COMPARED_MEASURES or any(name.rpartition("__")[2] in TRAILING for name in self.parameters)


def is_parameter(value: Any) -> bool:
    """Whether an argument of an expectation is `{"$PARAMETER": name}`."""
    return isinstance(value, dict) and set(value) == {"$PARAMETER"}


class Measure(_Part):
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


class Trailing(_Part):
    """Which earlier days a day is compared with."""

    days: int = Field(default=28, ge=2, le=92, description="Calendar days before the as-of day.")
    least: int = Field(default=5, ge=2, description="Fewer non-empty days than this give no bounds.")
    weekdays: bool = Field(
        default=False, description="Whether a day is like the same weekdays before (from three of them on)."
    )


class SuiteMeta(_Part):
    """What a suite is about."""

    about: str = Field(min_length=1)
    next: str = Field(min_length=1, description="What to do when one of its checks fails.")
    measure: Measure = Measure()
    trailing: Trailing = Trailing()


class Suite(_Part):
    """A suite of expectations on one table."""

    name: str
    meta: SuiteMeta
    expectations: tuple[Expectation, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _every_expectation_is_measured(self) -> Suite:
        for expectation in self.expectations:
            self._check(expectation)
        return self

    def _check(self, expectation: Expectation) -> None:
        if "column" not in expectation.kwargs:
            raise ValueError(f"{expectation.type}: the key kwargs.column is missing")
        column = expectation.column
        if column not in TABLE_MEASURES + REJECT_MEASURES + PREDICTION_MEASURES:
            subject, _, measure = column.rpartition("__")
            allowed = self._measures(subject)
            if measure not in allowed:
                names = [*TABLE_MEASURES, *(f"{subject or '<column>'}__{name}" for name in allowed)]
                raise ValueError(
                    f"unknown profile column {column!r}; expected one of {', '.join(names)}" + nearest(column, names)
                )
        for name in expectation.parameters:
            known = [*RUN_PARAMETERS, *(f"{column}__{bound}" for bound in TRAILING)]
            if name not in known:
                raise ValueError(
                    f"{column}: unknown parameter {name!r}; expected one of {', '.join(known)}" + nearest(name, known)
                )
        if expectation.meta.days == "all" and column not in CHEAP_MEASURES:
            raise ValueError(
                f"{column!r} with days: all; only {', '.join(CHEAP_MEASURES)} are known without reading the rows"
            )

    def _measures(self, subject: str) -> tuple[str, ...]:
        measure = self.meta.measure
        if subject in measure.rules:
            return RULE_MEASURES
        if subject in measure.families:
            return tuple(dict.fromkeys((*FAMILY_MEASURES, *COLUMN_MEASURES)))
        if measure.columns and subject and subject not in measure.columns:
            known = [*measure.columns, *measure.rules, *measure.families]
            raise ValueError(
                f"unknown column, rule or family {subject!r}; expected one of {', '.join(known)}"
                + nearest(subject, known)
            )
        return COLUMN_MEASURES

    @property
    def asked(self) -> tuple[str, ...]:
        """Profile columns its expectations judge, in order, each once."""
        return tuple(dict.fromkeys(expectation.column for expectation in self.expectations))

    @property
    def measured(self) -> tuple[str, ...]:
        """Profile columns that the rows of one day have to be measured for, whatever they are compared with."""
        return tuple(dict.fromkeys(_measured(column) for column in self.asked))

    def for_columns(self, found: Mapping[str, str]) -> Suite:
        """Return the suite for a table of these columns (name: DuckDB type).

        What is compared with the trailing days of a family is compared for each of its columns.
        """
        expectations: list[Expectation] = []
        for expectation in self.expectations:
            subject, _, measure = expectation.column.rpartition("__")
            each = (subject in self.meta.measure.families and measure not in FAMILY_MEASURES) or expectation.looks_back
            if not each or subject not in self.meta.measure.families:
                expectations.append(expectation)
                continue
            for column in family(self.meta.measure, subject, found):
                text = json.dumps(expectation.kwargs).replace(f'"{subject}__', f'"{column}__')
                expectations.append(expectation.model_copy(update={"kwargs": json.loads(text)}))
        return self.model_copy(update={"expectations": tuple(expectations)})


def _measured(column: str) -> str:
    subject, _, measure = column.rpartition("__")
    if measure not in COMPARED_MEASURES:
        return column
    return f"{subject}__{'sketch' if measure == 'seen_before_rate' else 'mix'}"


REJECT_MEASURES = ("rejected", "rate", "rate_vs_trailing")
"""Columns of the profile of refused rows, which has a row for each table and rule."""
PREDICTION_MEASURES = (
    "lists",
    "scored_share",
    "score_spread",
    "constant_list_share",
    "distinct_score_share",
    "catalogue_coverage_share",
    "same_list_share",
    *(f"{of}_{what}" for of in ("refit", "champion") for what in ("correlation", "overlap_share", "rbo")),
)
"""Columns of the profile of predictions (`tasks.predictions`), which has a row for each population."""


def parse_suite(text: str, place: str) -> Suite:
    """Read a suite from JSON.

    Raises:
        CheckFailed: it is no suite; a check that cannot be read cannot run.
    """
    try:
        return Suite.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        raise CheckFailed(f"{place}:{error.lineno}: not valid JSON ({error.msg})") from None
    except ValidationError as error:
        problems = [f"{place}: {_explain(problem)}" for problem in error.errors()]
        raise CheckFailed("\n".join(problems)) from None


def _explain(problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    return f"{key}: {message}" if key else message


def load_suite(name: str, folder: Path = EXPECTATIONS) -> Suite:
    """Read `expectations/<name>.json`.

    Raises:
        CheckFailed: the file is missing, is no suite, or calls itself something else.
    """
    path = folder / f"{name}.json"
    if not path.exists():
        raise CheckFailed(
            f"{path}: no such suite; expected one of {', '.join(suite_names(folder))}"
            + nearest(name, suite_names(folder))
        )
    suite = parse_suite(path.read_text(encoding="utf-8"), str(path))
    if suite.name != name:
        raise CheckFailed(f"{path}: name: found {suite.name!r}, expected {name!r}, the name of the file")
    return suite


def suite_names(folder: Path = EXPECTATIONS) -> list[str]:
    """Return the names of all suites."""
    return sorted(path.stem for path in folder.glob("*.json"))


def suite_for(staging: str, table: str, fallback: str, folder: Path = EXPECTATIONS) -> Suite:
    """Return the suite `<staging>.<table>`, or the fallback where the source has none of its own."""
    own = f"{staging}.{table}"
    return load_suite(own if own in suite_names(folder) else fallback, folder)


def own_tables(staging: str, names: Iterable[str]) -> list[str]:
    """Return the tables that suites of this source are written for."""
    prefix = f"{staging}."
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
