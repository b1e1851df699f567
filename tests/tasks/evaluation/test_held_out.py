"""Places in the lists of held-out groups: the ranks that the metrics use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.held_out import HeldOut, baseline_rows
from tests.tasks.handmade import SNAPSHOTS, day, examples, group, spec_of

LISTS = st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=9), min_size=1, max_size=5)


@given(LISTS)
def test_places_are_those_of_the_metrics_for_any_scores(lists: list[list[float]]) -> None:
    # Every item is relevant, so that the metrics rank every item.
    table = examples(*(group(f"r{n}", "u1", [1] * len(scores)) for n, scores in enumerate(lists)))
    held_out = HeldOut.of(spec_of(), table, None)
    scores = np.array([score for each in lists for score in each])

    places = held_out.places(scores)

    for number, ranks in enumerate(np.split(held_out.lists(scores).relevant.ranks, held_out.offsets[1:-1])):
        begin, end = held_out.offsets[number : number + 2]
        assert sorted(places[begin:end] + 1) == ranks.tolist()
        # Equal scores stand in the order of the items.
        order = sorted(range(begin, end), key=lambda row: (-scores[row], row))
        assert np.argsort(places[begin:end]).tolist() == [row - begin for row in order]


def snapshot() -> tuple[Any, pa.Table]:
    table = examples(group("u1@c", "u1", [1, 0, 1], history_score=[0.0, 2.0, 5.0]))
    truth = pa.table(
        {
            "group_id": ["u1@c", "u1@c", "u2@c"],
            "user_id": ["u1", "u1", "u2"],
            "cut": pa.array([day("02-01")] * 3, pa.date32()),
            "item_id": ["i0", "i2", "i9"],
            "grade": [1, 1, 1],
        }
    )
    return HeldOut.of(spec_of(examples=SNAPSHOTS), table, truth), table


def test_what_history_does_not_list_has_no_place_in_a_snapshot() -> None:
    held_out, table = snapshot()

    assert held_out.places(*baseline_rows(spec_of(), table, "history")).tolist() == [np.inf, 1, 0]
    assert held_out.lists(*baseline_rows(spec_of(), table, "history")).relevant.ranks.tolist() == [1]


def test_what_was_shown_has_a_place_whoever_ranks_it() -> None:
    table = examples(group("r1", "u1", [1, 0, 1], history_score=[0.0, 2.0, 5.0]))

    assert HeldOut.of(spec_of(), table, None).places(*baseline_rows(spec_of(), table, "history")).tolist() == [2, 1, 0]


def test_a_baseline_lists_only_own_items_by_its_type_whatever_its_name() -> None:
    table = examples(group("g", "u", [0, 1], usual_score=[0.0, 2.0], history_score=[0.0, 2.0]))
    named = [{"name": "usual", "type": "history", "k": 5}, {"type": "popularity", "k": 5}]
    assert baseline_rows(spec_of(retrieval=named), table, "usual")[1].tolist() == [False, True]
    assert baseline_rows(spec_of(retrieval=named), table, "history")[1].tolist() == [True, True]
