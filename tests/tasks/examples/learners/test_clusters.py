"""Clusters of users, for those who have done little yet or nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.examples.learners.clusters import CLUSTERS, fit_clusters
from tasks.examples.learners.protocol import AsOf
from tasks.examples.retrieval_models import Past
from tasks.spec.retrievals.clusters import ClustersRetrieval
from tests.tasks.examples.planted import ITEMS, USERS, past_rows, planted

PART = ClustersRetrieval(type="clusters", clusters=2, factors=2, regularization=5.0, k=5)
BY_TASTE = PART.model_copy(update={"by": "taste"})


def file_of(now: AsOf, part: ClustersRetrieval = PART) -> dict[str, Any]:
    """What is fitted to the planted past, as of another moment."""
    assert CLUSTERS.arrays is not None
    return CLUSTERS.arrays(part, now, fit_clusters(planted().past, part))


def row_of(file: dict[str, Any], user: str) -> int:
    """The row of the scores that a user gets: 0, everybody's, for one who is not in the file."""
    rows = dict(zip(file["user_ids"].tolist(), file["segment"].tolist(), strict=True))
    return int(rows.get(user, 0))


def later(*rows: tuple[str, str]) -> AsOf:
    """The planted past, and what newcomers did after the refit day."""
    every = sorted([*past_rows(), *((user, item, 0, 1.0) for user, item in rows)])
    columns = dict(zip(("user_id", "item_id", "age", "actions"), map(list, zip(*every, strict=True)), strict=True))
    return replace(planted(), past=Past.of(pa.table(columns)))


def test_users_of_a_taste_are_in_one_cluster_and_see_what_is_popular_in_it() -> None:
    file = file_of(planted())
    rows = {taste: {row_of(file, user) for user in USERS if user[0] == taste} for taste in "pq"}
    assert sorted(map(len, rows.values())) == [1, 1]
    assert rows["p"] != rows["q"]
    recent = np.zeros(len(ITEMS))
    for user, item, age, actions in past_rows():
        if user[0] == "p" and age < 28:
            recent[ITEMS.index(item)] += actions
    np.testing.assert_array_equal(np.floor(file["scores"][rows["p"].pop()]), recent)


def test_one_action_brings_a_newcomer_into_the_cluster_of_that_taste() -> None:
    file = file_of(later(("n1", "p03"), ("n2", "q03")))
    assert [row_of(file, user) for user in ("n1", "n2")] == [row_of(file, user) for user in ("p00", "q00")]


def test_who_did_nothing_that_was_fitted_gets_everybody_s_list() -> None:
    file = file_of(later(("n1", "z_new")))
    assert row_of(file, "n1") == 0
    np.testing.assert_array_equal(file["scores"][0], planted().past.totals(28, np.array(ITEMS)))


def test_who_did_nothing_goes_by_an_attribute_to_the_cluster_of_most_who_share_it() -> None:
    now = later(("n1", "q03"))
    people, tastes = [*USERS, "n1", "n2", "n3"], [*(user[0] for user in USERS), "p", "p", "none else"]
    file = file_of(replace(now, segments={"taste": pa.table({"user_id": people, "segment": tastes})}), BY_TASTE)
    assert row_of(file, "n1") == row_of(file, "q00"), "what somebody does says more"
    assert row_of(file, "n2") == row_of(file, "p00")
    assert row_of(file, "n3") == 0, "nobody shares the value"
    assert file["user_ids"].tolist() == sorted(file["user_ids"].tolist())
