"""Verdicts on disk, in words, and what follows from a critical one."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tasks.checks.verdicts import CHECKED, FILE, MAX_SHOWN, Check, CheckResult, finish, read_checks, write_checks
from tasks.errors import CheckFailed
from tasks.runs.steps import CHECKS
from tasks.store.files import Home
from tests.tasks.checking import FakeRun


def check(**change: Any) -> Check:
    fields = {"suite": "s", "table": "events", "day": "2026-02-10", "type": "t", "column": "user_id__null_rate"}
    fields |= {"severity": "critical", "success": False, "observed": 0.3, "expected": "at most 5 %"}
    return Check.model_validate({**fields, "why": "Because.", "next": "fix it.", **change})


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    checks = (check(trend=(("2026-02-09", 100),), low=0.0), check(observed="none"), check(observed=None))

    write_checks(tmp_path, checks)

    assert read_checks(tmp_path) == checks
    assert json.loads((tmp_path / FILE).read_text())[0]["trend"] == [["2026-02-09", 100]]


@pytest.mark.parametrize("text", ["", "[{", "{}", '[{"suite": "s"}]'])
def test_a_file_that_is_torn_or_of_another_shape_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)

    assert read_checks(tmp_path) is None
    assert read_checks(tmp_path / "not there") is None


def test_infinity_can_be_recorded_as_json() -> None:
    assert check(observed=float("inf")).to_json()["observed"] == "inf"


def test_the_column_of_a_family_is_named() -> None:
    assert check(observed_in="x").words() == (
        "events, 2026-02-10: null rate of user_id is 30 % (in x), expected at most 5 %"
    )
    assert check(observed="none").words().startswith("events, 2026-02-10: null rate of user_id: none, ")


def test_a_critical_failure_leaves_verdicts_and_no_result(tmp_path: Path) -> None:
    run: Any = FakeRun(Home(tmp_path))
    bad = [check(table=f"t{n}") for n in range(MAX_SHOWN + 2)]

    with pytest.raises(CheckFailed, match="22 of 23 checks of the landed data failed critically") as error:
        finish(run, "check_landed", [*bad, check(success=True)], CheckResult)

    assert "… and 2 more." in str(error.value)
    assert str(error.value).count("What to do: fix it.") == 1
    assert {one.line for one in run.checks("check_landed")} == {"landed"}
    assert not (run.step_dir("check_landed") / "result.json").exists()


def test_other_records_are_left_whatever_the_verdict(tmp_path: Path) -> None:
    for severity in ("critical", "info"):
        run: Any = FakeRun(Home(tmp_path / severity))
        with suppress(CheckFailed):
            finish(run, "check_landed", [check(severity=severity)], CheckResult, {"more.json": check()})

        assert Check.read(run.step_dir("check_landed") / "more.json") == check()


def test_every_step_that_checks_says_what() -> None:
    assert list(CHECKED) == [step.name for step in CHECKS]


def test_a_warning_is_counted_and_said(tmp_path: Path) -> None:
    run: Any = FakeRun(Home(tmp_path))

    result = finish(run, "check_landed", [check(severity="warning"), check(severity="info")], CheckResult)

    assert (result.checked, result.failed_critical, result.failed_warning, result.failed_info) == (2, 0, 1, 1)
    assert result.warnings == (check().words(),)
    assert run.read("check_landed", CheckResult) == result
