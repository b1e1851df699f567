"""Great Expectations evaluates profiles: small frames of numbers that SQL has measured.

Ephemeral contexts only: nothing is written, nothing is sent, and a check that could not run counts as failed.
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.checks.profile_columns import ProfileColumn, TrailingBound, shown
from tasks.checks.profile_row import Profile
from tasks.checks.suite_parts import Expectation, parameter_in
from tasks.checks.suites import Suite
from tasks.checks.verdicts import Check
from tasks.errors import CheckFailed, count_of, first_line

if TYPE_CHECKING:
    from tasks.runs.run import Run

Parameters = Mapping[str, float]
"""Values of the run that suites may name as `{"$PARAMETER": …}`."""


def run_parameters(run: Run) -> Parameters:
    """What suites may name of a run."""
    return {
        "highest_grade": max(rule.grade for rule in run.spec.label.grades),
        "horizon_days": run.spec.label.horizon,
        "lateness_days": run.spec.label.lateness,
    }


def evaluate_suite(
    suite: Suite, profiles: Sequence[Profile], parameters: Parameters, *, earlier: Sequence[Profile] = ()
) -> list[Check]:
    """Evaluate profiles by a suite.

    Args:
        suite: what is expected.
        profiles: with the measures that the suite expects; with histories where bounds come from earlier days.
        parameters: values of the run.
        earlier: earlier days with the cheap measures, for the expectations on all days.

    Raises:
        CheckFailed: there are no profiles, a measure or parameter is missing, or Great Expectations rejected the suite.
    """
    if not profiles:
        raise CheckFailed(f"suite {suite.name}: nothing was given to check; a check of nothing is a failure")
    known = {name for profile in profiles for name in profile.measures}
    missing = [column.name for column in suite.columns if column.name not in known]
    if missing:
        raise CheckFailed(
            f"suite {suite.name}: {', '.join(missing)} not measured; a check that cannot run is a failure"
        )
    evaluation = _Evaluation(suite, tuple(_with_run_values(suite, e, parameters) for e in suite.expectations))
    checks = evaluation.of(range(len(suite.expectations)), profiles)
    every_day = [n for n, expectation in enumerate(suite.expectations) if expectation.meta.days == "all"]
    if every_day and earlier:
        checks += _summed_up(evaluation.of(every_day, earlier), earlier)
    return checks


def _with_run_values(suite: Suite, expectation: Expectation, parameters: Parameters) -> Expectation:
    """Fill in what the run knows; what the trailing days say is different for each profile."""
    kwargs = dict(expectation.kwargs)
    for key, value in kwargs.items():
        name = parameter_in(value)
        if name is None or TrailingBound.parse(name):
            continue
        if name not in parameters:
            raise CheckFailed(
                f"suite {suite.name}: {expectation.column.name}: no value for the parameter {name!r}; "
                f"expected one of {', '.join(sorted(parameters))}"
            )
        kwargs[key] = parameters[name]
    return expectation.model_copy(update={"kwargs": kwargs})


@dataclass(frozen=True)
class _Evaluation:
    """A suite and its expectations, with the values of the run."""

    suite: Suite
    expectations: tuple[Expectation, ...]

    def of(self, numbers: Sequence[int], profiles: Sequence[Profile]) -> list[Check]:
        """Evaluate the expectations of these numbers, each on all profiles.

        Profiles are evaluated together, but for the expectations whose bounds are different for each of them.
        """
        fixed = {n: self.expectations[n] for n in numbers if not self.expectations[n].parameters}
        bounded = [n for n in numbers if n not in fixed]
        # One profile has all its expectations evaluated at once: a call of Great Expectations costs 50 ms or more.
        alone = len(profiles) == 1
        failed = {} if alone else _validate(self.suite, fixed, profiles)
        checks = {
            (n, place): self._check(expectation, profile, passed=place not in failed[n])
            for n, expectation in ({} if alone else fixed).items()
            for place, profile in enumerate(profiles)
        }
        for place, profile in enumerate(profiles):
            expectations = {n: _with_bounds(self.expectations[n], profile) for n in bounded} | (fixed if alone else {})
            ready = {n: expectation for n, expectation in expectations.items() if not expectation.parameters}
            failed = _validate(self.suite, ready, [profile])
            for n, expectation in expectations.items():
                passed = not failed[n] if n in ready else None
                checks[n, place] = self._check(expectation, profile, passed=passed)
        return [checks[n, place] for n in numbers for place in range(len(profiles))]

    def _check(self, expectation: Expectation, profile: Profile, *, passed: bool | None) -> Check:
        """The verdict on an expectation; `passed` is what Great Expectations said, None if there were no bounds."""
        column = expectation.column
        history = profile.histories.get(column.name)
        too_few = history.problem if history else "not checked: there are no earlier days to compare with"
        return Check(
            suite=self.suite.name,
            table=profile.table,
            day=profile.day.isoformat(),
            type=expectation.type,
            column=column.name,
            severity=expectation.severity,
            success=_passes(expectation, profile, passed),
            observed=profile.value(column),
            observed_in=profile.decided_by(column),
            expected=too_few if passed is None else expected(expectation),
            why=expectation.meta.why,
            next=expectation.meta.next or self.suite.meta.next,
            place=profile.place,
            trend=history.trend if history else (),
            low=_bound(expectation.kwargs.get("min_value")),
            high=_bound(expectation.kwargs.get("max_value")),
        )


def _passes(expectation: Expectation, profile: Profile, passed: bool | None) -> bool:
    """Decide: the only place where a verdict is made of what Great Expectations said (None: it had no bounds)."""
    lenient = expectation.meta.unmeasured == "passes"
    if profile.value(expectation.column) is None:
        # Great Expectations passes a NULL, whatever is expected. What could not be measured has failed, unless the
        # suite says otherwise, or there was nothing to measure: an empty day is evaluated by its row count alone.
        return lenient or profile.rows == 0
    if passed is None:
        return lenient  # too few earlier days to know what is usual
    if profile.closed and expectation.column.name == "rows" and lenient:
        return True  # the bound comes from open days; no rows are as many as a closed day has
    return passed


def _with_bounds(expectation: Expectation, profile: Profile) -> Expectation:
    """Fill in the bounds that the trailing days of a profile give, if they do."""
    history = profile.histories.get(expectation.column.name)
    band = history.band(expectation.meta.floor) if history else None
    if band is None:
        return expectation
    kwargs = dict(expectation.kwargs)
    for key, value in kwargs.items():
        bound = TrailingBound.parse(parameter_in(value) or "")
        if bound is not None:
            kwargs[key] = band.bound(bound.bound)
    return expectation.model_copy(update={"kwargs": kwargs})


def _bound(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


_PLACE = "place in the frame"
_MANY_ROWS = {"result_format": "COMPLETE", "unexpected_index_column_names": [_PLACE]}
_ONE_ROW = {"result_format": "BOOLEAN_ONLY"}
"""With one row there is no question which row failed: 4 ms an expectation instead of 13."""


def _validate(
    suite: Suite, expectations: Mapping[int, Expectation], profiles: Sequence[Profile]
) -> dict[int, set[int]]:
    """Find, for each expectation, the places of the profiles that Great Expectations rejects."""
    if not expectations:
        return {}
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # before the import, which reads it
    _keep_quiet(logging.getLogger("great_expectations"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx
        import pandas as pd

        columns = {expectation.column.name: expectation.column for expectation in expectations.values()}
        # A pandas frame, because every aggregate expectation of Great Expectations 1.24 fails over DuckDB.
        frame = pd.DataFrame({name: [profile.measures.get(name) for profile in profiles] for name in columns}).assign(
            **{_PLACE: range(len(profiles))}
        )
        context = gx.get_context(mode="ephemeral")
        # Progress bars go to stderr, which Airflow shows as errors.
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        asset = context.data_sources.add_pandas("profiles").add_dataframe_asset(suite.name)
        batch = asset.add_batch_definition_whole_dataframe("profile").get_batch({"dataframe": frame})
        try:
            answer = batch.validate(
                gx.ExpectationSuite(name=suite.name, expectations=[_gx_json(n, e) for n, e in expectations.items()]),
                result_format=_ONE_ROW if len(profiles) == 1 else _MANY_ROWS,
            )
        # Any error at all: a suite that was not evaluated must not look like one that passed.
        except Exception as error:
            raise CheckFailed(f"suite {suite.name}: Great Expectations rejected it: {first_line(error)}") from error
    failed = {int(r.expectation_config.meta["n"]): _places(r, len(profiles)) for r in answer.results}
    _require_all(suite, expectations, failed)
    return failed


def _keep_quiet(logger: logging.Logger) -> None:
    """Silence a library: some of its loggers set a level of their own, and dbt lowers that of the root."""
    logger.setLevel(logging.CRITICAL)
    logger.propagate = False
    if not logger.handlers:
        # Without any handler, Python's handler of last resort would print its warnings.
        logger.addHandler(logging.NullHandler())


def _gx_json(n: int, expectation: Expectation) -> dict[str, Any]:
    # Great Expectations does not keep the order; the number in `meta` comes back with each answer.
    kwargs, severity = dict(expectation.kwargs), expectation.severity
    return {"type": expectation.type, "kwargs": kwargs, "severity": severity, "meta": {"n": n}}


def _places(result: Any, rows: int) -> set[int]:
    if result.success:
        return set()
    rejected = (result.result or {}).get("unexpected_index_list")
    # Without places (they are not asked for with a single row), a failure counts for every row.
    return {int(entry[_PLACE]) for entry in rejected} if rejected else set(range(rows))


def _require_all(suite: Suite, expectations: Mapping[int, Expectation], failed: Mapping[int, set[int]]) -> None:
    """Reject a verdict that lacks an answer: Great Expectations drops a type it does not know with a log line."""
    ignored = [f"{e.type} on {e.column.name}" for n, e in expectations.items() if n not in failed]
    if ignored:
        raise CheckFailed(
            f"suite {suite.name}: Great Expectations did not run {', '.join(ignored)}; a check that cannot run is a "
            "failure: look for a misspelled type"
        )


def _summed_up(checks: Sequence[Check], profiles: Sequence[Profile]) -> list[Check]:
    """Keep each failed day; where an expectation passed on all of them, one verdict stands for all days."""
    failed = [check for check in checks if not check.success]
    bad = {(check.type, check.column, check.expected) for check in failed}
    span = f"{profiles[0].day} to {profiles[-1].day}"
    observed = f"as expected on {count_of(len(profiles), 'day')}"
    good: dict[tuple[str, str, str], Check] = {}
    for check in checks:
        name = (check.type, check.column, check.expected)
        if name not in bad:
            good.setdefault(name, check.model_copy(update={"day": span, "observed": observed}))
    return failed + list(good.values())


def expected(expectation: Expectation) -> str:
    """Say in words what an expectation without open parameters asks for."""
    kwargs, column = expectation.kwargs, expectation.column
    kind = expectation.type.removeprefix("expect_column_values_to_")
    if kind == "be_between":
        return _between(kwargs, column)
    if kind == "be_in_set":
        values = [column.shown(value) for value in kwargs["value_set"]]
        return values[0] if len(values) == 1 else f"one of {', '.join(values)}"
    arguments = ", ".join(f"{key} {shown(value)}" for key, value in kwargs.items() if key != "column")
    return f"{kind.replace('_', ' ')} {arguments}".strip()


def _between(kwargs: Mapping[str, Any], column: ProfileColumn) -> str:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if low is not None and low == high:
        return f"exactly {column.shown(low)}"
    parts = []
    if low is not None:
        parts.append(f"{'above' if kwargs.get('strict_min') else 'at least'} {column.shown(low)}")
    if high is not None:
        parts.append(f"{'below' if kwargs.get('strict_max') else 'at most'} {column.shown(high)}")
    return " and ".join(parts)
