"""Features alone: figures by hand, against another implementation, and who is named."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from engine.metrics import parse_metric
from tasks.evaluation.held_out import HeldOut, baseline_rows
from tasks.evaluation.leakage import FeaturePower, Leakage, category_orders, leakage_of
from tests.tasks.handmade import SNAPSHOTS, day, examples, group, spec_of

Floats = npt.NDArray[np.float64]
FEATURE = {"features": ["item_actions_28d"], "evaluate": {"metrics": ["ndcg@10"], "baselines": ["popularity"]}}
SIZE = 8


def leakage_in(table: pa.Table, *features: str, truth: pa.Table | None = None, **changes: Any) -> Leakage:
    """What is found when the features are columns of the examples."""
    spec = spec_of(**{**FEATURE, **changes, "features": list(features)})
    held_out = HeldOut.of(spec, table, truth)
    metric = parse_metric(spec.gates[0].metric)
    names = spec.evaluate.baselines
    return leakage_of(spec, held_out, {n: metric(held_out.lists(*baseline_rows(spec_of(), table, n))) for n in names})


def power_of(leakage: Leakage, feature: str = "f") -> FeaturePower:
    return next(power for power in leakage.features if power.feature == feature)


def lists(count: int, seed: int = 0, size: int = SIZE, **columns: Any) -> pa.Table:
    """Lists with one relevant item at a random place; a column is made from (grades of the list, generator)."""
    draw = np.random.default_rng(seed)
    made = []
    for n in range(count):
        grades = np.zeros(size, dtype=int)
        grades[draw.integers(size)] = 1
        values = {name: [float(x) for x in make(grades, draw)] for name, make in columns.items()}
        popular = [float(x) for x in draw.random(size)]
        made.append(group(f"r{n:04}", f"u{n}", [int(g) for g in grades], popularity_score=popular, **values))
    return examples(*made)


def label(grades: npt.NDArray[np.int64], _: np.random.Generator) -> Floats:
    return grades.astype(np.float64)


def noise(grades: npt.NDArray[np.int64], draw: np.random.Generator) -> Floats:
    return draw.random(len(grades))


def test_a_category_is_ordered_by_its_grades_in_training() -> None:
    """Of the held-out grades nothing is used; being missing is a category, one that was not trained on is average."""
    spec = spec_of(features=["user_region", "item_actions_28d"])
    codes = [0.0, 0.0, 2.0, 2.0, None, None]
    learned = pa.table({"user_region": pa.array(codes, pa.float32()), "grade": [0, 1, 3, 3, 2, 0]})
    table = pa.table({"user_region": pa.array([2.0, None, 0.0, 1.0, 7.0], pa.float32()), "grade": [0, 0, 4, 4, 4]})
    (name, order), *others = category_orders(spec, learned, table).items()
    assert (name, others) == ("user_region", [])
    assert order.tolist() == [3.0, 1.0, 0.5, 1.5, 1.5]


def test_what_a_category_says_of_the_label_is_suspicious() -> None:
    table = lists(60, user_region=lambda grades, _: 5.0 - 3.0 * grades)  # a low code is relevant: no order of codes
    spec = spec_of(**{**FEATURE, "features": ["user_region"]})
    held_out = HeldOut.of(spec, table, None)
    metric = parse_metric(spec.gates[0].metric)
    baselines = {"popularity": metric(held_out.lists(*baseline_rows(spec_of(), table, "popularity")))}
    (power,) = leakage_of(spec, held_out, baselines, category_orders(spec, table, table)).features
    assert (power.suspicious, power.direction) == (True, "higher")


def test_by_hand() -> None:
    table = examples(
        group("r1", "u1", [0, 1, 2], f=[1.0, 3.0, 2.0], popularity_score=[1.0, 2.0, 3.0]),
        group("r2", "u2", [0, 1, 0], f=[0.0, 1.0, 1.0], popularity_score=[0.0, 1.0, 2.0]),
    )
    leakage = leakage_in(table, "f")

    log3 = math.log2(3)
    mine = ((1 + 2 / log3) / (2 + 1 / log3) + 1) / 2  # r1: grades 1, 2, 0; r2: the tie goes to the first item
    theirs = (1 + 1 / log3) / 2
    assert leakage.metric == "ndcg@10"
    assert (leakage.reference.of, leakage.reference.value) == ("popularity", pytest.approx(theirs))
    assert leakage.perfect == 1.0
    power = power_of(leakage)
    assert power.direction == "higher"
    assert power.value == pytest.approx(mine)
    assert power.closes == pytest.approx((mine - theirs) / (1 - theirs))
    assert power.auc == pytest.approx((1 + 3 / 4) / 2)  # r1: both above the 0; r2: one tie, one below
    assert (power.groups, power.suspicious, power.acknowledged) == (2, False, None)


def test_auc_is_that_of_scikit_learn_in_each_list() -> None:
    draw = np.random.default_rng(4)
    grades = [draw.integers(0, 3, 30).tolist() for _ in range(20)] + [[0] * 30, [2] * 30]
    scores = [np.round(draw.random(30), 1).tolist() for _ in grades]  # with ties
    table = examples(*(group(f"r{n:02}", f"u{n}", g, f=s) for n, (g, s) in enumerate(zip(grades, scores, strict=True))))
    found = HeldOut.of(spec_of(), table, None).auc(table["f"].to_numpy())

    for n, (own, mine) in enumerate(zip(grades, scores, strict=True)):
        if len(set(own)) > 1:
            expected = roc_auc_score([grade > 0 for grade in own], np.asarray(mine, dtype=np.float32))
            assert found[n] == pytest.approx(expected)
    assert np.isnan(found[-2:]).all()


def test_the_better_direction_is_kept() -> None:
    table = lists(40, higher=label, lower=lambda grades, _: -grades, none=lambda grades, _: [5.0] * len(grades))
    leakage = leakage_in(table, "none", "lower", "higher")
    assert [(power.feature, power.direction, power.auc) for power in leakage.features] == [
        ("higher", "higher", 1.0),
        ("lower", "lower", 1.0),
        ("none", "none", 0.5),
    ]
    assert [power.suspicious for power in leakage.features] == [True, True, False]


def test_a_few_lists_prove_nothing() -> None:
    assert power_of(leakage_in(lists(29, f=label), "f")).suspicious is False
    assert power_of(leakage_in(lists(30, f=label), "f")).suspicious is True


@given(st.integers(0, 10_000))
def test_noise_is_not_named(seed: int) -> None:
    leakage = leakage_in(lists(40, seed, a=noise, b=noise, c=noise), "a", "b", "c")
    assert not any(power.suspicious for power in leakage.features)


@given(st.integers(0, 10_000), st.floats(0.0, 0.25))
def test_a_noisy_copy_of_the_label_is_named(seed: int, spread: float) -> None:
    table = lists(60, seed, f=lambda grades, draw: grades + draw.normal(0, spread, len(grades)))
    power = power_of(leakage_in(table, "f"))
    assert power.suspicious
    assert power.auc > 0.95


@given(st.integers(0, 10_000), st.sampled_from(["cube", "exp", "scale", "negative"]))
def test_what_keeps_the_order_changes_nothing(seed: int, name: str) -> None:
    change = {"cube": lambda x: x**3, "exp": np.exp, "scale": lambda x: 4 * x - 1, "negative": lambda x: -x}[name]
    whole = lists(35, seed, f=lambda grades, draw: draw.integers(0, 4, len(grades)) + grades)
    changed = whole.set_column(
        whole.column_names.index("f"), "f", pa.array(change(whole["f"].to_numpy().astype(np.float64)))
    )
    before, after = power_of(leakage_in(whole, "f")), power_of(leakage_in(changed, "f"))
    turned = {"higher": "lower", "lower": "higher"} if name == "negative" else {}
    assert after == before.model_copy(update={"direction": turned.get(before.direction, before.direction)})


def test_an_honest_feature_as_strong_as_its_baseline_is_not_named() -> None:
    table = lists(80, f=lambda grades, draw: grades + draw.normal(0, 0.3, len(grades)))
    strong = table.set_column(table.column_names.index("popularity_score"), "popularity_score", table["f"])
    power = power_of(leakage_in(strong, "f"))
    assert power.auc > 0.97
    assert power.closes == pytest.approx(0.0)
    assert power.suspicious is False


def test_without_baselines_the_reference_is_no_order() -> None:
    leakage = leakage_in(lists(40, f=label), "f", evaluate={"metrics": ["ndcg@10"], "baselines": []})
    assert leakage.reference.of == "no order"
    assert power_of(leakage).suspicious is True


def test_the_reason_in_the_pipeline_file_is_kept() -> None:
    known = {"metrics": ["ndcg@10"], "baselines": ["popularity"], "acknowledged": {"f": "Set before the visit."}}
    power = power_of(leakage_in(lists(40, f=label), "f", evaluate=known))
    assert (power.suspicious, power.acknowledged) == (True, "Set before the visit.")


def test_to_be_unknown_can_be_a_leak() -> None:
    table = lists(40, f=lambda grades, _: np.where(grades > 0, np.nan, 1.0))
    power = power_of(leakage_in(table, "f"))
    assert (power.direction, power.auc, power.suspicious) == ("lower", 1.0, True)


def test_the_perfect_order_is_of_what_was_retrieved() -> None:
    """A leak cannot find what no candidate list holds, and is named all the same."""
    table = lists(40, f=label)
    spec = {"examples": SNAPSHOTS, "evaluate": {"metrics": ["ndcg@10"], "baselines": ["popularity"]}}
    missed = pa.table(
        {
            "group_id": [f"r{n:04}" for n in range(40) for _ in range(10)],
            "user_id": [f"u{n}" for n in range(40) for _ in range(10)],
            "item_id": [f"m{k}" for _ in range(40) for k in range(10)],
            "grade": pa.array([1] * 400, pa.int8()),
            "cut": pa.array([day("02-01")] * 400, pa.date32()),
        }
    )
    leakage = leakage_in(table, "f", truth=missed, **spec)
    assert leakage.perfect < 0.25
    assert power_of(leakage).value == pytest.approx(leakage.perfect)
    assert power_of(leakage).closes == pytest.approx(1.0)
    assert power_of(leakage).suspicious is True
