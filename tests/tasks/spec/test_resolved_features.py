"""A feature is taken apart once: it is a column of a mart, or what a retrieval says of an item."""

from __future__ import annotations

import pytest

from tasks.errors import SpecError
from tasks.spec.feature_catalog import MartFeature, feature_catalog
from tasks.spec.resolved_features import RetrievalRank, RetrievalScore
from tests.tasks.handmade import SNAPSHOTS, spec_of


def test_features_are_resolved_in_the_order_of_the_file() -> None:
    spec = spec_of(features=["history_score", "item_actions_28d", "popularity_score"])
    popularity, history = spec.retrieval

    of_history, actions, of_popularity = spec.resolved_features
    assert of_history == RetrievalScore(history)
    assert of_popularity == RetrievalScore(popularity)
    assert isinstance(actions, MartFeature)
    assert actions == feature_catalog().features["item_actions_28d"]
    assert [feature.name for feature in spec.resolved_features] == list(spec.features)


def test_only_snapshots_have_ranks() -> None:
    shown, snapshots = spec_of(), spec_of(examples=SNAPSHOTS)

    assert [feature.name for feature in shown.retrieval_features] == ["popularity_score", "history_score"]
    assert [feature.name for feature in snapshots.retrieval_features if isinstance(feature, RetrievalRank)] == [
        "popularity_rank",
        "history_rank",
    ]


def test_a_name_that_is_neither_is_an_error() -> None:
    with pytest.raises(SpecError, match="unknown als_score; expected a column of a mart"):
        _ = spec_of(features=["item_actions_28d", "als_score"]).resolved_features


def test_resolving_leaves_the_spec_and_its_canonical_form_as_they_were() -> None:
    resolved, untouched = spec_of(), spec_of()
    assert resolved.resolved_features

    assert resolved == untouched
    assert resolved.canonical() == untouched.canonical()
