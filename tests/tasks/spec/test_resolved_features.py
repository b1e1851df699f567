"""A feature is taken apart once: it is a column of a mart, or what a retrieval says of an item."""

from __future__ import annotations

import pytest

from tasks.errors import SpecError
from tasks.spec.feature_catalog import MartFeature, feature_catalog
from tasks.spec.resolved_features import RetrievalRank, RetrievalScore
from tasks.spec.retrieval import name_problems
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


TWO = [{"type": "als", "k": 5}, {"name": "als_recent", "type": "als", "half_life": "14d", "k": 5}]


def test_a_retrieval_with_a_name_gives_features_of_that_name() -> None:
    spec = spec_of(examples=SNAPSHOTS, retrieval=TWO, features=["als_recent_rank", "als_score"])
    recent, plain = spec.resolved_features
    assert (recent, plain) == (RetrievalRank(spec.retrieval[1]), RetrievalScore(spec.retrieval[0]))
    assert [part.files for part in spec.retrieval] == [("als.npz",), ("als_recent.npz",)]


def test_without_a_name_the_canonical_form_is_what_it_was() -> None:
    plain, recent = spec_of(retrieval=TWO).canonical()["retrieval"]
    assert "name" not in plain
    assert (recent.pop("name"), recent.pop("half_life")) == ("als_recent", "14d")
    assert plain.pop("half_life") is None
    assert plain == recent


def test_a_feature_that_a_mart_or_an_attribute_has_already_is_refused() -> None:
    spec = spec_of(retrieval=TWO)
    assert list(name_problems(spec.retrieval, {"item_actions_28d"})) == []
    ((place, key, text),) = name_problems(spec.retrieval, {"item_actions_28d", "als_recent_score"})
    assert (place, key) == (1, "name")
    assert text.startswith("its feature would be 'als_recent_score', as a column of a mart or an attribute is called")
    assert [key for _, key, _ in name_problems(spec.retrieval, {"als_rank"})] == ["type"]


def test_a_name_that_is_neither_is_an_error() -> None:
    with pytest.raises(SpecError, match="unknown als_score; expected a column of a mart"):
        _ = spec_of(features=["item_actions_28d", "als_score"]).resolved_features


def test_resolving_leaves_the_spec_and_its_canonical_form_as_they_were() -> None:
    resolved, untouched = spec_of(), spec_of()
    assert resolved.resolved_features

    assert resolved == untouched
    assert resolved.canonical() == untouched.canonical()
