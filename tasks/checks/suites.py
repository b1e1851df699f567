"""Expectation suites: hand-written Great Expectations JSON, read and checked before anything is measured.

A suite says in `meta.measure` what SQL has to measure (`tasks.checks.profile`) and in `expectations` what Great
Expectations has to evaluate (`tasks.checks.gx`). Both speak of the same profile columns, `<subject>__<measure>`:
an expectation on something that is not measured is an error here, not a check that silently never runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from tasks.checks.own_suites import extended
from tasks.checks.profile_columns import BOUNDS, ProfileColumn, TrailingBound
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
    Expectation,
    Part,
    SuiteMeta,
)
from tasks.errors import CheckFailed, SpecError
from tasks.spec.project import Layers, expectations, transforms
from tasks.spec.yaml_lines import nearest, read_document


class Suite(Part):
    """A suite of expectations on one table."""

    name: str
    meta: SuiteMeta
    expectations: tuple[Expectation, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _every_expectation_is_measured(self) -> Suite:
        for number, expectation in enumerate(self.expectations):
            try:
                self._check(expectation)
            except ValueError as error:
                raise ValueError(f"expectations.{number}: {error}") from None
        return self

    def _check(self, expectation: Expectation) -> None:
        if "column" not in expectation.kwargs:
            raise ValueError(f"{expectation.type}: the key kwargs.column is missing")
        column = expectation.column
        if column.name not in TABLE_MEASURES + REJECT_MEASURES + PREDICTION_MEASURES:
            allowed = self._measures(column.subject)
            if column.measure not in allowed:
                names = [*TABLE_MEASURES, *(f"{column.subject or '<column>'}__{name}" for name in allowed)]
                raise ValueError(_unknown("profile column", column.name, names))
        for name in expectation.parameters:
            known = [*RUN_PARAMETERS, *(TrailingBound(column.name, bound).name for bound in BOUNDS)]
            if name not in known:
                raise ValueError(f"{column.name}: {_unknown('parameter', name, known)}")
        if expectation.meta.days == "all" and column.name not in CHEAP_MEASURES:
            raise ValueError(
                f"{column.name!r} with days: all; only {', '.join(CHEAP_MEASURES)} are known without reading the rows"
            )

    def _measures(self, subject: str) -> tuple[str, ...]:
        measure = self.meta.measure
        if subject in measure.rules:
            return RULE_MEASURES
        if subject in measure.families:
            return tuple(dict.fromkeys((*FAMILY_MEASURES, *COLUMN_MEASURES)))
        if measure.columns and subject and subject not in measure.columns:
            known = [*measure.columns, *measure.rules, *measure.families]
            raise ValueError(_unknown("column, rule or family", subject, known))
        return COLUMN_MEASURES

    @property
    def columns(self) -> tuple[ProfileColumn, ...]:
        """Profile columns that its expectations are about, in order, each once."""
        return tuple(dict.fromkeys(expectation.column for expectation in self.expectations))

    @property
    def measured_columns(self) -> tuple[ProfileColumn, ...]:
        """Profile columns that SQL has to measure of the rows of a day, whatever they are compared with."""
        return tuple(dict.fromkeys(_measured(column) for column in self.columns))

    def for_columns(self, types: Mapping[str, str]) -> Suite:
        """Resolve the families for a table of these columns (name: DuckDB type).

        A family is measured as one; what is compared with trailing days is compared for each of its columns, since
        the worst column of a day need not be that of the days before.
        """
        families = self.meta.measure.families
        expectations: list[Expectation] = []
        for expectation in self.expectations:
            column = expectation.column
            each = column.measure not in FAMILY_MEASURES or expectation.looks_back
            if column.subject in families and each:
                members = family(self.meta.measure, column.subject, types)
                expectations += [expectation.about(member) for member in members]
            else:
                expectations.append(expectation)
        return self.model_copy(update={"expectations": tuple(expectations)})

    def without_families(self, names: Sequence[str]) -> Suite:
        """Leave out the expectations of families that a table has no columns of."""
        kept = tuple(expectation for expectation in self.expectations if expectation.column.subject not in names)
        return self.model_copy(update={"expectations": kept})


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    return f"unknown {what} {name!r}; expected one of {', '.join(known)}{nearest(name, known)}"


def _measured(column: ProfileColumn) -> ProfileColumn:
    # SQL sees a single day, so it measures the sketch or mix that is compared with other days later.
    if column.measure not in COMPARED_MEASURES:
        return column
    return column.sibling("sketch" if column.measure == "seen_before_rate" else "mix")


def parse_suite(text: str, place: str) -> Suite:
    """Read a suite from JSON.

    Raises:
        CheckFailed: it is not a suite; a check that cannot be read cannot run.
    """
    return _suite(_json(text, place), place)


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise CheckFailed(f"{place}:{error.lineno}: not valid JSON ({error.msg})") from None


def _suite(document: Any, place: str, at: Callable[[Sequence[Any]], str] | None = None) -> Suite:
    """Check the shape of a suite; `at` names the place of a key in its file, where there is one."""
    try:
        return Suite.model_validate(document)
    except ValidationError as error:
        problems = [_explained(problem) for problem in error.errors()]
        lines = [f"{at(where) if at else place}: {text}" for where, text in problems]
        raise CheckFailed("\n".join(lines)) from None


def _explained(problem: Any) -> tuple[tuple[Any, ...], str]:
    """Where a problem is, and what it is."""
    message = problem["msg"].removeprefix("Value error, ")
    if unmeasured := re.match(r"expectations\.(\d+): ", message):
        return ("expectations", int(unmeasured[1])), message
    key = ".".join(str(part) for part in problem["loc"])
    return tuple(problem["loc"]), f"{key}: {message}" if key else message


def load_suite(name: str, folder: Path | None = None) -> Suite:
    """Read `expectations/<name>.json`: matinee's, with what a suite of that name of the project adds to it.

    Args:
        name: of the suite.
        folder: of its file; those of matinee and of the project if absent.

    Raises:
        CheckFailed: the file is missing, is not a suite, or has another name than its own.
    """
    files = _files(folder)
    if name not in files:
        place = (expectations().own if folder is None else folder) / f"{name}.json"
        raise CheckFailed(
            f"{place}: no such suite; expected one of {', '.join(sorted(files))}" + nearest(name, sorted(files))
        )
    document: Any = None
    for path in files[name]:
        added = _json(path.read_text(encoding="utf-8"), str(path))
        document = extended(document, added)
        suite = _suite(document, str(path), partial(_line_of, path, document, added))
        if suite.name != name:
            raise CheckFailed(f"{path}: name: found {suite.name!r}, expected {name!r}, the name of the file")
    return suite


def _line_of(path: Path, whole: Any, added: Any, location: Sequence[Any]) -> str:
    """Name the line of a key of a suite in the file that added it."""
    where, *behind = location or ("",)
    if where == "expectations" and behind and _count(added):
        # Those of the file stand behind those that it was added to.
        behind[0] -= _count(whole) - _count(added)
    try:
        return read_document(path).at((where, *behind))  # every JSON is YAML, whose lines are known
    except SpecError:  # a list, say, has no keys
        return str(path)


def _count(document: Any) -> int:
    found = document.get("expectations") if isinstance(document, dict) else None
    return len(found) if isinstance(found, list) else 0


def check_own_suites() -> None:
    """Read every suite that the project has a file of, as its checks will.

    Raises:
        CheckFailed: one of them is none, by file and line.
    """
    own = expectations().own
    for name, files in sorted(_files(None).items()):
        if any(path.parent == own for path in files):
            load_suite(name)


def _files(folder: Path | None) -> dict[str, list[Path]]:
    """The files of each suite: matinee's, then the project's."""
    files: dict[str, list[Path]] = {}
    suites, sql = (expectations(), transforms()) if folder is None else (Layers((folder,)), Layers(()))
    # A data set of the project that is called like one of matinee's has nothing to do with its suites.
    own = {path.stem for root in sql.folders[1:] for path in root.glob("datasets/*.yaml")}
    for path in suites.glob("*.json"):
        if path.stem.partition(".")[0] not in own or path.parent == suites.own:
            files.setdefault(path.stem, []).append(path)
    return files


def suite_names(folder: Path | None = None) -> list[str]:
    """The names of all suites, in order."""
    return sorted(_files(folder))


def suite_for(staging: str, table: str, fallback: str, folder: Path | None = None) -> Suite:
    """The suite `<staging>.<table>`, or the fallback where the source has none of its own."""
    name = f"{staging}.{table}"
    return load_suite(name if name in suite_names(folder) else fallback, folder)


def tables_with_suites(staging: str, names: Iterable[str]) -> list[str]:
    """The tables of a source that suites are written for."""
    prefix = f"{staging}."
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
