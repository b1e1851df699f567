"""Linear fits, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet, LinearRegression, LogisticRegression

from engine.arrays import Floats
from tasks.training.learners.linear_fit import Penalties, fit_logistic, fit_squared


def problem(seed: int = 1) -> tuple[Floats, Floats, Floats]:
    """Rows with a column of ones first, a target that a line explains, and weights."""
    random = np.random.default_rng(seed)
    rows = np.concatenate([np.ones((300, 1)), random.normal(size=(300, 5))], axis=1)
    rows[:, 5] = 0.8 * rows[:, 4] + 0.2 * rows[:, 5]  # two inputs that say nearly the same
    target = rows @ np.array([0.5, 1.0, -2.0, 0.0, 0.3, 0.0]) + random.normal(size=300)
    return rows, target, random.random(300) + 0.1


@pytest.mark.parametrize(("l1", "l2"), [(0.1, 0.0), (0.05, 0.2), (0.0, 0.5)])
def test_elastic_nets_are_those_of_scikit_learn(l1: float, l2: float) -> None:
    rows, target, weights = problem()
    theirs = ElasticNet(alpha=l1 + l2, l1_ratio=l1 / (l1 + l2), tol=1e-12, max_iter=100_000)
    theirs.fit(rows[:, 1:], target, sample_weight=weights)

    ours = fit_squared(rows, target, weights, Penalties(l1, l2))

    assert ours == pytest.approx(np.array([theirs.intercept_, *theirs.coef_]), abs=1e-6)
    assert ((ours[1:] == 0) == (theirs.coef_ == 0)).all()


def test_without_penalties_it_is_least_squares() -> None:
    rows, target, weights = problem()
    theirs = LinearRegression().fit(rows[:, 1:], target, sample_weight=weights)
    ours = fit_squared(rows, target, weights, Penalties(0.0, 0.0))
    assert ours == pytest.approx(np.array([theirs.intercept_, *theirs.coef_]), abs=1e-7)


@pytest.mark.parametrize("l2", [0.001, 0.1])
def test_logistic_ridge_is_that_of_scikit_learn(l2: float) -> None:
    rows, target, weights = problem()
    relevant = (target > 1.0).astype(np.float64)
    theirs = LogisticRegression(C=1 / (l2 * weights.sum()), tol=1e-12, max_iter=10_000)
    theirs.fit(rows[:, 1:], relevant, sample_weight=weights)

    ours = fit_logistic(rows, relevant, weights, Penalties(0.0, l2))

    assert ours == pytest.approx(np.array([*theirs.intercept_, *theirs.coef_[0]]), abs=1e-5)


def test_a_logistic_lasso_leaves_out_what_says_nothing() -> None:
    rows, target, weights = problem()
    coefficients = fit_logistic(rows, (target > 0).astype(np.float64), weights, Penalties(0.05, 0.0))
    assert coefficients[3] == 0.0
    assert coefficients[2] < -0.3


def test_a_weight_counts_as_so_many_examples() -> None:
    rows, target, _ = problem()
    counts = np.arange(300) % 3
    repeated = np.repeat(np.arange(300), counts)
    for fit, goal in ((fit_squared, target), (fit_logistic, (target > 0).astype(np.float64))):
        weighted = fit(rows, goal, counts.astype(np.float64), Penalties(0.01, 0.01))
        plain = fit(rows[repeated], goal[repeated], np.ones(len(repeated)), Penalties(0.01, 0.01))
        assert weighted == pytest.approx(plain, abs=1e-8)


@pytest.mark.filterwarnings("error")
def test_what_can_be_told_apart_without_a_mistake_still_has_an_answer() -> None:
    rows = np.array([[1.0, -1.0], [1.0, -0.5], [1.0, 0.5], [1.0, 1.0]])
    coefficients = fit_logistic(rows, np.array([0.0, 0.0, 1.0, 1.0]), np.ones(4), Penalties(0.0, 0.0))
    assert np.isfinite(coefficients).all()
    assert coefficients[1] > 5
