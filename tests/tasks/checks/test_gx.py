from __future__ import annotations

import json
import logging
import logging.handlers
from datetime import date, timedelta
from typing import Any

import pytest

from tasks.checks.bands import History, Point
from tasks.checks.gx import evaluate_suite, expected
from tasks.checks.profile_columns import ProfileColumn
from tasks.checks.profile_row import Profile
from tasks.checks.suite_parts import Trailing
from tasks.checks.suites import Suite, load_suite, parse_suite, suite_names
from tasks.checks.verdicts import Check
from tasks.errors import CheckFailed


def suite(*expectations: dict[str, Any], **measure: Any) -> Suite:
    return parse_suite(
        json.dumps(
            {
                "name": "s",
                "meta": {"about": "A test.", "next": "fix it.", "measure": measure},
                "expectations": list(expectations),
            }
        ),
        "s.json",
    )


def between(column: str, *, severity: str = "critical", meta: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    return {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": column, **kwargs},
        "severity": severity,
        "meta": {"why": "Because.", **(meta or {})},
    }


DAY = date(2026, 2, 10)


def row(*histories: History, day: date = DAY, closed: bool = False, **measures: Any) -> Profile:
    by_column = {one.column.name: one for one in histories}
    return Profile("t", day, {"rows": 5, **measures}, closed=closed, histories=by_column)


def verdicts(found: list[Check]) -> list[tuple[str, bool]]:
    return [(check.column, check.success) for check in found]


def test_every_row_gets_its_own_verdict_in_the_order_of_the_suite() -> None:
    checks = evaluate_suite(
        suite(between("rows", min_value=3), between("rows", max_value=9)), [row(rows=1), row(rows=5)], {}
    )

    assert [check.success for check in checks] == [False, True, True, True]
    assert checks[0].words() == "t, 2026-02-10: rows is 1, expected at least 3"


def test_what_could_not_be_measured_has_failed() -> None:
    checks = evaluate_suite(suite(between("a__max", max_value=1)), [row(a__max=None)], {})

    assert verdicts(checks) == [("a__max", False)]
    assert "max of a is not measured" in checks[0].words()


def test_not_a_number_has_not_been_measured() -> None:
    assert verdicts(evaluate_suite(suite(between("a__max", max_value=1)), [row(a__max=float("nan"))], {})) == [
        ("a__max", False)
    ]


def test_a_suite_may_say_that_nothing_to_measure_is_fine() -> None:
    lenient = suite(between("rows_vs_trailing", max_value=1, meta={"unmeasured": "passes"}))

    assert verdicts(evaluate_suite(lenient, [row(rows_vs_trailing=None)], {})) == [("rows_vs_trailing", True)]


def test_an_empty_day_is_checked_by_its_rows_alone() -> None:
    found = evaluate_suite(
        suite(between("rows", min_value=1), between("a__max", max_value=1)), [row(rows=0, a__max=None)], {}
    )

    assert verdicts(found) == [("rows", False), ("a__max", True)]


def test_a_measure_that_is_not_in_the_profile_is_an_error() -> None:
    with pytest.raises(CheckFailed, match="suite s: a__max not measured; a check that cannot run is a failure"):
        evaluate_suite(suite(between("a__max", max_value=1)), [row()], {})


def test_nothing_to_check_is_an_error() -> None:
    with pytest.raises(CheckFailed, match="nothing was given to check"):
        evaluate_suite(suite(between("rows", min_value=1)), [], {})


def test_parameters_of_the_run_are_filled_in() -> None:
    limited = suite(between("rows", max_value={"$PARAMETER": "highest_grade"}))

    (check,) = evaluate_suite(limited, [row()], {"highest_grade": 4})

    assert not check.success
    assert check.expected == "at most 4"
    with pytest.raises(CheckFailed, match="no value for the parameter 'highest_grade'; expected one of least"):
        evaluate_suite(limited, [row()], {"least": 4})


def history(*values: float, column: str = "rows", units: float = 100) -> History:
    days = [DAY - timedelta(days=n + 1) for n in range(len(values))]
    points = tuple(Point(day, value, units) for day, value in zip(days, values, strict=True))
    return History(ProfileColumn.parse(column), points, DAY, units, Trailing())


def test_bounds_of_the_trailing_days_are_filled_in_for_each_row() -> None:
    band = suite(between("rows", min_value={"$PARAMETER": "rows__trailing_low"}))
    busy, quiet = history(*[1000.0] * 6), history(*[5.0] * 6)

    checks = evaluate_suite(band, [row(busy), row(quiet)], {})

    assert [check.success for check in checks] == [False, True]
    assert checks[0].trend[0] == ("2026-02-09", 1000.0)
    assert checks[0].expected.startswith("at least ")


@pytest.mark.parametrize(("unmeasured", "success"), [("passes", True), ("fails", False)])
def test_too_few_trailing_days_are_said_to_be_too_few(unmeasured: str, success: bool) -> None:
    high = between("rows", max_value={"$PARAMETER": "rows__trailing_high"}, meta={"unmeasured": unmeasured})

    (check,) = evaluate_suite(suite(high), [row(history(1.0, 2.0))], {})

    assert (check.success, check.expected) == (success, "not checked yet: 2 of at least 5 earlier days")


@pytest.mark.parametrize(("closed", "success"), [(True, True), (False, False)])
def test_a_closed_day_may_have_fewer_rows_than_open_ones(closed: bool, success: bool) -> None:
    low = between("rows", min_value={"$PARAMETER": "rows__trailing_low"}, meta={"unmeasured": "passes"})
    empty = row(history(98, 100, 102, 99, 101), rows=0, closed=closed)
    assert verdicts(evaluate_suite(suite(low), [empty], {})) == [("rows", success)]


def test_an_expectation_that_does_not_exist_is_an_error() -> None:
    unknown = between("rows") | {"type": "expect_column_values_to_be_lucky"}

    with pytest.raises(CheckFailed, match="did not run expect_column_values_to_be_lucky on rows"):
        evaluate_suite(suite(unknown), [row()], {})


def test_an_argument_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(CheckFailed, match="suite s: Great Expectations rejected it"):
        evaluate_suite(suite(between("rows", max_valu=3)), [row()], {})


def test_the_history_is_summed_up_but_for_its_bad_days() -> None:
    every_day = suite(between("rows", min_value=3, meta={"days": "all"}), between("rows", max_value=100))
    earlier = [row(day=date(2026, 2, n), rows=n) for n in range(1, 6)]

    checks = evaluate_suite(every_day, [row()], {}, earlier=earlier)

    assert [(c.day, c.success) for c in checks] == [
        ("2026-02-10", True),
        ("2026-02-10", True),
        ("2026-02-01", False),
        ("2026-02-02", False),
    ]
    (good,) = evaluate_suite(every_day, [row()], {}, earlier=earlier[2:])[2:]
    assert (good.day, good.observed) == ("2026-02-03 to 2026-02-05", "as expected on 3 days")


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"min_value": 1}, "at least 1"),
        ({"min_value": 0, "max_value": 0.05}, "at least 0 and at most 0.05"),
        ({"min_value": 0, "max_value": 0}, "exactly 0"),
        ({"min_value": 0, "max_value": 1, "strict_min": True, "strict_max": True}, "above 0 and below 1"),
    ],
)
def test_bounds_in_words(kwargs: dict[str, Any], text: str) -> None:
    assert expected(suite(between("rows", **kwargs)).expectations[0]) == text


def test_the_library_stays_quiet_though_another_one_opened_the_root_logger() -> None:
    heard = logging.handlers.BufferingHandler(1000)
    logging.getLogger().addHandler(heard)
    try:
        evaluate_suite(suite(between("rows", min_value=0)), [row()], {})
    finally:
        logging.getLogger().removeHandler(heard)

    assert [record.getMessage() for record in heard.buffer if record.name.startswith("great_expectations")] == []


@pytest.mark.parametrize("name", suite_names())
def test_every_bundled_expectation_can_be_evaluated(name: str) -> None:
    found = load_suite(name)
    text = ("columns", "constant", "all_null", "missing_days", "mix_unusual", "mix_broken", "vanished")
    values = {column.name: "none" if column.measure.endswith(text) else 1.0 for column in found.columns}

    checks = evaluate_suite(found, [row(**values)], {"highest_grade": 4})

    assert len(checks) == len(found.expectations)
