"""The table of steps, and what derives from it."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from tasks.runs.provenance import modules
from tasks.runs.steps import BESIDE, BY_NAME, CHECKS, GROUPS, STEPS, WITH_RESULT, dependents, stopped_by


def test_every_step_waits_for_earlier_steps_only() -> None:
    for number, step in enumerate(STEPS):
        assert set(step.after) <= {earlier.name for earlier in STEPS[:number]}, step.name
        assert step.mapped_over in {"", *step.after}
        assert step.group in {"", *GROUPS}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_every_row_has_its_function_with_the_parameters_it_is_called_with(
    step: Any,
) -> None:
    function = step.load()
    required = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is inspect.Parameter.empty
    ]
    assert len(required) == (2 if step.mapped_over or step.shared else 1)
    assert function.__module__ == step.module


@pytest.mark.parametrize("step", [step for step in STEPS if step.makes_version], ids=lambda step: step.name)
def test_the_code_of_every_step_that_makes_a_version_is_in_its_digest(step: Any) -> None:
    code = modules((step.module,))
    assert step.module in code
    assert "tasks.store.files" in code


def test_what_a_failed_step_stops() -> None:
    behind = ["check_landed", "build", "check_features", "retrieve", "sample", "check_examples"]
    model = ["train", "evaluate", "check_predictions", "gate", "publish"]
    assert stopped_by("land", in_airflow=True) == [*behind, *model]
    assert stopped_by("check_examples", in_airflow=True) == ["gate", "publish"]
    assert stopped_by("check_examples", in_airflow=False) == model
    assert stopped_by("populations", in_airflow=True) == model
    assert stopped_by("monitor", in_airflow=False) == []
    assert stopped_by("publish", in_airflow=True) == []


def test_what_waits_for_a_step() -> None:
    assert dependents("gate") == {"publish", "report"}
    assert dependents("report") == frozenset()


def test_views_of_the_table() -> None:
    assert "report" not in {step.name for step in WITH_RESULT}
    assert "populations" not in {step.name for step in WITH_RESULT}
    assert frozenset({"monitor"}) == BESIDE
    assert [step.name for step in CHECKS] == ["check_landed", "check_features", "check_examples", "check_predictions"]
    assert next(iter(BY_NAME)) == "land"
    assert list(BY_NAME)[-1] == "report"
