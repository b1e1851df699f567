"""Topics of items by latent Dirichlet allocation, with the same bits on every processor.

The model is that of Blei, Ng & Jordan (2003): a user's actions are words of a document; each has a topic, drawn from
the user's shares of topics, and an item, drawn from the topic's shares of items. The inference is their variational
Bayes in the form of Hoffman, Blei & Bach (2010), over all users at once, as in scikit-learn. Logarithms, exponentials
and sums are those of `engine.exact`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from engine.arrays import Codes, Floats, Offsets, kernel
from engine.exact import digamma, exponential

_LEAST = 2.220446049250313e-16
"""Added to what is divided by, as scikit-learn does: an item that no topic has any of."""


_MOST, _ENOUGH = 100, 1e-3
"""A user's topics are improved until their weights move by less than this on average, at most so often."""


class Documents(NamedTuple):
    """What users did: user `u` has `counts[offsets[u]:offsets[u + 1]]` of as many `items`."""

    offsets: Offsets
    items: Codes
    counts: Floats

    @classmethod
    def of(cls, actions: Any) -> Documents:
        """Take a scipy CSR matrix (users, items)."""
        return cls(actions.indptr.astype(np.int64), actions.indices.astype(np.int32), actions.data.astype(np.float64))


@dataclass(frozen=True)
class Priors:
    """How evenly topics are spread in users, and items in topics, before anything is known: small is unevenly."""

    of_users: float
    of_items: float


@kernel
def _expected(weights: Floats, out: Floats) -> None:
    """Put exp(E[log share]) of shares with a Dirichlet distribution of these weights in `out`."""
    total = 0.0
    for k in range(len(weights)):
        total += weights[k]
    base = digamma(total)
    for k in range(len(weights)):
        out[k] = exponential(digamma(weights[k]) - base)


@kernel
def _topics_of(items: Codes, counts: Floats, topics: Floats, prior: float, weights: Floats) -> Floats:
    """Put the weights of one user's topics in `weights`, and return exp(E[log share]) of each.

    Args:
        items: of the user.
        counts: of each.
        topics: (items, topics), exp(E[log share]).
        prior: of the user's topics.
        weights: (topics,), the weights to begin with.
    """
    shares, mixed = np.empty(len(weights)), np.empty(len(weights))
    _expected(weights, shares)
    for _ in range(_MOST):
        mixed[:] = 0.0
        for n in range(len(items)):
            row, total = topics[items[n]], _LEAST
            for k in range(len(row)):
                total += shares[k] * row[k]
            for k in range(len(row)):
                mixed[k] += counts[n] / total * row[k]
        moved = 0.0
        for k in range(len(weights)):
            now = prior + shares[k] * mixed[k]
            moved += abs(now - weights[k])
            weights[k] = now
        _expected(weights, shares)
        if moved < _ENOUGH * len(weights):
            break
    return shares


@kernel
def _sweep(documents: Documents, topics: Floats, prior: float, gained: Floats) -> Floats:
    """The weights (users, topics) of the topics of all users; what items gain by them is added to `gained`."""
    users = np.ones((len(documents.offsets) - 1, topics.shape[1]))
    for user in range(len(users)):
        first, last = documents.offsets[user], documents.offsets[user + 1]
        items, counts = documents.items[first:last], documents.counts[first:last]
        shares = _topics_of(items, counts, topics, prior, users[user])
        for n in range(len(items)):
            row, total = topics[items[n]], _LEAST
            for k in range(len(row)):
                total += shares[k] * row[k]
            for k in range(len(row)):
                gained[items[n], k] += shares[k] * row[k] * (counts[n] / total)
    return users


@kernel
def _shares_of_items(weights: Floats) -> Floats:
    """Exp(E[log share]) (items, topics) of the items of every topic."""
    turned, out = weights.T.copy(), np.empty(weights.shape)
    for k in range(len(turned)):
        shares = np.empty(len(weights))
        _expected(turned[k], shares)
        out[:, k] = shares
    return out


def start(items: int, topics: int, seed: int) -> Floats:
    """Weights of items in topics to begin with: near 1, and different, or all topics would stay the same."""
    # Uniform numbers are the same everywhere; those of a gamma distribution come from the machine's logarithm.
    drawn: Floats = 0.5 + np.random.default_rng(seed).random((items, topics))
    return drawn


def fit(documents: Documents, begin: Floats, priors: Priors, iterations: int) -> Floats:
    """The weights (items, topics) of items in topics: topic `k` has the share `[i, k] / sum([:, k])` of item `i`.

    Args:
        documents: what users did.
        begin: the weights to begin with, of `start`.
        priors: of both.
        iterations: over all users.
    """
    weights = begin
    for _ in range(iterations):
        gained = np.zeros(weights.shape)
        _sweep(documents, _shares_of_items(weights), priors.of_users, gained)
        weights = priors.of_items + gained
    return weights


def fold_in(documents: Documents, weights: Floats, prior: float) -> Floats:
    """The shares (users, topics) of topics in users, with the topics as they are.

    Args:
        documents: what the users did.
        weights: of `fit`.
        prior: of the users' topics.
    """
    users = _sweep(documents, _shares_of_items(weights), prior, np.zeros(weights.shape))
    return _normalized(users)


def shares(weights: Floats) -> Floats:
    """The share (items, topics) of each item in each topic, from their weights."""
    return _normalized(np.ascontiguousarray(weights.T)).T.copy()


@kernel
def _normalized(rows: Floats) -> Floats:
    """Rows that add up to 1."""
    out = np.empty(rows.shape)
    for n in range(len(rows)):
        total = 0.0
        for k in range(rows.shape[1]):
            total += rows[n, k]
        for k in range(rows.shape[1]):
            out[n, k] = rows[n, k] / total
    return out
