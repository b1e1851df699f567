"""What is learned of features before a linear model or a factorization machine sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.functions.inputs import CODE, MISSING, NUMBER
from tasks.errors import TrainingError
from tasks.spec.spec import Spec
from tasks.training.learners.inputs import MOST_CODES, learn_inputs
from tests.tasks.handmade import examples, group, spec_of

CLUE, NOISE = "item_actions_28d", "user_tenure_days"


def table_of(**columns: list[Any]) -> Any:
    return examples(group("g1", "u1", [0] * len(next(iter(columns.values()))), **columns))


def test_numbers_are_standardized_by_weighted_moments_of_what_is_known() -> None:
    table = table_of(**{CLUE: [1.0, 5.0, None], NOISE: [7.0, 7.0, 7.0], "weight": [3.0, 1.0, 9.0]})

    inputs = learn_inputs(table, spec_of())

    assert inputs.names == (CLUE, NOISE)
    assert inputs.features.tolist() == [0, 0]  # what is always the same has no input
    assert inputs.kinds.tolist() == [NUMBER, MISSING]
    assert inputs.centers.tolist() == [2.0, 0.0]
    assert inputs.scales == pytest.approx([np.sqrt(3.0), 1.0])


def coded() -> Spec:
    """A spec with the attribute `category` of items as a feature."""
    return spec_of(features=["item_category", CLUE])


def test_a_text_has_an_input_for_each_of_its_codes() -> None:
    (category,) = (feature.name for feature in coded().resolved_features if type(feature).__name__ == "CategoryFeature")
    table = table_of(**{category: [2.0, 0.0, 2.0, None], CLUE: [1.0, 2.0, 3.0, 4.0]})

    inputs = learn_inputs(table, coded())

    assert inputs.kinds.tolist() == [CODE, CODE, NUMBER]
    assert inputs.centers[:2].tolist() == [0.0, 2.0]


def test_of_many_codes_the_most_frequent_have_inputs() -> None:
    codes = [float(code) for code in range(MOST_CODES + 5)] + [float(MOST_CODES + 4)] * 2
    table = table_of(**{"item_category": codes, CLUE: [float(n) for n in range(len(codes))]})

    inputs = learn_inputs(table, coded())

    kept = inputs.centers[inputs.kinds == CODE].tolist()
    assert kept == [*(float(code) for code in range(MOST_CODES - 1)), float(MOST_CODES + 4)]


def test_without_anything_that_differs_nothing_is_learned() -> None:
    table = table_of(**{CLUE: [1.0, 1.0], NOISE: [0.0, 0.0]})
    with pytest.raises(TrainingError, match="every feature has one value in all examples"):
        learn_inputs(table, spec_of())
