"""Metrics against hand-computed values, against independent libraries, and their invariants."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

from engine.errors import MetricError
from engine.lists import Lists
from engine.metrics import names, parse_metric


def value(
    name: str,
    scores: list[float],
    grades: list[int],
    order: list[int] | None = None,
    relevant: tuple[list[int], list[int]] | None = None,
) -> float:
    """Return the metric of one list."""
    lists = Lists.of(scores, grades, [0, len(scores)], order=order, relevant=relevant)
    return float(parse_metric(name)(lists)[0])


# Ranked by score: grades 0, 3, 0, 1.
SCORES = [0.9, 0.1, 0.8, 0.3]
GRADES = [0, 1, 3, 0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ndcg@2", (3 / math.log2(3)) / (3 + 1 / math.log2(3))),
        ("ndcg", (3 / math.log2(3) + 1 / math.log2(5)) / (3 + 1 / math.log2(3))),
        ("ndcg_exp", (7 / math.log2(3) + 1 / math.log2(5)) / (7 + 1 / math.log2(3))),
        ("ndcg_binary@4", (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3))),
        ("mrr", 1 / 2),
        ("mrr@1", 0.0),
        ("recall@1", 0.0),
        ("recall@2", 1 / 2),
        ("recall@4", 1.0),
        ("precision@4", 2 / 4),
        ("precision@10", 2 / 10),
        ("map", (1 / 2 + 2 / 4) / 2),
        ("map@2", (1 / 2) / 2),
        ("hit_rate@1", 0.0),
        ("hit_rate@2", 1.0),
        # pairs (3,0) (3,0) (3,1) (1,0) (1,0): the second, third are concordant
        ("fpc", 2 / 5),
    ],
)
def test_hand_computed(name: str, expected: float) -> None:
    assert value(name, SCORES, GRADES) == pytest.approx(expected, abs=1e-15)


def test_relevant_items_that_were_not_retrieved_are_misses() -> None:
    everything = ([3, 1, 2], [0, 3])
    ideal = 3 + 2 / math.log2(3) + 1 / 2
    assert value("recall@4", SCORES, GRADES, relevant=everything) == pytest.approx(2 / 3)
    assert value("ndcg@4", SCORES, GRADES, relevant=everything) == pytest.approx(
        (3 / math.log2(3) + 1 / math.log2(5)) / ideal
    )
    assert value("recall@4", [], [], relevant=([1], [0, 1])) == 0.0


def test_ties_follow_the_given_order() -> None:
    assert value("mrr", [1.0, 1.0, 1.0], [0, 0, 1]) == pytest.approx(1 / 3)
    assert value("mrr", [1.0, 1.0, 1.0], [0, 0, 1], order=[5, 9, 2]) == 1.0
    assert value("fpc", [1.0, 1.0, 0.0], [0, 1, 0]) == 0.75


def test_groups_without_relevant_items_have_no_value() -> None:
    lists = Lists.of([1.0, 2.0, 3.0], [0, 0, 1], [0, 2, 2, 3])
    for name in names():
        values = parse_metric(name)(lists)
        assert np.isnan(values[:2]).all(), name
    assert parse_metric("ndcg@10")(lists)[2] == 1.0
    assert np.isnan(parse_metric("fpc")(lists)[2])  # one item, no pair


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([1.0, float("nan")], [0, 1], [0, 2]), "group 0 has a NaN score"),
        (([1.0], [0, 1], [0, 1]), "1 scores but 2 grades"),
        (([1.0], [0.5], [0, 1]), "whole numbers"),
        (([1.0], [-1], [0, 1]), "whole numbers"),
        (([1.0], [1], [0, 2]), "must ascend from 0"),
    ],
)
def test_lists_that_do_not_fit_are_refused(arguments: tuple[Any, Any, Any], text: str) -> None:
    with pytest.raises(MetricError, match=text):
        _ = Lists.of(*arguments).relevant


def test_an_incomplete_list_of_relevant_items_is_refused() -> None:
    with pytest.raises(MetricError, match="lists 2 relevant items of 1"):
        value("ndcg", SCORES, GRADES, relevant=([3], [0, 1]))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ndgc@10", "did you mean 'ndcg'"),
        ("recall", "needs a cutoff"),
        ("fpc@3", "takes no cutoff"),
        ("ndcg@0", "is no metric"),
        ("ndcg@10 ", "is no metric"),
    ],
)
def test_unknown_metrics_are_refused_with_the_nearest_name(name: str, text: str) -> None:
    with pytest.raises(MetricError, match=text):
        parse_metric(name)


def test_names_round_trip() -> None:
    assert [parse_metric(name).name for name in names()] == names()


lists_of_scores = st.lists(st.tuples(st.integers(-5, 5).map(float), st.integers(0, 4)), min_size=2, max_size=60).filter(
    lambda rows: any(grade for _, grade in rows)
)


def in_order(rows: list[tuple[float, int]]) -> list[int]:
    return [grade for _, grade in sorted(rows, key=lambda row: -row[0])]


def brute(name: str, k: int, rows: list[tuple[float, int]]) -> float:
    """Compute a metric the obvious way."""
    ranked = in_order(rows)
    relevant = sum(grade > 0 for grade in ranked)
    if name == "ndcg":
        gain = sum(g / math.log2(i + 2) for i, g in enumerate(ranked[:k]))
        return gain / sum(g / math.log2(i + 2) for i, g in enumerate(sorted(ranked, reverse=True)[:k]))
    if name == "recall":
        return sum(g > 0 for g in ranked[:k]) / min(relevant, k)
    if name == "map":
        at = [i for i, g in enumerate(ranked[:k]) if g > 0]
        return sum((n + 1) / (i + 1) for n, i in enumerate(at)) / min(relevant, k)
    if name == "mrr":
        return next((1 / (i + 1) for i, g in enumerate(ranked[:k]) if g > 0), 0.0)
    pairs = [(a, b) for a in rows for b in rows if a[1] > b[1]]
    return sum((a[0] > b[0]) + 0.5 * (a[0] == b[0]) for a, b in pairs) / len(pairs) if pairs else math.nan


@given(rows=lists_of_scores, k=st.integers(1, 70))
@settings(max_examples=150, deadline=None)
def test_agrees_with_brute_force(rows: list[tuple[float, int]], k: int) -> None:
    lists = Lists.of([s for s, _ in rows], [g for _, g in rows], [0, len(rows)])
    for name in ("ndcg", "recall", "map", "mrr", "fpc"):
        ours = parse_metric(name if name == "fpc" else f"{name}@{k}")(lists)[0]
        np.testing.assert_allclose(ours, brute(name, k, rows), rtol=1e-12, err_msg=name)


@given(rows=lists_of_scores)
@settings(max_examples=60, deadline=None)
def test_invariants(rows: list[tuple[float, int]]) -> None:
    scores = np.array([s for s, _ in rows])
    grades = [g for _, g in rows]
    once = Lists.of(scores, grades, [0, len(rows)])
    monotone = Lists.of(np.exp(scores / 3) * 7 - 2, grades, [0, len(rows)])
    perfect = Lists.of(np.array(grades, dtype=float), grades, [0, len(rows)])
    for name in ("ndcg@10", "ndcg_exp@5", "ndcg_binary", "mrr", "recall@3", "map@10", "hit_rate@3", "fpc"):
        metric = parse_metric(name)
        mine = metric(once)[0]
        np.testing.assert_array_equal(mine, metric(monotone)[0])
        assert math.isnan(mine) or 0.0 <= mine <= 1.0 + 1e-12
        best = metric(perfect)[0]
        assert math.isnan(best) or best == pytest.approx(1.0)


@pytest.mark.parametrize("size", [12, 400])
@pytest.mark.parametrize("share", [0.05, 0.9])
def test_agrees_with_scikit_learn(size: int, share: float) -> None:
    """Long lists with many relevant items take the sorting path, the others count."""
    random = np.random.default_rng(size)
    groups = 20
    grades = (random.random((groups, size)) < share) * random.integers(1, 5, (groups, size))
    grades[:, 0], grades[:, 1] = 2, 0
    scores = random.random((groups, size)).astype(np.float32)
    lists = Lists.of(scores.ravel(), grades.ravel(), np.arange(groups + 1) * size)
    for k in (1, 10, size):
        ours = parse_metric(f"ndcg@{k}")(lists)
        theirs = [ndcg_score([g], [s], k=k) for g, s in zip(grades, scores, strict=True)]
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    binary = (grades > 0).astype(int)
    flat = Lists.of(scores.ravel(), binary.ravel(), np.arange(groups + 1) * size)
    for name, judge in (("fpc", roc_auc_score), ("map", average_precision_score)):
        theirs = [judge(g, s) for g, s in zip(binary, scores, strict=True)]
        np.testing.assert_allclose(parse_metric(name)(flat), theirs, rtol=1e-12)


RANX = """
import json, sys
from ranx import Qrels, Run, evaluate

truth, run, names = json.load(sys.stdin)
print(json.dumps({name: float(value) for name, value in evaluate(Qrels(truth), Run(run), names).items()}))
"""


def test_agrees_with_ranx() -> None:
    random = np.random.default_rng(3)
    grades = random.integers(0, 4, (15, 30)) * (random.random((15, 30)) < 0.4)
    grades[:, 0] = 1
    scores = random.random((15, 30))
    truth = {f"q{q}": {f"d{d}": int(g) for d, g in enumerate(row) if g} for q, row in enumerate(grades)}
    run = {f"q{q}": {f"d{d}": float(s) for d, s in enumerate(row)} for q, row in enumerate(scores)}
    lists = Lists.of(scores.ravel(), grades.ravel(), np.arange(16) * 30)
    pairs = {
        "ndcg@10": "ndcg@10",
        "ndcg_exp@10": "ndcg_burges@10",
        "mrr": "mrr",
        "precision@5": "precision@5",
        "hit_rate@2": "hit_rate@2",
        "map": "map",
    }
    theirs = ranx(truth, run, list(pairs.values()))
    for ours, name in pairs.items():
        assert parse_metric(ours)(lists).mean() == pytest.approx(theirs[name]), ours


def ranx(truth: object, run: object, names: list[str]) -> dict[str, float]:
    """Ask ranx in a process of its own that compiles nothing: to compile its kernels takes a minute."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RANX],
        input=json.dumps([truth, run, names]),
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    values: dict[str, float] = json.loads(done.stdout)
    return values
