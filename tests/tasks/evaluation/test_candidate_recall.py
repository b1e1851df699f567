"""Candidate recall, by hand and against plain sets."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.npz import save_arrays
from tasks.errors import MatineeError
from tasks.evaluation.candidate_recall import Consumed, candidate_recall
from tasks.evaluation.held_out import HeldOut
from tasks.examples.candidates import RetrieveResult
from tasks.runs.run import Run
from tasks.store.files import Home, write_digests
from tests.tasks.handmade import SNAPSHOTS, day, examples, finish_step, group, spec_of

CUT = day("02-01")
ITEMS = [f"i{n}" for n in range(6)]
BOTH = [{"type": "popularity", "k": 2}, {"type": "history", "k": 3}]


def retrieved(folder: Path, past: dict[str, list[int]], **changes: Any) -> Run:
    """A run with the models of one cut: item `i<n>` is the n-th in popularity, and `past` has each user's items."""
    run = Run(spec_of(**{"retrieval": BOTH, **changes}), Home(folder), day("02-20"), "1")
    models = run.home.retrieval("tiny") / "cut"
    models.mkdir(parents=True)
    shown = [True] * (len(ITEMS) - 1) + [False]
    catalog = {"item_id": ITEMS, "title": ITEMS, "category": ITEMS, "available": shown}
    pq.write_table(pa.table(catalog), models / "catalogue.parquet")
    scores = np.arange(len(ITEMS), 0, -1, dtype="f4")
    save_arrays(models / "popularity.npz", item_ids=np.array(ITEMS), scores=scores)
    users = sorted(past)
    save_arrays(
        models / "history.npz",
        user_ids=np.array(users, dtype="U8"),
        item_ids=np.array(ITEMS),
        offsets=np.cumsum([0, *(len(past[user]) for user in users)]),
        items=np.array([item for user in users for item in past[user]], dtype="i4"),
        scores=np.array([len(ITEMS) - n for user in users for n, _ in enumerate(past[user])], dtype="f4"),
    )
    write_digests(models)
    folders = {CUT: str(models.relative_to(run.home.root))}
    result = RetrieveResult(data="d", cuts=1, made=1, folders=folders, kernels=[])
    finish_step(run, "retrieve", result.to_json())
    return run


def measured(run: Run, table: pa.Table, truth: pa.Table | None = None) -> dict[tuple[str, int], tuple[float, float]]:
    """By retriever and k: recall, and candidates."""
    held_out = HeldOut.of(run.spec, table, truth)
    rows = candidate_recall(run, held_out, Consumed.of(held_out, truth))
    return {(row.recall.of, row.k): (row.recall.value or 0.0, row.candidates) for row in rows}


def test_by_hand(tmp_path: Path) -> None:
    run = retrieved(tmp_path, {"u1": [3, 4]})
    lists = examples(
        group("r1", "u1", [1, 0, 0, 2]),  # i0 is popular, i3 is in the past
        group("r2", "u2", [0, 1]),  # i1 is popular; u2 has no past
        group("r3", "u3", [0, 0, 0, 0, 1]),  # i4: nobody would have found it
    )

    assert measured(run, lists) == {
        ("popularity", 2): (pytest.approx((1 / 2 + 1 + 0) / 3), 2),
        ("history", 2): (pytest.approx((1 / 2 + 0 + 0) / 3), pytest.approx(2 / 3)),
        ("history", 3): (pytest.approx((1 / 2 + 0 + 0) / 3), pytest.approx(2 / 3)),
        ("union", 5): (pytest.approx((1 + 1 + 0) / 3), pytest.approx((4 + 2 + 2) / 3)),
    }


def test_figures_have_the_count_of_lists_and_an_interval_over_users(tmp_path: Path) -> None:
    run = retrieved(tmp_path, {})
    lists = [group(f"r{n}", f"u{n}", [1, 0] if n % 2 else [0, 0, 0, 1]) for n in range(40)]
    held_out = HeldOut.of(run.spec, examples(*lists), None)

    first = candidate_recall(run, held_out, Consumed.of(held_out, None))[0].recall

    assert (first.metric, first.of, first.value, first.groups) == ("recall@2", "popularity", 0.5, 40)
    assert first.definition == "recall/min(n,k)"
    assert first.low is not None
    assert first.high is not None
    assert 0.3 < first.low < 0.5 < first.high < 0.7


def test_what_is_consumed_more_than_k_times_can_still_be_found_whole(tmp_path: Path) -> None:
    run = retrieved(tmp_path, {}, retrieval=[{"type": "popularity", "k": 2}])

    assert measured(run, examples(group("r1", "u1", [1, 1, 1]))) == {("popularity", 2): (1.0, 2)}  # 2 of min(3, 2)


def test_an_item_that_a_page_shows_twice_is_one_item_to_find(tmp_path: Path) -> None:
    run = retrieved(tmp_path, {}, retrieval=[{"type": "popularity", "k": 2}])
    twice = group("r1", "u1", [1, 1, 1])
    twice[1]["item_id"], twice[2]["item_id"] = "i0", "i5"

    assert measured(run, examples(twice)) == {("popularity", 2): (0.5, 2)}


def truth_of(*rows: tuple[str, str]) -> pa.Table:
    users, items = map(list, zip(*rows, strict=True))
    return pa.table(
        {
            "group_id": [f"{user}@c" for user in users],
            "user_id": users,
            "item_id": items,
            "grade": [1] * len(rows),
            "cut": pa.array([CUT] * len(rows), pa.date32()),
        }
    )


def test_of_snapshots_everything_consumed_counts_retrieved_or_known_or_not(tmp_path: Path) -> None:
    run = retrieved(tmp_path, {}, examples=SNAPSHOTS, retrieval=[{"type": "popularity", "k": 3}])
    table = examples(group("u1@c", "u1", [1, 0, 0]))
    truth = truth_of(("u1", "i0"), ("u1", "i4"), ("u1", "new"), ("u2", "i5"))

    assert measured(run, table, truth) == {("popularity", 3): (pytest.approx((1 / 3 + 0) / 2), 3)}


def test_a_file_that_has_changed_since_is_not_read(tmp_path: Path) -> None:
    run = retrieved(tmp_path, {})
    path = run.home.retrieval("tiny") / "cut" / "popularity.npz"
    path.write_bytes(path.read_bytes() + b" ")

    with pytest.raises(MatineeError, match=r"popularity\.npz: found sha256 .*: changed since it was written"):
        measured(run, examples(group("r1", "u1", [1, 0])))


NUMBERS = st.integers(0, len(ITEMS) - 2)
PASTS = st.dictionaries(st.sampled_from(["u0", "u1", "u2"]), st.lists(NUMBERS, unique=True))
GRADES = st.lists(st.integers(0, 2), min_size=1, max_size=5).filter(any)


@settings(max_examples=25)
@given(PASTS, st.lists(st.tuples(st.sampled_from(["u0", "u1", "u2"]), GRADES), min_size=1, max_size=5))
def test_it_is_what_sets_give(past: dict[str, list[int]], shown: list[tuple[str, list[int]]]) -> None:
    with TemporaryDirectory() as folder:
        run = retrieved(Path(folder), past)
        values = measured(run, examples(*(group(f"r{n}", *each) for n, each in enumerate(shown))))

    def recall(k: int, *, popular: bool = False, own: int = 0) -> float:
        of_each = []
        for user, grades in shown:
            wanted = {n for n, grade in enumerate(grades) if grade}
            candidates = ({0, 1} if popular else set()) | set(past.get(user, [])[:own])
            of_each.append(len(wanted & candidates) / min(len(wanted), k))
        return sum(of_each) / len(of_each)

    expected = {
        ("popularity", 2): recall(2, popular=True),
        ("history", 2): recall(2, own=2),
        ("history", 3): recall(3, own=3),
        ("union", 5): recall(5, popular=True, own=3),
    }
    assert {key: value for key, (value, _) in values.items()} == pytest.approx(expected)


def test_consumed_items_are_numbered_by_the_groups_they_are_chosen_of() -> None:
    table = examples(*(group(f"r{n}", f"u{n}", [1] * (n + 1)) for n in range(3)))
    consumed = Consumed.of(HeldOut.of(spec_of(), table, None), None)

    some = consumed.only(np.array([0, 2]))

    assert consumed.counts == {0: 1, 1: 2, 2: 3}
    assert some.group.tolist() == [0, 1, 1, 1]
    assert all(one <= other for one, other in pairwise(consumed.group))
