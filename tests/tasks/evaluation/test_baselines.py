"""Which baselines show nothing when they are beaten, on lists small enough to count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.evaluation.baselines import BaselineFinding, Baselines, baselines_of, never_repeats, notices
from tasks.evaluation.held_out import HeldOut
from tasks.evaluation.results import FigureKey, GroupValues
from tests.tasks.handmade import SNAPSHOTS, day, examples, group, spec_of

BASELINES = ["popularity", "history"]
TWO = {"metrics": ["ndcg@2"], "baselines": BASELINES, "slices": []}
GATE = [{"metric": "ndcg@2", "beats": "popularity"}]


def measured(seen: list[bool], truth_seen: list[bool], values: tuple[float, float], **changes: Any) -> Baselines:
    """Four items: popularity puts i0 and i1 first, history lists i1 and i3 alone."""
    spec = spec_of(examples=SNAPSHOTS, evaluate=TWO, gates=GATE, **changes)
    table = examples(
        group(
            "u@c",
            "u",
            [0, 0, 1, 0],
            seen=seen,
            popularity_score=[4.0, 3.0, 2.0, 1.0],
            history_score=[0.0, 1.0, 0.0, 2.0],
        )
    )
    truth = pa.table(
        {
            "group_id": ["u@c"] * len(truth_seen),
            "user_id": ["u"] * len(truth_seen),
            "cut": pa.array([day("02-01")] * len(truth_seen), pa.date32()),
            "item_id": [f"i{n}" for n in range(len(truth_seen))],
            "grade": [1] * len(truth_seen),
            "seen": truth_seen,
        }
    )
    columns = {FigureKey("ndcg@2", name): np.array([value]) for name, value in zip(BASELINES, values, strict=True)}
    groups = GroupValues(["u"], columns)
    return baselines_of(spec, HeldOut.of(spec, table, truth), truth, groups)


def test_the_top_of_each_list_is_looked_at() -> None:
    found = measured([True, False, False, True], [False] * 40, (0.2, 0.1))
    assert (found.relevant, found.repeated) == (40, 0)
    shares = {finding.of: finding.seen_share for finding in found.findings}
    assert shares == {"popularity": 0.5, "history": 0.5}
    assert [finding.vacuous for finding in found.findings] == [None, None]  # half is not mostly


def test_a_baseline_full_of_what_is_never_repeated_is_vacuous() -> None:
    found = measured([True, True, False, True], [False] * 40, (0.2, 0.1))
    why = "100 % of its top 2 was consumed before, which the label never repeats"
    assert [finding.vacuous for finding in found.findings] == [why, why]
    assert found.vacuous("history") == why


@pytest.mark.parametrize(
    ("truth_seen", "rule"),
    [
        ([True] * 20 + [False] * 20, "keep"),  # the label repeats items: seen ones are what to list
        ([False] * 29, "keep"),  # too few to say
        ([True] * 40, "only"),
    ],
)
def test_what_was_seen_may_be_listed_where_the_label_repeats_it(truth_seen: list[bool], rule: str) -> None:
    found = measured([True] * 4, truth_seen, (0.2, 0.1), candidates={"seen": rule})
    assert [finding.vacuous for finding in found.findings] == [None, None]


def test_a_baseline_that_scores_nothing_is_vacuous_whatever_the_label() -> None:
    found = measured([False] * 4, [True] * 40, (0.2, 0.0))
    assert found.vacuous("history") == "it scores 0 in every list"
    assert found.vacuous("popularity") is None
    assert found.strongest("ndcg@2") == "popularity"


@pytest.mark.parametrize(("repeated", "never"), [(0, True), (1, True), (2, False)])
def test_a_few_edits_are_no_repeats(repeated: int, never: bool) -> None:
    assert never_repeats(100, repeated) is never


def said(seen: str, repeated: int, *gates: dict[str, Any]) -> list[str]:
    spec = spec_of(gates=[{"metric": "ndcg@10", **gate} for gate in gates], candidates={"seen": seen})
    findings = [
        BaselineFinding(of=name, values={"ndcg@10": value}, seen_share=0.1)
        for name, value in (("popularity", 0.2), ("history", 0.3))
    ]
    return notices(spec, Baselines(rule="keep", relevant=100, repeated=repeated, findings=tuple(findings)))


def test_seen_items_in_lists_of_data_without_repeats_are_named_with_what_to_write() -> None:
    (notice,) = said("keep", 0, {"beats": "best_baseline"})
    assert notice == (
        "the label repeats 0 of 100 items, and lists hold what their users have seen before: they waste places, and "
        "baselines look worse than they are. Write `candidates: {seen: exclude}`"
    )
    assert said("exclude", 0, {"beats": "best_baseline"}) == []
    assert said("keep", 60, {"beats": "best_baseline"}) == []


def test_a_gate_on_a_weaker_baseline_alone_is_named() -> None:
    assert said("keep", 60, {"beats": "popularity"}) == [
        "the gate on ndcg@10 compares with popularity (0.2000), but history is the strongest baseline measured "
        "(0.3000). Write `beats: best_baseline`"
    ]
    assert said("keep", 60, {"beats": "popularity"}, {"beats": "best_baseline"}) == []
    assert said("keep", 60, {"beats": "best_feature"}) == []
    assert said("keep", 60, {"beats": "popularity"}, {"beats": "history"}) == []
    assert said("keep", 60, {"not_worse_than": "popularity"}) == []
