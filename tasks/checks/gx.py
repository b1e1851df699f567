"""Great Expectations judges profiles: small frames of numbers that SQL has measured.

Ephemeral contexts only: nothing is written, nothing is sent, and a check that could not run counts as failed.
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.checks.profile_columns import ProfileColumn, shown
from tasks.checks.suite_parts import RUN_PARAMETERS, Expectation, is_parameter
from tasks.checks.suites import Suite
from tasks.checks.verdicts import Check
from tasks.errors import CheckFailed, first_line


def judge(
    suite: Suite,
    profiles: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, Any],
    *,
    earlier: Sequence[Mapping[str, Any]] = (),
) -> list[Check]:
    """Judge profiles by a suite.

    Args:
        suite: what is expected.
        profiles: rows with `table`, `day` and the measures the suite asks for; with `trailing` (by profile column,
            `tasks.checks.trailing.History`) where bounds come from earlier days.
        parameters: values of the run for the suite's `{"$PARAMETER": name}`.
        earlier: rows of earlier days with the cheap measures, judged by the expectations on all days.

    Raises:
        CheckFailed: nothing was given to judge, a measure or parameter is missing, or the suite was refused.
    """
    if not profiles:
        raise CheckFailed(f"suite {suite.name}: nothing was given to check; a check of nothing is a failure")
    known = {name for row in profiles for name in row}
    missing = [name for name in suite.asked if name not in known]
    if missing:
        raise CheckFailed(
            f"suite {suite.name}: {', '.join(missing)} not measured; a check that cannot run is a failure"
        )
    numbered = [_resolved(suite, n, parameters) for n in range(len(suite.expectations))]
    checks = _judge(suite, numbered, profiles)
    every_day = [pair for pair in numbered if pair[1].meta.days == "all"]
    if every_day and earlier:
        checks += _summed_up(_judge(suite, every_day, earlier), earlier)
    return checks


def _resolved(suite: Suite, n: int, parameters: Mapping[str, Any]) -> tuple[int, Expectation]:
    """Fill in what the run knows; what the trailing days say is different for each row."""
    expectation = suite.expectations[n]
    kwargs = dict(expectation.kwargs)
    for key, value in kwargs.items():
        if is_parameter(value) and value["$PARAMETER"] in RUN_PARAMETERS:
            if value["$PARAMETER"] not in parameters:
                raise CheckFailed(
                    f"suite {suite.name}: {expectation.column}: no value for the parameter {value['$PARAMETER']!r}; "
                    f"expected one of {', '.join(sorted(parameters))}"
                )
            kwargs[key] = parameters[value["$PARAMETER"]]
    return n, expectation.model_copy(update={"kwargs": kwargs})


def _judge(suite: Suite, numbered: Sequence[tuple[int, Expectation]], rows: Sequence[Mapping[str, Any]]) -> list[Check]:
    """Judge rows together, but for the expectations whose bounds are different for each row."""
    fixed = [pair for pair in numbered if not pair[1].parameters]
    verdicts = _verdicts(suite, fixed, rows) if len(rows) > 1 else {}
    for place, row in enumerate(rows):
        own = [_bounded(n, expectation, row) for n, expectation in numbered if expectation.parameters]
        ready = [pair for pair in own if not pair[1].parameters] + (fixed if len(rows) == 1 else [])
        verdicts |= {(n, place): check for (n, _), check in _verdicts(suite, ready, [row]).items()}
        verdicts |= {(n, place): _unbounded(suite, e, row) for n, e in own if e.parameters}
    return [verdicts[n, place] for n, _ in numbered for place in range(len(rows))]


def _bounded(n: int, expectation: Expectation, row: Mapping[str, Any]) -> tuple[int, Expectation]:
    """Fill in the bounds that the trailing days of a row give, if they do."""
    history = row.get("trailing", {}).get(expectation.column)
    band = history.band(expectation.meta.floor) if history else None
    if band is None:
        return n, expectation
    kwargs = {
        key: band.bound(value["$PARAMETER"]) if is_parameter(value) else value
        for key, value in expectation.kwargs.items()
    }
    return n, expectation.model_copy(update={"kwargs": kwargs})


def _unbounded(suite: Suite, expectation: Expectation, row: Mapping[str, Any]) -> Check:
    """Return the verdict where too few earlier days give no bounds: what the suite says of the unmeasured."""
    history = row.get("trailing", {}).get(expectation.column)
    words = history.problem if history else "not judged: there are no earlier days to compare with"
    return _check(suite, expectation, row, expectation.meta.unmeasured == "passes", words)


def _verdicts(
    suite: Suite, numbered: Sequence[tuple[int, Expectation]], rows: Sequence[Mapping[str, Any]]
) -> dict[tuple[int, int], Check]:
    """Return the verdict on each expectation (by number) and row (by place)."""
    failed = _validate(suite, numbered, rows) if numbered else {}
    return {
        (n, place): _check(suite, expectation, row, place not in failed[n])
        for n, expectation in numbered
        for place, row in enumerate(rows)
    }


def _validate(
    suite: Suite, numbered: Sequence[tuple[int, Expectation]], rows: Sequence[Mapping[str, Any]]
) -> dict[int, set[int]]:
    """Return, for each expectation, the places of the rows for which Great Expectations says no."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    _keep_quiet(logging.getLogger("great_expectations"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx
        import pandas as pd

        columns = list(dict.fromkeys(expectation.column for _, expectation in numbered))
        frame = pd.DataFrame({name: [row.get(name) for row in rows] for name in columns}).assign(
            **{_PLACE: range(len(rows))}
        )
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        asset = context.data_sources.add_pandas("profiles").add_dataframe_asset(suite.name)
        batch = asset.add_batch_definition_whole_dataframe("profile").get_batch({"dataframe": frame})
        try:
            answer = batch.validate(
                gx.ExpectationSuite(name=suite.name, expectations=[_plain_json(n, e) for n, e in numbered]),
                result_format=_ONE_ROW if len(rows) == 1 else _MANY_ROWS,
            )
        except Exception as error:
            raise CheckFailed(f"suite {suite.name}: Great Expectations refused it: {first_line(error)}") from error
    answers = {int(r.expectation_config.meta["n"]): _places(r, len(rows)) for r in answer.results}
    _all_ran(suite, numbered, answers)
    return answers


def _keep_quiet(logger: logging.Logger) -> None:
    """Keep a library's log lines to itself: some of its loggers set a level of their own, and dbt opens the root."""
    logger.setLevel(logging.CRITICAL)
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _all_ran(suite: Suite, numbered: Sequence[tuple[int, Expectation]], answers: Mapping[int, set[int]]) -> None:
    """Refuse a verdict that lacks an answer: Great Expectations drops a type it does not know with a log line."""
    ignored = [f"{e.type} on {e.column}" for n, e in numbered if n not in answers]
    if ignored:
        raise CheckFailed(
            f"suite {suite.name}: Great Expectations did not run {', '.join(ignored)}; a check that cannot run is a "
            "failure: look for a misspelt type"
        )


_PLACE = "place in the frame"
_MANY_ROWS = {"result_format": "COMPLETE", "unexpected_index_column_names": [_PLACE]}
_ONE_ROW = {"result_format": "BOOLEAN_ONLY"}
"""Which row it was needs no asking: 4 ms an expectation instead of 13."""


def _plain_json(n: int, expectation: Expectation) -> dict[str, Any]:
    return {
        "type": expectation.type,
        "kwargs": dict(expectation.kwargs),
        "severity": expectation.severity,
        "meta": {"n": n},
    }


def _places(result: Any, rows: int) -> set[int]:
    if result.success:
        return set()
    named = (result.result or {}).get("unexpected_index_list")
    return {int(entry[_PLACE]) for entry in named} if named else set(range(rows))


def _check(
    suite: Suite, expectation: Expectation, row: Mapping[str, Any], success: bool, wanted: str | None = None
) -> Check:
    observed = _number(row.get(expectation.column))
    history = row.get("trailing", {}).get(expectation.column)
    if observed is None:
        empty_day = row.get("rows") == 0
        success = empty_day or expectation.meta.unmeasured == "passes"
    if row.get("closed") and expectation.column == "rows" and expectation.meta.unmeasured == "passes":
        success = True  # none is as many as a closed day has, whatever open days have
    return Check(
        suite=suite.name,
        table=str(row["table"]),
        day=str(row["day"]),
        type=expectation.type,
        column=expectation.column,
        severity=expectation.severity,
        success=success,
        observed=observed,
        observed_in=row.get(f"{expectation.column}__of"),
        expected=wanted or expected(expectation),
        why=expectation.meta.why,
        next=expectation.meta.next or suite.meta.next,
        place=row.get("place"),
        trend=history.trend if history else (),
        low=_bound(expectation.kwargs.get("min_value")),
        high=_bound(expectation.kwargs.get("max_value")),
    )


def _bound(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _summed_up(checks: Sequence[Check], rows: Sequence[Mapping[str, Any]]) -> list[Check]:
    """Keep each failed day, and one verdict for all the others together."""
    failed = [check for check in checks if not check.success]
    bad = {(check.type, check.column, check.expected) for check in failed}
    span = f"{rows[0]['day']} to {rows[-1]['day']}"
    good: dict[tuple[str, str, str], Check] = {}
    for check in checks:
        name = (check.type, check.column, check.expected)
        if name not in bad:
            good.setdefault(
                name, check.model_copy(update={"day": span, "observed": f"as expected on {len(rows)} days"})
            )
    return failed + list(good.values())


def expected(expectation: Expectation) -> str:
    """Return in words what an expectation with resolved parameters asks for."""
    kwargs, rate = expectation.kwargs, ProfileColumn.parse(expectation.column).is_rate
    kind = expectation.type.removeprefix("expect_column_values_to_")
    if kind == "be_between":
        return _between(kwargs, rate)
    if kind == "be_in_set":
        values = [shown(value, rate=rate) for value in kwargs["value_set"]]
        return values[0] if len(values) == 1 else f"one of {', '.join(values)}"
    rest = ", ".join(f"{key} {shown(value)}" for key, value in kwargs.items() if key != "column")
    return f"{kind.replace('_', ' ')} {rest}".strip()


def _between(kwargs: Mapping[str, Any], rate: bool) -> str:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if low is not None and low == high:
        return f"exactly {shown(low, rate=rate)}"
    parts = []
    if low is not None:
        parts.append(f"{'above' if kwargs.get('strict_min') else 'at least'} {shown(low, rate=rate)}")
    if high is not None:
        parts.append(f"{'below' if kwargs.get('strict_max') else 'at most'} {shown(high, rate=rate)}")
    return " and ".join(parts)


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
