"""What counts as a fault, how it is named, and since when it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tasks.alerts.faults import NO_ERROR_MESSAGE, failing_since, faults_of, passed_rules
from tests.alerting import check, gate, leave, run_of
from tests.tasks.handmade import day


def rules(folder: Path, *failed: str) -> list[tuple[str, str]]:
    return [(fault.rule, fault.severity) for fault in faults_of(folder, failed)]


def test_failed_checks_gates_and_steps_are_faults_the_worst_first(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    leave(run, [check("rows", "warning"), check("value__max", "info"), check("id__null_rate", success=True)])
    leave(run, [check("label_rate")], step="check_examples", gates=[gate(), gate("another", passed=True)])
    leave(run, errors={"monitor": "the disk is full"})
    assert rules(run.dir) == [
        ("check_examples: events: label_rate column_values_to_be_between", "critical"),
        ("gate: ndcg@10 beats popularity by 0.01", "critical"),
        ("step monitor", "critical"),
        ("check_landed: events: rows column_values_to_be_between", "warning"),
    ]


def test_a_rule_that_fails_for_many_days_and_severities_is_one_fault(tmp_path: Path) -> None:
    checks = [
        check("rows", "warning", day="2026-03-05", observed=3),
        check("rows", "critical", day="2026-03-02", observed=1, expected="at least 2"),
        check("rows", "critical", day="2026-03-01", observed=2),
    ]
    (fault,) = faults_of(leave(run_of(tmp_path), checks).dir)
    assert fault.severity == "critical"
    assert fault.detail == "events of 2026-03-02: rows is 1, expected at least 2; also of 2026-03-01, 2026-03-05"


def test_a_step_that_says_what_its_checks_say_is_no_second_fault(tmp_path: Path) -> None:
    run = leave(run_of(tmp_path), [check("rows")], errors={"check_landed": "1 of 9 checks failed", "gate": "no"})
    leave(run, gates=[gate()])
    assert [fault.step for fault in faults_of(run.dir, ["check_landed", "gate", "report"])] == ["check_landed", "gate"]


def test_a_check_that_could_not_run_is_a_fault_beside_its_warnings(tmp_path: Path) -> None:
    run = leave(run_of(tmp_path), [check("rows", "warning")], errors={"check_landed": "nothing is landed"})
    assert rules(run.dir)[0] == ("step check_landed", "critical")


def test_populations_of_a_step_are_one_fault(tmp_path: Path) -> None:
    run = leave(run_of(tmp_path), errors={"train-BR": "empty", "train-everybody-else": "full"})
    (fault,) = faults_of(run.dir, ["train_0", "train_1"])
    assert (fault.rule, fault.detail) == ("step train", "empty\nfull")


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        (["build", "report"], ["step build"]),
        (["train_0", "train_12", "report"], ["step train"]),
        (["report"], ["step report"]),
        ([], []),
    ],
)
def test_a_task_that_left_no_error_was_killed(tmp_path: Path, failed: list[str], expected: list[str]) -> None:
    faults = faults_of(run_of(tmp_path).dir, failed)
    assert [fault.rule for fault in faults] == expected
    assert all(NO_ERROR_MESSAGE in fault.detail for fault in faults)


def test_passed_rules_were_evaluated_and_are_no_faults(tmp_path: Path) -> None:
    run = leave(run_of(tmp_path), [check("rows", success=True), check("rows", "warning"), check("n", success=True)])
    leave(run, gates=[gate("a", passed=True), gate("b")], done=["land", "train/BR"], errors={"land": "failed again"})
    assert passed_rules(run.dir) == {
        "check_landed: events: n column_values_to_be_between",
        "gate: a",
        "step train",
        "step populations",
    }


def test_since_is_the_first_day_of_the_row(tmp_path: Path) -> None:
    rule = "check_landed: events: rows column_values_to_be_between"
    leave(run_of(tmp_path, "02-20"), [check("rows")])
    leave(run_of(tmp_path, "02-27"), [check("rows")])  # the days between were not run
    leave(run_of(tmp_path, "03-01"), [check("rows")])
    assert failing_since(run_of(tmp_path).home, "tiny", day("03-01"), rule) == day("02-20")
    leave(run_of(tmp_path, "02-28"), [check("rows", success=True)])
    assert failing_since(run_of(tmp_path).home, "tiny", day("03-01"), rule) == day("03-01")
    assert failing_since(run_of(tmp_path).home, "tiny", day("02-19"), rule) == day("02-19")  # later days do not count


def test_the_last_attempt_of_a_day_counts(tmp_path: Path) -> None:
    rule = "check_landed: events: rows column_values_to_be_between"
    bad = leave(run_of(tmp_path, "02-28", "bad"), [check("rows")])
    good = leave(run_of(tmp_path, "02-28", "good"), [check("rows", success=True)])
    for newest, first in ((good, day("03-01")), (bad, day("02-28"))):
        os.utime(bad.dir, ns=(1, 1))
        os.utime(good.dir, ns=(1, 1))
        os.utime(newest.dir, ns=(2, 2))
        assert failing_since(run_of(tmp_path).home, "tiny", day("03-01"), rule) == first
