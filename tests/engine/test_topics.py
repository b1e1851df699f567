"""Latent Dirichlet allocation, beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import psi
from sklearn.decomposition import LatentDirichletAllocation

from engine.arrays import Floats
from engine.topics import Documents, Priors, fit, fold_in, shares, start

TOPICS, ITEMS, USERS = 4, 40, 200
PRIORS = Priors(0.25, 0.1)


@pytest.fixture(scope="module")
def planted() -> Floats:
    """The shares of items in the topics that the actions were drawn from."""
    made: Floats = np.random.default_rng(1).dirichlet(np.full(ITEMS, 0.1), TOPICS)
    return made


@pytest.fixture(scope="module")
def actions(planted: Floats) -> sp.csr_matrix:
    random = np.random.default_rng(2)
    mixtures = random.dirichlet(np.full(TOPICS, 0.2), USERS) @ planted
    return sp.csr_matrix(np.array([random.multinomial(60, mixture) for mixture in mixtures], dtype=np.float64))


@pytest.fixture(scope="module")
def library(actions: sp.csr_matrix) -> LatentDirichletAllocation:
    model = LatentDirichletAllocation(
        TOPICS, doc_topic_prior=PRIORS.of_users, topic_word_prior=PRIORS.of_items, max_iter=30, random_state=3
    )
    return model.fit(actions)


def test_from_the_same_start_the_topics_are_those_of_the_library(
    actions: sp.csr_matrix, library: LatentDirichletAllocation
) -> None:
    begin = np.ascontiguousarray(np.random.RandomState(3).gamma(100.0, 0.01, (TOPICS, ITEMS)).T)
    found = shares(fit(Documents.of(actions), begin, PRIORS, 30))
    expected = library.components_ / library.components_.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.T, expected, atol=0.005)


def test_users_are_folded_in_as_by_the_library(actions: sp.csr_matrix, library: LatentDirichletAllocation) -> None:
    weights = fit(Documents.of(actions), start(ITEMS, TOPICS, 0), PRIORS, 10)
    library.components_ = np.ascontiguousarray(weights.T)
    library.exp_dirichlet_component_ = np.exp(psi(weights.T) - psi(weights.sum(axis=0))[:, None])
    np.testing.assert_allclose(fold_in(Documents.of(actions), weights, 0.25), library.transform(actions), atol=1e-9)


def test_planted_topics_are_found_in_any_order(actions: sp.csr_matrix, planted: Floats) -> None:
    found = shares(fit(Documents.of(actions), start(ITEMS, TOPICS, 0), PRIORS, 30)).T
    distances = np.abs(planted[:, None, :] - found[None, :, :]).sum(axis=2) / 2
    assert distances.min(axis=1).max() < 0.15
    assert sorted(distances.argmin(axis=1)) == list(range(TOPICS))


def test_shares_add_up_to_1_for_users_with_and_without_actions() -> None:
    documents = Documents.of(sp.csr_matrix(np.array([[3.0, 0.0, 1.0], [0.0, 0.0, 0.0]])))
    weights = fit(documents, start(3, 2, 0), PRIORS, 5)
    users = fold_in(documents, weights, PRIORS.of_users)
    np.testing.assert_allclose(users.sum(axis=1), 1.0)
    np.testing.assert_allclose(users[1], 0.5)
    np.testing.assert_allclose(shares(weights).sum(axis=0), 1.0)
