"""The number of rounds that the validation window or a clock chooses, and how it is said."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.spec.rankers import LightGBM
from tasks.training.curve import training_curve
from tasks.training.learners.lightgbm_rounds import settle
from tasks.training.models import save_model
from tasks.training.rankers import train_ranker
from tests.tasks.handmade import spec_of
from tests.tasks.training.test_train import learnable

WINDOWS = {"train": learnable(1, 30), "validation": learnable(2, 20)}
TREES: dict[str, Any] = {"type": "lightgbm", "rounds": 60, "min_data_in_leaf": 5, "learning_rate": 0.5}


def test_without_either_key_nothing_is_trained() -> None:
    spec = spec_of(ranker=TREES)
    assert settle(spec, spec.ranker, {}.__getitem__).settings == spec.ranker


def test_training_stops_when_nothing_gets_better_and_the_best_round_is_taken() -> None:
    spec = spec_of(ranker={**TREES, "early_stopping": 5})

    settled = settle(spec, spec.ranker, WINDOWS.__getitem__)

    rounds = settled.rounds
    assert rounds is not None
    assert (rounds.metric, rounds.stopped_by) == ("ndcg@10", "no better value")
    assert rounds.chosen == rounds.values.index(max(rounds.values)) + 1
    assert rounds.reached == len(rounds.values) == rounds.chosen + 5 < 60
    assert settled.settings == LightGBM.model_validate({**TREES, "rounds": rounds.chosen})


def test_what_is_recorded_of_each_round_is_the_training_curve() -> None:
    spec = spec_of(ranker={**TREES, "early_stopping": 5})
    settled = settle(spec, spec.ranker, WINDOWS.__getitem__)
    assert settled.rounds is not None

    curve = training_curve(spec, settled.settings, WINDOWS.__getitem__)

    shared = min(len(curve.values), settled.rounds.reached)
    assert shared >= settled.rounds.chosen
    assert curve.values[:shared] == pytest.approx(settled.rounds.values[:shared], abs=1e-12)


def test_positions_and_grades_that_only_the_validation_window_has_are_no_matter() -> None:
    grades = WINDOWS["validation"]["grade"].to_numpy() * 2
    column = WINDOWS["validation"].column_names.index("grade")
    higher = WINDOWS["validation"].set_column(column, "grade", pa.array(grades, pa.int8()))
    aware: dict[str, Any] = {"position_bias": {"type": "position_aware"}}
    for objective, bias in (("lambdarank", aware), ("rank_xendcg", {}), ("regression", {})):
        spec = spec_of(ranker={**TREES, "early_stopping": 5, "objective": objective}, **bias)
        rounds = settle(spec, spec.ranker, {**WINDOWS, "validation": higher}.__getitem__).rounds
        assert rounds is not None
        assert max(rounds.values) > 0.5


def test_with_too_much_patience_all_rounds_are_trained() -> None:
    spec = spec_of(ranker={**TREES, "rounds": 6, "early_stopping": 50})
    rounds = settle(spec, spec.ranker, WINDOWS.__getitem__).rounds
    assert rounds is not None
    assert (rounds.reached, rounds.stopped_by) == (6, "all rounds were trained")


def test_a_validation_window_with_nothing_to_find_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    spec, nothing = spec_of(ranker={**TREES, "rounds": 7, "early_stopping": 2}), WINDOWS["validation"]
    zeros = pa.array([0] * nothing.num_rows, pa.int8())
    nothing = nothing.set_column(nothing.column_names.index("grade"), "grade", zeros)

    settled = settle(spec, spec.ranker, {**WINDOWS, "validation": nothing}.__getitem__)

    assert settled.settings.rounds == 7
    assert "no list of the validation window has anything to find" in caplog.text


def test_time_that_is_up_ends_training_after_the_round_and_says_how_to_get_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    spec = spec_of(ranker={**TREES, "seconds": 3})
    clock = itertools.count()  # a second passes between two looks at it
    monkeypatch.setattr("tasks.training.learners.lightgbm_rounds.time.monotonic", lambda: float(next(clock)))

    with caplog.at_level(logging.WARNING):
        settled = settle(spec, spec.ranker, WINDOWS.__getitem__)

    rounds = settled.rounds
    assert rounds is not None
    assert (rounds.reached, rounds.chosen, rounds.stopped_by, rounds.metric) == (3, 3, "the time was up", None)
    assert (
        "training was stopped after 3 of 60 rounds, since 3 s (`ranker.seconds`) were over; another machine may reach "
        "others: `rounds: 3` without `seconds` reproduces this model" in caplog.text
    )
    by_hand = spec_of(ranker={**TREES, "rounds": 3})
    for name, given, settings in (("boxed", spec, settled.settings), ("by hand", by_hand, by_hand.ranker)):
        save_model(train_ranker(WINDOWS["train"], given, settings), tmp_path / name)
    assert (tmp_path / "boxed/trees.txt").read_bytes() == (tmp_path / "by hand/trees.txt").read_bytes()
