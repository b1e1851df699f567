"""Features by where they come from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.spec.feature_catalog import feature_catalog
from tasks.training.feature_groups import feature_groups
from tests.tasks.handmade import spec_of

ALS = {"type": "als", "k": 5}


def test_marts_attributes_and_retrievers_are_groups() -> None:
    features = ["als_score", "user_region", "item_actions_28d", "popularity_score", "user_tenure_days", "item_category"]
    spec = spec_of(features=features, retrieval=[ALS, {"type": "popularity", "k": 5}])
    assert list(feature_groups(spec).items()) == [
        ("attributes", ("user_region", "item_category")),
        ("item", ("item_actions_28d",)),
        ("user", ("user_tenure_days",)),
        ("retrieval", ("als_score", "popularity_score")),
        ("retrieval:als", ("als_score",)),
        ("retrieval:popularity", ("popularity_score",)),
    ]


def test_the_features_of_one_retriever_are_no_group_twice() -> None:
    spec = spec_of(features=["item_actions_28d", "als_score"], retrieval=[ALS])
    assert list(feature_groups(spec)) == ["item", "retrieval"]


def test_all_features_are_no_group() -> None:
    assert feature_groups(spec_of(features=["item_actions_28d", "item_actions_7d"])) == {}


MARTS = sorted(feature_catalog().features)


@given(st.lists(st.sampled_from([*MARTS, "als_score", "popularity_score"]), min_size=1, unique=True))
def test_each_feature_is_left_out_with_its_own(names: list[str]) -> None:
    spec = spec_of(features=names, retrieval=[ALS, {"type": "popularity", "k": 5}])
    groups = feature_groups(spec)
    for group, members in groups.items():
        assert members
        assert len(members) < len(names)
        assert [name for name in names if name in members] == list(members), group
    whole = [members for name, members in groups.items() if ":" not in name]
    listed = [name for members in whole for name in members]
    assert len(listed) == len(set(listed))
    assert set(listed) == (set(names) if whole else set())
