"""Inverse propensity weights: what they are, where they are cut off, and which lists they make."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.errors import TrainingError
from tasks.spec.feedback.position_bias import InversePropensity
from tasks.training.bias.rows import training_rows
from tasks.training.bias.slots import Slots, of_random_pages
from tasks.training.bias.weights import lists_of_relevant, propensity_weights
from tests.tasks.handmade import examples, group, spec_of

TABLE = examples(group("g1", "u1", [0, 1, 0]), group("g2", "u2", [1, 0, 1]))
LOGGED: dict[str, Any] = {"type": "ips", "propensities": "logged"}


def with_columns(table: pa.Table, **columns: list[Any]) -> pa.Table:
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    return table


def spec_with(bias: dict[str, Any], objective: str = "binary") -> Any:
    return spec_of(ranker={"type": "lightgbm", "rounds": 2, "objective": objective}, position_bias=bias)


def test_by_logged_propensities_each_example_counts_one_over_its_own_times_the_weight_of_the_sample() -> None:
    table = with_columns(TABLE, propensity=[0.5, 0.5, 0.5, 0.5, 0.5, 0.25])
    weights = pa.array([2.0] * 3 + [1.0] * 3)
    table = table.set_column(table.column_names.index("weight"), "weight", weights)
    spec = spec_with(LOGGED)

    assert training_rows(table, spec, spec.ranker)["weight"].to_pylist() == [4.0, 4.0, 4.0, 2.0, 2.0, 4.0]


def test_weights_are_cut_off_at_multiples_of_the_mean_and_the_effective_size_is_kishs() -> None:
    table = with_columns(TABLE, propensity=[1.0, 1.0, 1.0, 1.0, 1.0, 0.1])
    declared = InversePropensity(type="ips", propensities="logged", clip=2.0)

    found = propensity_weights(table, spec_with(LOGGED), declared)

    # The mean is 15 / 6, so that 10 becomes 5.
    assert found.weights.tolist() == [1.0, 1.0, 1.0, 1.0, 1.0, 5.0]
    assert (found.record.weighted, found.record.clipped) == (6, 1)
    assert found.record.effective == pytest.approx(100 / 30, abs=1e-6)
    assert found.record.largest == pytest.approx(5 / (10 / 6), abs=1e-6)


def test_a_missing_propensity_is_an_error_that_says_how_many() -> None:
    table = with_columns(TABLE, propensity=[1.0, None, None, 1.0, 1.0, 1.0])
    spec = spec_with(LOGGED)
    with pytest.raises(TrainingError, match="2 of 6 examples have no logged propensity, expected one for each"):
        training_rows(table, spec, spec.ranker)


def test_without_the_key_examples_stay_as_they_are() -> None:
    spec = spec_of()
    assert training_rows(TABLE, spec, spec.ranker) is TABLE


def test_random_pages_tell_how_often_a_position_is_looked_at() -> None:
    """Two positions, 1,000 random pages: 100 and 50 relevant examples; pages of another policy say nothing."""
    positions = np.tile([1, 2], 2000)
    found = np.zeros(4000, dtype=np.bool_)
    found[0:200:2] = found[1:101:2] = True
    found[2000:] = True
    table = pa.table({"position": positions})
    among = np.arange(4000) < 2000

    examination = of_random_pages(Slots.of(table, ()), found, np.ones(4000), among)

    # Each slot counts one more relevant example, found at the mean rate of 0.075.
    expected = (51 / (1000 + 1 / 0.075)) / (101 / (1000 + 1 / 0.075))
    assert examination.tolist() == pytest.approx([1.0, expected])


def test_a_policy_whose_pages_have_nothing_relevant_is_an_error() -> None:
    table = with_columns(TABLE, policy=["blend"] * 6)
    spec = spec_with({"type": "ips", "propensities": "randomized", "policy": "uniform"})
    with pytest.raises(TrainingError, match="none of the examples that the policy 'uniform' showed is relevant"):
        training_rows(table, spec, spec.ranker)


def test_layouts_have_positions_of_their_own() -> None:
    table = pa.table({"position": [1, 2, 1], "page": ["home", "home", "search"]})
    slots = Slots.of(table, ("page",))
    assert slots.names == ((("home",), 1), (("home",), 2), (("search",), 1))
    assert slots.sums(np.array([1.0, 2.0, 4.0])).tolist() == [1.0, 2.0, 4.0]


def test_of_a_loss_over_lists_each_relevant_example_makes_a_list_of_its_own() -> None:
    table = examples(group("g1", "u1", [0, 2, 0, 1]), group("g2", "u2", [1, 0]))
    weights = np.array([9.0, 4.0, 9.0, 2.0, 3.0, 9.0])

    lists = lists_of_relevant(table, weights, spec_of())

    assert list(zip(*(lists[name].to_pylist() for name in ("group_id", "item_id", "weight")), strict=True)) == [
        ("g1#0", "i0", 4.0),
        ("g1#0", "i1", 4.0),
        ("g1#0", "i2", 4.0),
        # The grade 1 is worth half of the best of its list.
        ("g1#1", "i0", 1.0),
        ("g1#1", "i2", 1.0),
        ("g1#1", "i3", 1.0),
        ("g2#2", "i0", 3.0),
        ("g2#2", "i1", 3.0),
    ]


def test_a_loss_over_examples_keeps_the_lists_and_weighs_relevant_examples_alone() -> None:
    table = with_columns(TABLE, policy=["uniform"] * 6)
    bias = {"type": "ips", "propensities": "randomized", "policy": "uniform"}
    binary, lists = spec_with(bias), spec_with(bias, "lambdarank")

    single = training_rows(table, binary, binary.ranker)
    assert single["group_id"].to_pylist() == table["group_id"].to_pylist()
    grades, weights = table["grade"].to_numpy(), single["weight"].to_numpy()
    assert (weights[grades == 0] == 1.0).all()
    assert (weights[grades > 0] >= 1.0).all()
    assert training_rows(table, lists, lists.ranker)["group_id"].to_pylist() == [
        *["g1#0"] * 3, *["g2#1"] * 2, *["g2#2"] * 2,
    ]  # fmt: skip
