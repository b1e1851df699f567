"""Slices by attributes of items: only the items of a value count as relevant, in lists that stay as they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.lists import Lists
from engine.metrics import parse_metric
from tasks.evaluation.figures import EVERYBODY, Groups, records
from tasks.evaluation.held_out import HeldOut
from tasks.evaluation.item_slices import narrowed
from tasks.evaluation.results import FigureKey
from tests.tasks.handmade import SNAPSHOTS, day, examples, group, spec_of

CUT = day("02-01")
GENRES = {("i0", CUT): ("drama",), ("i1", CUT): ("war",), ("i2", CUT): ("drama", "war"), ("i9", CUT): ("unknown",)}


def truth_of(*rows: tuple[str, str, int]) -> pa.Table:
    """The relevant items (group, item, grade) of snapshots."""
    groups, items, grades = zip(*rows, strict=True)
    cuts = pa.array([CUT] * len(rows), pa.date32())
    users = [name.partition("@")[0] for name in groups]
    return pa.table({"group_id": groups, "user_id": users, "cut": cuts, "item_id": items, "grade": grades})


def test_items_of_other_values_stay_in_the_list_but_do_not_count() -> None:
    table = examples(group("r1", "u1", [2, 1, 0]), group("r2", "u2", [0, 1]))
    parts = dict(narrowed(HeldOut.of(spec_of(), table, None), None, {"genres": GENRES}))
    assert list(parts) == ["genres=drama", "genres=unknown", "genres=war"]
    scores = np.array([1.0, 3.0, 2.0, 2.0, 1.0])
    drama, war = (parse_metric("mrr")(parts[f"genres={name}"].lists(scores)) for name in ("drama", "war"))
    assert drama.tolist() == pytest.approx([1 / 3, np.nan], nan_ok=True)  # i0 is third; r2 has nothing of it
    assert war.tolist() == [1, 1 / 2]  # i1 is first in r1, and second in r2


def test_what_was_not_retrieved_is_a_miss_of_its_own_value_alone() -> None:
    table = examples(group("u1@c", "u1", [1, 0, 1]))
    truth = truth_of(("u1@c", "i0", 1), ("u1@c", "i2", 1), ("u1@c", "i9", 1), ("u2@c", "i9", 1))
    held_out = HeldOut.of(spec_of(examples=SNAPSHOTS), table, truth)
    recall = {
        piece: parse_metric("recall@10")(part.lists(np.array([3.0, 2.0, 1.0]))).tolist()
        for piece, part in narrowed(held_out, truth, {"genres": GENRES})
    }
    assert recall["genres=drama"] == pytest.approx([1, np.nan], nan_ok=True)
    assert recall["genres=war"] == pytest.approx([1, np.nan], nan_ok=True)
    assert recall["genres=unknown"] == [0, 0]


ITEMS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab")), min_size=1, max_size=8)


@given(st.lists(ITEMS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_a_slice_is_the_metric_of_grades_that_are_0_elsewhere(lists: list[list[tuple[int, str]]], draw: object) -> None:
    del draw
    table = examples(*(group(f"r{n}", "u", [grade for grade, _ in rows]) for n, rows in enumerate(lists)))
    # One item is of one value everywhere, so rows of later lists change what those of earlier ones are.
    values = {(f"i{place}", CUT): (kind,) for rows in lists for place, (_, kind) in enumerate(rows)}
    scores = np.arange(table.num_rows, dtype=np.float64) % 5
    for piece, part in narrowed(HeldOut.of(spec_of(), table, None), None, {"kind": values}):
        kind = piece.partition("=")[2]
        grades = [
            grade if values[f"i{place}", CUT] == (kind,) else 0
            for rows in lists
            for place, (grade, _) in enumerate(rows)
        ]
        expected = Lists.of(scores, grades, offsets(lists))
        for metric in ("ndcg@3", "mrr", "recall@2"):
            np.testing.assert_array_equal(parse_metric(metric)(part.lists(scores)), parse_metric(metric)(expected))


def offsets(lists: Sequence[Sequence[object]]) -> list[int]:
    return [0, *np.cumsum([len(rows) for rows in lists]).tolist()]


def test_a_record_says_what_counts_as_relevant() -> None:
    spec = spec_of(evaluate={"metrics": ["mrr"], "slices": []})
    one = {FigureKey("mrr", "model"): np.array([1.0, 0.5])}
    groups = Groups(
        ["u1", "u2"], one, {}, ["*", "*"], {"genres=war": {FigureKey("mrr", "model"): np.array([np.nan, 0.5])}}
    )
    whole, war = records(spec, groups)
    assert (whole.slice, whole.groups, whole.definition) == (None, 2, "reciprocal rank/first relevant")
    assert (war.population, war.slice, war.groups, war.value) == (EVERYBODY, "genres=war", 1, 0.5)
    assert war.definition == "reciprocal rank/first relevant/relevant only if genres=war"
