"""Expectation suites: hand-written Great Expectations JSON, read and checked before anything is measured.

A suite says in `meta.measure` what SQL has to measure (`tasks.checks.profile`) and in `expectations` what Great
Expectations has to judge (`tasks.checks.gx`). Both speak of the same profile columns, `<subject>__<measure>`:
an expectation on something that is not measured is an error here, not a check that silently never runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from tasks.checks.profile_sql import family
from tasks.checks.suite_parts import (
    CHEAP_MEASURES,
    COLUMN_MEASURES,
    COMPARED_MEASURES,
    FAMILY_MEASURES,
    PREDICTION_MEASURES,
    REJECT_MEASURES,
    RULE_MEASURES,
    RUN_PARAMETERS,
    TABLE_MEASURES,
    TRAILING,
    Expectation,
    Part,
    SuiteMeta,
)
from tasks.errors import CheckFailed
from tasks.spec.yaml_lines import nearest

EXPECTATIONS = Path(__file__).resolve().parents[2] / "expectations"


class Suite(Part):
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
