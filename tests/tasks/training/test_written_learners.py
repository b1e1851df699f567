"""Learners in words."""

from __future__ import annotations

import pytest

from tasks.errors import WrongArgument
from tasks.training.written_learners import learner_of
from tests.tasks.handmade import spec_of

OWN = spec_of(ranker={"type": "lightgbm", "rounds": 40, "num_leaves": 7}).ranker


def test_settings_that_are_not_named_stay_the_pipelines() -> None:
    assert learner_of("lightgbm", OWN) == OWN
    learner = learner_of("lightgbm:objective=binary,learning_rate=0.5", OWN)
    assert (learner.objective, learner.learning_rate, learner.rounds, learner.num_leaves) == ("binary", 0.5, 40, 7)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("lightgbn", "learner 'lightgbn': unknown type, expected .*lightgbm.*; did you mean 'lightgbm'?"),
        ("", "learner '': unknown type, expected .*lightgbm"),
        ("lightgbm:rounds", "learner 'lightgbm:rounds': found 'rounds', expected <setting>=<value>"),
        ("lightgbm:rounds=many", "learner 'lightgbm:rounds=many': rounds: "),
        ("lightgbm:rounds=[", r"learner 'lightgbm:rounds=\[': found the value '\[', expected one of YAML"),
        ("lightgbm:leafs=3", "learner 'lightgbm:leafs=3': leafs: Extra inputs are not permitted"),
        ("lightgbm:num_leaves=1", "learner 'lightgbm:num_leaves=1': num_leaves: .* greater than or equal to 2"),
    ],
)
def test_what_is_no_learner_is_named(text: str, error: str) -> None:
    with pytest.raises(WrongArgument, match=f"^{error}"):
        learner_of(text, OWN)
