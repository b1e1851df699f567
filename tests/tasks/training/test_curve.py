"""The training curve: the metric that tuning measures, round after round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.spec.spec import Spec
from tasks.training.curve import BEYOND, TrainingCurve, training_curve
from tests.tasks.handmade import examples, group, spec_of
from tests.tasks.training.test_ranker_trials import outcome_in
from tests.tasks.training.test_train import learnable

WINDOWS = {"train": learnable(1), "validation": learnable(2, 20)}


def curve_of(spec: Spec, **instead: pa.Table) -> TrainingCurve:
    windows = {**WINDOWS, **instead}
    return training_curve(spec, spec.ranker, lambda name: windows[name])


def test_the_curve_rises_where_there_is_something_to_learn_and_goes_beyond_the_chosen_round() -> None:
    curve = curve_of(spec_of())

    assert (curve.metric, curve.chosen, curve.examples, curve.groups) == ("ndcg@10", 10, 640, 20)
    assert len(curve.values) == len(curve.standard_errors) == 10 * BEYOND + 0.5  # 12.5 rounds are 13
    assert curve.values[9] > curve.values[0]
    assert curve.problem is None


@pytest.mark.parametrize("rounds", [1, 4, 10])
def test_the_value_of_a_round_is_that_of_a_trial_with_so_many_rounds(rounds: int, tmp_path: Path) -> None:
    tune = {"trials": 1, "metric": "mrr", "space": {"rounds": [rounds]}}
    (trial,) = outcome_in(tmp_path, WINDOWS, **tune).trials
    curve = curve_of(spec_of(tune=tune))

    assert curve.metric == "mrr"
    assert curve.values[rounds - 1] == pytest.approx(trial.value, abs=1e-12)


def test_the_curve_is_of_the_examples_that_are_trained_on() -> None:
    train = WINDOWS["train"]
    kept = [number % 8 != 3 for number in range(train.num_rows)]
    marked = train.append_column("trained", pa.array(kept)).append_column("correction", pa.array([1.0] * len(kept)))

    curve = curve_of(spec_of(), train=marked)

    assert curve.examples == sum(kept)
    assert curve == curve_of(spec_of(), train=train.filter(pa.array(kept)))
    assert curve.values != curve_of(spec_of()).values


def test_the_best_round_is_the_first_of_equals() -> None:
    curve = TrainingCurve(metric="mrr", chosen=4, values=(0.1, 0.3, 0.2, 0.3), standard_errors=(0.0,) * 4)

    assert curve.best == 2
    assert TrainingCurve(metric="mrr", chosen=4).best is None


def flat(table: pa.Table) -> pa.Table:
    grades = pa.array([1] * table.num_rows, pa.int8())
    return table.set_column(table.column_names.index("grade"), "grade", grades)


NO_WINDOW: dict[str, Any] = {"examples": {"validation": "0d"}}


@pytest.mark.parametrize(
    ("changes", "instead", "problem"),
    [
        (NO_WINDOW, {}, "the pipeline has no validation window (examples.validation is 0d)"),
        ({}, {"validation": WINDOWS["validation"].slice(0, 0)}, "no list of the validation window was drawn"),
        ({}, {"train": flat(WINDOWS["train"])}, "on the training window alone: single-class label: all 640 examples"),
    ],
)
def test_where_there_is_no_curve_the_record_says_why(
    changes: dict[str, Any], instead: dict[str, pa.Table], problem: str
) -> None:
    curve = curve_of(spec_of(**changes), **instead)

    assert curve.values == ()
    assert (curve.problem or "").startswith(problem)


def test_the_curve_ends_where_no_tree_can_be_grown() -> None:
    curve = curve_of(spec_of(ranker={"type": "lightgbm", "rounds": 4, "min_data_in_leaf": 400}))

    assert len(curve.values) == 1  # LightGBM keeps one tree without a split


def test_lists_with_nothing_to_find_do_not_count() -> None:
    found = group("g1", "u1", [1, 0], item_actions_28d=[1.0, 0.0], user_tenure_days=[0.0, 0.0])
    nothing = group("g2", "u2", [0, 0], item_actions_28d=[1.0, 0.0], user_tenure_days=[0.0, 0.0])

    alone, both = (curve_of(spec_of(), validation=examples(*lists)) for lists in ([found], [found, nothing]))

    assert alone.values == both.values
