"""Monitor: has the data moved away from what the model was trained on, and is what is served what was computed?

Compares the evaluated examples with the reference that the pipeline file declares (`monitor.reference`): features,
label and the evaluated model's scores (`tasks.monitoring.drift`). Follows the label rate by cut. A drift never fails a
run: it warns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import EngineError
from tasks.checks.profile import parquet
from tasks.checks.verdicts import FILE, Check, log_failed, write_checks
from tasks.errors import MatineeError, SpecError, first_line
from tasks.monitoring import drift, skew
from tasks.monitoring.distributions import UNITS, balance_weekdays, load_sides, positive_rates, shapes, sides
from tasks.monitoring.drift import (
    SCORE,
    CurrentExamples,
    Drift,
    DriftContext,
    DriftTest,
    FeatureDrift,
    LabelRate,
    Level,
    ReferenceExamples,
    drift_checks,
)
from tasks.monitoring.monitor_log import say_drift
from tasks.monitoring.skew import skew_checks, skew_of
from tasks.runs.narration import counted, named, say
from tasks.spec.feature_catalog import MartFeature
from tasks.spec.resolved_features import AttributeFeature, Feature, OverlapFeature
from tasks.spec.retrieval import PopularityRetrieval
from tasks.spec.spec import Spec
from tasks.spec.windows import LONGEST_FEATURE_WINDOW, windows
from tasks.store.database import memory
from tasks.store.records import Record
from tasks.store.sql import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tasks.runs.run import Run

PARTS = ("train", "validation", "test")
REFERENCES = {"train": ("train",), "same_weekday": ("train", "validation")}
CURRENT = ("test", "validation")


class MonitorResult(Record):
    """What the step reports: names by level, and what could not be compared."""

    compared: int
    shifted: tuple[str, ...]
    drifted: tuple[str, ...]
    too_few: tuple[str, ...]
    warming_up: int
    problem: str | None
    skewed: bool

    def summary(self) -> str:
        """How much has moved."""
        names = f": {named(self.drifted)}" if self.drifted else ""
        served = "; what was served differs from the tables" if self.skewed else ""
        return f"{len(self.drifted)} of {self.compared} distributions drifted{names}{served}"


@dataclass(frozen=True)
class ExampleFiles:
    """The examples that are compared: files of the reference, and the part on which the model is evaluated."""

    reference: tuple[Path, ...]
    part: str
    current: Path
    same_weekday: bool


def monitor_step(run: Run) -> MonitorResult:
    """Write `drift.json`, `checks.json`, and `skew.json` if serving has logged answers of the day.

    What cannot be compared is said in them, and never fails the run.
    """
    try:
        shifts = compare_with_reference(run)
    except MatineeError as error:
        shifts = Drift(problem=str(error))
    served = skew_of(run)

    say_drift(shifts)

    def names(level: Level) -> tuple[str, ...]:
        return tuple(record.feature for record in shifts.compared if record.level == level)

    with run.write("monitor") as folder:
        shifts.write(folder.path / drift.FILE)
        checks = checks_of(run, shifts)
        if served is not None:
            say("{answers:,} answers served on {day} compared with the tables", answers=served.requests, day=run.as_of)
            served.write(folder.path / skew.FILE)
            checks += skew_checks(run, served)
        write_checks(folder.path, checks)
        log_failed(checks, run.step_dir("monitor") / FILE)
        folder.result = result = MonitorResult(
            compared=len(shifts.compared),
            shifted=names("shifted"),
            drifted=names("drifted"),
            too_few=names("too_few"),
            warming_up=len(names("warming_up")),
            problem=shifts.problem,
            skewed=served is not None and served.differs,
        )
    return result


def checks_of(run: Run, shifts: Drift) -> list[Check]:
    """Drift in the form of all checks, for alerts and pages; none if nothing was compared."""
    again = evaluated_before(run.spec, run.as_of)
    context = DriftContext(run.as_of, run.step_dir("sample"), run.spec.monitor.acknowledged, again)
    return drift_checks(shifts.compared, context) if shifts.compared else []


def evaluated_before(spec: Spec, as_of: date) -> bool:
    """Whether the run of the day before evaluates on the same cuts: then its drift is no news."""
    if spec.examples.kind == "impressions":
        return False
    try:
        return windows(spec, as_of - timedelta(days=1)).test == windows(spec, as_of).test
    except SpecError:  # the day before has too little history
        return False


def compare_with_reference(run: Run) -> Drift:
    """Compare the evaluated examples of a run with the reference.

    Raises:
        MatineeError: there is nothing to compare, or the files cannot be read; says which.
    """
    import duckdb

    sample = run.step_dir("sample")
    paths = {name: run.file("sample", f"{name}.parquet") for name in PARTS if (sample / f"{name}.parquet").exists()}
    try:
        with memory() as connection:
            rates = _label_rates(connection, paths)
            files = _files(sample, paths, {rate.part for rate in rates}, run.spec)
            shifts = _features(connection, run.spec, files)
            # Last, and its problem apart: a model that cannot score must not cost the comparison of the features.
            scores, problem = _scores_or_problem(connection, run, files)
    except duckdb.Error as error:
        raise MatineeError(f"{sample}: the examples cannot be compared ({first_line(error)})") from None
    return shifts.model_copy(update={"label_rate": rates, "scores": scores, "problem": problem})


def _files(sample: Path, paths: Mapping[str, Path], filled: set[str], spec: Spec) -> ExampleFiles:
    part = next((name for name in CURRENT if name in filled), None)
    kind = spec.monitor.reference
    # If validation stands in for an empty test window, it cannot be its own reference too.
    reference = tuple(paths[name] for name in REFERENCES[kind] if name in filled and name != part)
    if part is None or not reference:
        raise MatineeError(
            f"{sample}: expected examples to train and to evaluate on, found them for "
            f"{', '.join(sorted(filled)) or 'nothing'}; nothing to compare"
        )
    return ExampleFiles(reference, part, paths[part], kind == "same_weekday")


def _features(connection: DuckDBPyConnection, spec: Spec, files: ExampleFiles) -> Drift:
    names = list(spec.features)
    load_sides(connection, [parquet(files.reference), parquet([files.current])], [*names, "grade"])
    spans = _weigh(connection, files)
    by_column = shapes(connection, [*names, "grade"])
    before, after = both = sides(connection)
    test = DriftTest(both, tests(spec))
    # The day of the first cut is part of the history: features as of it have seen it.
    history = (spans[0][0] - spec.start).days + 1
    features = [
        test.test(feature.name, by_column[feature.name], unit_of(feature), warming_up=window_of(feature) > history)
        for feature in counted(spec.resolved_features, "features")
    ]
    (first, last), (current_first, current_last) = spans
    return Drift(
        reference=ReferenceExamples(
            kind=spec.monitor.reference, first=first, last=last, rows=before.rows, groups=before.groups
        ),
        current=CurrentExamples(
            part=files.part, first=current_first, last=current_last, rows=after.rows, groups=after.groups
        ),
        features=tuple(sorted(features, key=lambda record: (-record.psi, record.feature))),
        label=test.label(by_column["grade"], positive_rates(connection)),
    )


def _scores_or_problem(
    connection: DuckDBPyConnection, run: Run, files: ExampleFiles
) -> tuple[FeatureDrift | None, str | None]:
    try:
        return _scores(connection, run, files), None
    except (MatineeError, EngineError) as error:
        return None, f"the model's scores cannot be compared: {error}"


def _scores(connection: DuckDBPyConnection, run: Run, files: ExampleFiles) -> FeatureDrift | None:
    """Compare what the evaluated model gives both sides; None where the run has trained none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tasks.evaluation.evaluate import model_scores

    if not any(run.step_dir("train").glob("*/result.json")):
        return None
    names = []
    for side, paths in (("scored_reference", files.reference), ("scored_current", (files.current,))):
        table = pa.concat_tables([pq.read_table(path) for path in paths])
        scores = pa.array(model_scores(run, table))
        connection.register(side, table.select([*UNITS, "cut", "weight"]).append_column("score", scores))
        names.append(side)
    # This replaced `compared`, so the weekdays must be weighed again.
    load_sides(connection, names, ["score"])
    _weigh(connection, files)
    return DriftTest(sides(connection), tests(run.spec)).test(SCORE, shapes(connection, ["score"])["score"], "user_id")


def tests(spec: Spec) -> int:
    """The number of tests of a run: two statistics for each feature, the label and the scores."""
    return 2 * (len(spec.features) + 2)


def _weigh(connection: DuckDBPyConnection, files: ExampleFiles) -> list[tuple[date, date]]:
    """Weigh the weekdays if they are to match; give the first and last cut of both sides.

    Raises:
        MatineeError: no day of the reference has a weekday of the evaluated window.
    """
    if files.same_weekday:
        balance_weekdays(connection)
    rows = connection.execute("select side, min(cut), max(cut) from compared group by side order by side").fetchall()
    if len(rows) < 2:
        raise MatineeError(
            f"{files.current.parent}: no cut before the evaluated window falls on one of its weekdays; nothing to "
            "compare. Choose `monitor: {reference: train}`, or a longer window to train on"
        )
    return [(first, last) for _, first, last in rows]


def unit_of(feature: Feature) -> str:
    """What a feature's values are independent draws of: users, items for what belongs to items, or lists."""
    if isinstance(feature, MartFeature):
        return "item_id" if feature.entity == "item" else "user_id"
    if isinstance(feature, OverlapFeature):
        return "user_id"
    if isinstance(feature, AttributeFeature):
        return {"user": "user_id", "item": "item_id", "request": "group_id"}[feature.attribute.entity]
    return "item_id" if isinstance(feature.retrieval, PopularityRetrieval) else "user_id"


def window_of(feature: Feature) -> int:
    """How many days a feature looks back; 0 for one that looks at no window."""
    if isinstance(feature, MartFeature):
        return feature.window
    if isinstance(feature, AttributeFeature):
        return LONGEST_FEATURE_WINDOW.days if isinstance(feature, OverlapFeature) else 0
    retrieval = feature.retrieval
    return retrieval.window if isinstance(retrieval, PopularityRetrieval) else LONGEST_FEATURE_WINDOW.days


def _label_rates(connection: DuckDBPyConnection, files: Mapping[str, Path]) -> tuple[LabelRate, ...]:
    """Share of positive examples of each cut, weighted back to the population."""
    if not files:
        return ()
    scans = [
        f"select {literal(name)} as part, cut, group_id, grade, weight from {parquet([path])}"
        for name, path in files.items()
    ]
    rows = connection.execute(
        "select cut, part, count(*), count(distinct group_id), "
        "coalesce(sum(weight) filter (where grade > 0), 0) / sum(weight) "
        f"from ({' union all '.join(scans)}) group by cut, part order by cut, part"
    ).fetchall()
    return tuple(
        LabelRate(cut=cut, part=part, rows=count, groups=groups, rate=round(rate or 0.0, 9))
        for cut, part, count, groups, rate in rows
    )
