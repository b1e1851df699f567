"""Training–serving skew: were the answers of a day computed from the values in the tables?

Every logged value of a feature is compared, bit for bit, with that in the warehouse as of the version's day, by the SQL
that makes training examples. Scores, and features that come from retrieval, are computed again by the engine from the
published version. The last answer of the day tells whether an old version is still served.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Literal

from engine.errors import EngineError
from tasks.checks.profile_columns import shown
from tasks.checks.verdicts import Check
from tasks.errors import MatineeError, first_line
from tasks.evaluation.champion import champion_by_day
from tasks.examples import queries
from tasks.features.engines import warehouse_of
from tasks.features.warehouse import Tables
from tasks.monitoring.drift import SCORE
from tasks.monitoring.published_engines import Column, PublishedEngines
from tasks.monitoring.serving_log import Answer, read_answers, served_dir, served_files
from tasks.spec.feature_catalog import MartFeature, feature_catalog
from tasks.spec.resolved_features import AttributeFeature, CategoryFeature
from tasks.store.files import json_number
from tasks.store.records import Record

if TYPE_CHECKING:
    from tasks.runs.run import Run

SUITE = "skew"
FILE = "skew.json"
NEXT = "see docs/runbooks/drift-or-skew.md."


class FeatureSkew(Record):
    """Counts of the served values of one feature, or of the score."""

    feature: str
    compared: int
    different: int
    missing: int
    level: Literal["not compared", "different", "same"]
    example: str | None
    """The first difference: user, item, version and both values."""

    @property
    def wrong(self) -> int:
        """Values that should not have been served."""
        return self.different + self.missing


class ServedVersion(Record):
    """How many answers a version gave."""

    version: str
    requests: int


class Skew(Record):
    """What `skew.json` says of the answers of a day."""

    days: tuple[str, ...]
    requests: int = 0
    versions: tuple[ServedVersion, ...] = ()
    stale: str | None = None
    """What is wrong with the version that gave the last answer of the day."""
    features: tuple[FeatureSkew, ...] = ()
    """The most differences first."""
    problem: str | None = None
    """Why something could not be compared."""

    @property
    def differs(self) -> bool:
        """Whether anything was served that should not have been, or could not be compared."""
        return any(row.wrong for row in self.features) or bool(self.problem or self.stale)


def skew_of(run: Run) -> Skew | None:
    """Compare what was served on the run's day; None if nothing was logged.

    What cannot be compared is said as `problem`, beside what is known by then.
    """
    import duckdb

    files = served_files(run.home, run.spec.name, run.as_of)
    if not files:
        return None
    skew = Skew(days=(run.as_of.isoformat(),))
    try:
        answers = read_answers(files)
        known = {"requests": len(answers), "versions": _versions(answers), "stale": _stale(run, answers)}
        skew = skew.model_copy(update=known)
        return skew.model_copy(update={"features": _features(run, answers)})
    except (MatineeError, EngineError) as error:
        problem = str(error)
    except duckdb.Error as error:
        problem = (
            f"{warehouse_of(run.home, run.spec.name).location}: the features cannot be read ({first_line(error)}); run "
            f"`matinee build {run.spec.name} --as-of {run.as_of}`, then this again"
        )
    return skew.model_copy(update={"problem": problem})


def _versions(answers: Sequence[Answer]) -> tuple[ServedVersion, ...]:
    by_version = itertools.groupby(sorted(answers, key=lambda a: (a.as_of, a.version)), key=lambda a: a.version)
    return tuple(ServedVersion(version=version, requests=len(list(given))) for version, given in by_version)


def _stale(run: Run, answers: Sequence[Answer]) -> str | None:
    """Say what is wrong with the version that gave the last answer of the day, if a newer one was there by then."""
    # A day's version is made after the day ends, so during the run's day the newest one was that of the day before.
    before = [(day, event) for day, event in champion_by_day(run.home, run.spec).items() if day < run.as_of]
    if not before or not answers or answers[-1].as_of >= before[-1][0]:
        return None
    newest = before[-1][1].version
    return f"the last answer of {run.as_of} came from {answers[-1].version}; {newest} was published by then"


def _features(run: Run, answers: Sequence[Answer]) -> tuple[FeatureSkew, ...]:
    """Compare each feature and the score."""
    tallies: dict[str, _Tally] = {}
    tables = _from_tables(run, answers)
    engines = PublishedEngines(run)
    for number, answer in enumerate(answers):
        # The tables win: a published version only has a copy of their values, and the copy may be wrong.
        expected = {**engines.values(answer), **tables[number]}
        served: dict[str, Column] = {**answer.features, SCORE: answer.scores}
        for name, right in expected.items():
            tally = tallies.setdefault(name, _Tally(name))
            tally.add(answer, served.get(name) or [None] * len(answer.items), right)
        # A feature that nothing here can compute is reported as not compared, rather than left out.
        for name in served.keys() - expected.keys():
            tallies.setdefault(name, _Tally(name))
    order = sorted(tallies.values(), key=lambda tally: (-tally.different - tally.missing, tally.name))
    return tuple(tally.record() for tally in order)


class _Tally:
    """Counts of one feature."""

    def __init__(self, name: str) -> None:
        self.name, self.compared, self.different, self.missing = name, 0, 0, 0
        self.example: str | None = None

    def add(self, answer: Answer, served: Column, expected: Column) -> None:
        for item, got, right in zip(answer.items, served, expected, strict=True):
            self.compared += 1
            if got == right:  # no tolerance: the same code on the same values differs in no bit
                continue
            self.missing += got is None
            self.different += got is not None
            if self.example is None:
                what = "the engine computes" if self.name == SCORE else "the table has"
                self.example = (
                    f"user {answer.user_id}, item {item}, {answer.version}: served {_shown(got)}, "
                    f"{what} {_shown(right)}"
                )

    def record(self) -> FeatureSkew:
        wrong = self.different + self.missing
        return FeatureSkew(
            feature=self.name,
            compared=self.compared,
            different=self.different,
            missing=self.missing,
            level="not compared" if not self.compared else "different" if wrong else "same",
            example=self.example,
        )


def _shown(value: float | None) -> str:
    return "nothing" if value is None else shown(value)


def _from_tables(run: Run, answers: Sequence[Answer]) -> list[dict[str, Column]]:
    """The values of the warehouse for each answer, by feature, as of its version's day.

    Raises:
        MatineeError: the tables have not been built for the day of a version.
    """
    import pyarrow as pa

    # Codes of texts depend on a version's dictionary, so the engine computes those.
    of_attributes = {
        feature.name: feature
        for feature in run.spec.attribute_features
        if not isinstance(feature, CategoryFeature) and feature.attribute.entity != "request"
    }
    known: dict[str, MartFeature | AttributeFeature] = {**feature_catalog().features, **of_attributes}
    names = sorted({name for answer in answers for name in answer.features if name in known})
    if not names:
        return [{} for _ in answers]
    rows = [(number, a.user_id, item, a.as_of) for number, a in enumerate(answers) for item in a.items]
    keys = dict(zip(("answer", "user_id", "item_id", "cut"), zip(*rows, strict=True), strict=True)) if rows else {}
    types = {"answer": pa.int64(), "user_id": pa.string(), "item_id": pa.string(), "cut": pa.date32()}
    points = pa.table({name: pa.array(keys.get(name, ()), kind) for name, kind in types.items()})
    with warehouse_of(run.home, run.spec.name).open() as tables:
        _require_days(tables, run, {answer.as_of for answer in answers})
        tables.add("served_items", points.append_column("place", pa.array(range(len(rows)), pa.int64())))
        rows_in_order = tables.rows(
            queries.feature_values([known[name] for name in names], "served_items", type(tables))
        )
    # The query orders by `place`, so each answer's rows are consecutive, in the order of its items.
    values: list[dict[str, Column]] = []
    at = 0
    for answer in answers:
        rows_of, at = rows_in_order[at : at + len(answer.items)], at + len(answer.items)
        present = [(column, name) for column, name in enumerate(names) if name in answer.features]
        # The log is JSON, where NaN is null; so NaN becomes None here, too.
        values.append({name: [json_number(row[column]) for _, *row in rows_of] for column, name in present})
    return values


def _require_days(tables: Tables, run: Run, days: Iterable[date]) -> None:
    wanted = ", ".join(f"date '{day}'" for day in sorted(days))
    rows = tables.rows(f"select distinct as_of from feat_items where as_of in ({wanted})")
    missing = sorted({*days} - {day for (day,) in rows})
    if missing:
        place = warehouse_of(run.home, run.spec.name).location
        raise MatineeError(
            f"{place}: no features as of {', '.join(map(str, missing))}, the day of a "
            f"version that was served; run `matinee build {run.spec.name} --as-of {missing[0]}`"
        )


def skew_checks(run: Run, skew: Skew) -> list[Check]:
    """The comparison in the form of all checks, for alerts and pages."""
    place = str(served_dir(run.home, run.spec.name, run.as_of))

    def check(column: str, problem: str | None, expected: str, why: str) -> Check:
        return Check(
            suite=SUITE,
            table="served",
            day=run.as_of.isoformat(),
            type="served_against_tables",
            column=column,
            severity="warning",
            success=problem is None,
            observed=problem or "as expected",
            expected=expected,
            why=why,
            next=NEXT,
            place=place,
            line="predictions",
        )

    checks = [
        check("served__version", skew.stale, "the newest version", "An old model does not know what is new."),
        check("served__log", skew.problem, "a log that can be compared", "A check that cannot run is a failure."),
    ]
    for row in skew.features:
        problem = f"{row.wrong} of {row.compared} values differ ({row.example})" if row.wrong else None
        why = "A model that is given other values than it was trained on ranks by accident."
        column = f"{row.feature.replace(' ', '_')}__skew"
        checks.append(check(column, problem, "the same values in every bit", why))
    return checks
