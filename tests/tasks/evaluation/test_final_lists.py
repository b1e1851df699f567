"""The lists as they are served: in the order of the scores, then by the rules, as the items were as of the cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import MatineeError
from tasks.evaluation import final_lists
from tasks.evaluation.final_lists import FinalLists
from tasks.examples.candidates import RetrieveResult
from tasks.runs.run import Run
from tasks.spec.feedback.exploration import Discount, Dithering, Softmax
from tasks.spec.parts import Diversify
from tasks.store.files import Home, write_digests
from tests.tasks.handmade import day, finish_step, spec_of

CUTS = (day("02-01"), day("02-02"))
ITEMS = ("i0", "i1", "i2")
BY_CATEGORY = Diversify(type="diversify", by="category", strength=0.5)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run whose items i0 and i1 were of one category as of the first cut, and i1 and i2 as of the second."""
    run = Run(spec_of(), Home(tmp_path), day("02-20"), "1")
    folders = {cut: f"retrieval/tiny/cut={cut}/x" for cut in CUTS}
    for cut, categories in zip(CUTS, (["a", "a", "b"], ["a", "b", "b"]), strict=True):
        folder = tmp_path / folders[cut]
        folder.mkdir(parents=True)
        columns = {"item_id": ITEMS, "title": ITEMS, "category": categories, "available": [True] * 3}
        pq.write_table(pa.table({name: list(values) for name, values in columns.items()}), folder / "catalogue.parquet")
        write_digests(folder)
    result = RetrieveResult(data="d", cuts=2, made=2, folders=folders, kernels=[])
    finish_step(run, "retrieve", result.to_json())
    return run


def lists(*groups: tuple[Any, str, tuple[str, ...]]) -> pa.Table:
    """Examples of (cut, group, items)."""
    rows = [(cut, group, item) for cut, group, items in groups for item in items]
    cuts, names, items = zip(*rows, strict=True)
    return pa.table({"cut": pa.array(cuts, pa.date32()), "group_id": names, "item_id": items})


def test_a_list_is_ordered_by_what_the_items_were_as_of_its_cut(run: Run) -> None:
    table = lists((CUTS[0], "g", ITEMS), (CUTS[1], "h", ITEMS), (CUTS[0], "k", ("i2",)))
    scores = np.array([3.0, 2.9, 2.8, 3.0, 2.9, 2.8, 7.0])
    # The spread is about 0.08, so that a second of a kind costs 0.04: not enough.
    assert FinalLists(run, table).rank(scores, [BY_CATEGORY]).final.tolist() == [0, -1, -2, 0, -1, -2, 0]
    # Here it is about 2.8: as of the first cut i1 is like i0, and gives way to i2; as of the second it is not.
    scores = np.array([9.0, 2.99, 2.98, 9.0, 2.99, 2.98, 7.0])
    assert FinalLists(run, table).rank(scores, [BY_CATEGORY]).final.tolist() == [0, -2, -1, 0, -1, -2, 0]
    assert FinalLists(run, table).rank(scores, []).final is scores


def test_equal_scores_are_in_the_order_of_items_whatever_that_of_the_rows(run: Run) -> None:
    table = lists((CUTS[0], "g", ("i2", "i0", "i1")))
    assert FinalLists(run, table).rank(np.array([1.0, 1.0, 1.0]), [BY_CATEGORY]).final.tolist() == [-2, 0, -1]


def test_rows_of_a_cut_need_not_stand_together(run: Run) -> None:
    groups = [(CUTS[1], "h", ITEMS), (CUTS[0], "g", ITEMS), (CUTS[1], "k", ITEMS)]
    scores = np.tile([9.0, 2.99, 2.98], 3)
    together = [FinalLists(run, lists(group)).rank(scores[:3], [BY_CATEGORY]).final.tolist() for group in groups]
    assert FinalLists(run, lists(*groups)).rank(scores, [BY_CATEGORY]).final.reshape(3, 3).tolist() == together


def test_a_file_that_is_gone_or_altered_is_named(run: Run, tmp_path: Path) -> None:
    table, scores = lists((CUTS[0], "g", ITEMS)), np.array([3.0, 2.0, 1.0])
    with pytest.raises(MatineeError, match=r"kinds\.parquet"):
        FinalLists(run, table).rank(scores, [BY_CATEGORY.model_copy(update={"by": "genres"})])
    path = tmp_path / f"retrieval/tiny/cut={CUTS[0]}/x/catalogue.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(MatineeError, match=r"catalogue\.parquet"):
        FinalLists(run, table).rank(scores, [BY_CATEGORY])


def test_the_rules_of_a_cut_are_loaded_once_whoever_ranks(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Path] = []
    load = final_lists.load_diversity
    monkeypatch.setattr(final_lists, "load_diversity", lambda rules, at: (loaded.append(at), load(rules, at))[1])
    final = FinalLists(run, lists((CUTS[0], "g", ITEMS), (CUTS[1], "h", ITEMS), (CUTS[0], "k", ITEMS)))
    first, second = np.tile([9.0, 2.99, 2.98], 3), np.tile([2.98, 2.99, 9.0], 3)
    ranked = [final.rank(scores, [BY_CATEGORY]) for scores in (first, second, first)]
    assert len(loaded) == len(CUTS)
    assert [one.final.tolist() for one in ranked] == [
        FinalLists(run, final.table).rank(scores, [BY_CATEGORY]).final.tolist() for scores in (first, second, first)
    ]
    final.rank(first, [BY_CATEGORY.model_copy(update={"strength": 0.9})])  # the champion's, say
    assert len(loaded) == (1 + 3 + 1) * len(CUTS)


def with_users(table: pa.Table) -> pa.Table:
    return table.append_column("user_id", pa.array(["u1"] * table.num_rows))


def test_lists_are_drawn_as_a_version_as_of_their_cut_would_for_a_request_with_the_id_of_the_group(run: Run) -> None:
    from engine.exploration import Exploration, hashes_of, request_key

    table, scores = with_users(lists((CUTS[1], "h", ITEMS), (CUTS[0], "g", ITEMS))), np.array([1.0, 3.0, 2.0] * 2)
    found = FinalLists(run, table).rank(scores, [Softmax(type="softmax", temperature=2.0, seed=5)]).final.reshape(2, 3)

    for row, (group, cut) in enumerate((("h", CUTS[1]), ("g", CUTS[0]))):
        key = np.array([request_key(5, str(cut), "u1", group)], dtype=np.uint64)
        best_first = np.array([1, 2, 0])
        hashes = hashes_of([ITEMS[item] for item in best_first])
        order, _ = Exploration.softmax(2.0, 5).order(scores[best_first], np.array([0, 3]), hashes, key)
        assert np.argsort(-found[row]).tolist() == best_first[order].tolist()


def test_the_rules_that_make_lists_diverse_come_before_the_draw(run: Run) -> None:
    table, scores = with_users(lists((CUTS[0], "g", ITEMS))), np.array([9.0, 2.99, 2.98])
    # So little noise that nothing changes places: as of the first cut i1 is like i0, and gives way to i2.
    rules = [BY_CATEGORY, Dithering(type="dithering", epsilon=1.0001)]
    assert FinalLists(run, table).rank(scores, rules).final.tolist() == [0, -2, -1]


def test_discounts_read_their_feature_of_the_examples_and_come_first(run: Run) -> None:
    table = lists((CUTS[0], "g", ITEMS)).append_column("item_actions_28d", pa.array([20.0, None, 0.0], pa.float32()))
    rule = Discount(type="discount", by="item_actions_28d", strength=1.0)
    ranked = FinalLists(run, table).rank(np.array([3.0, 2.0, 1.0]), [rule])
    assert ranked.final.tolist() == [-2, 0, -1]
    assert ranked.scores.tolist() == [3.0, 2.0, 1.0]
