"""The tiles at the top of a run's report."""

from __future__ import annotations

from datetime import date
from typing import Literal

import pytest

from tasks.checks.verdicts import Check
from tasks.publishing.gates import NO_LEAKAGE
from tasks.publishing.results import GateVerdict
from tasks.reports.run_report_data import DefenseLine, SeverityCount, is_unmeasured
from tasks.reports.run_report_landed import LandedTable
from tasks.reports.run_report_model import LEAKAGE_IS_FOR, REFIT_IS_FOR, by_metric, gate_rows
from tasks.reports.run_report_tiles import checks_tile, gates_tile, landed_tile, metric_tile
from tests.tasks.finished_runs import VERDICT, a_check, record


def test_the_model_before_its_lists_are_re_ranked_is_no_baseline() -> None:
    values = {"model": 0.5, "model_without_rerank": 0.6, "popularity": 0.4, "champion": 0.7}
    tile = metric_tile(by_metric([record("ndcg@10", of, value) for of, value in values.items()]))
    assert tile is not None
    assert (tile.value, tile.note) == ("0.5000", "+0.1000 over popularity")


def test_a_feature_that_is_stronger_than_all_baselines_is_what_the_model_leads() -> None:
    values = {"model": 0.5, "popularity": 0.4, "feature:item_trend": 0.3, "feature:als_score": 0.45}
    tile = metric_tile(by_metric([record("ndcg@10", of, value) for of, value in values.items()]))
    assert tile is not None
    assert tile.note == "+0.0500 over als_score alone"


def test_tables_without_days_are_no_part_of_what_landed() -> None:
    ratings = LandedTable("ratings", latest=120, usual=100.0)
    films = LandedTable("films", latest=9_000, once=date(2026, 1, 1))
    assert landed_tile([ratings, films]) == landed_tile([ratings])
    tile = landed_tile([ratings, films])
    assert tile is not None
    assert (tile.value, tile.note, tile.level) == ("120", "1.20 × the days before", "")
    assert landed_tile([films]) is None


@pytest.mark.parametrize(
    ("change", "unmeasured"),
    [
        ({}, False),
        ({"observed": None}, True),
        ({"expected": "not checked yet: 2 of at least 5 earlier days"}, True),
        ({"expected": "not checked: there are no earlier days to compare with"}, True),
        ({"observed": None, "success": False}, False),
    ],
)
def test_a_check_that_let_pass_what_it_did_not_measure_has_not_passed(
    change: dict[str, object], unmeasured: bool
) -> None:
    assert is_unmeasured(Check.model_validate(a_check(**change))) is unmeasured


def test_checks_that_measured_nothing_are_counted_apart() -> None:
    line = DefenseLine(
        "Landed data", (SeverityCount("critical", 0, 10, 3), SeverityCount("warning", 1, 4)), (), (), (), ()
    )
    tile = checks_tile([line])
    assert tile is not None
    assert (tile.value, tile.note, tile.level) == ("10 of 14", "1 warning, 3 not measured", "warn")


def verdict(detail: str, gate: str = NO_LEAKAGE, *, passed: bool = True) -> GateVerdict:
    return GateVerdict(gate=gate, passed=passed, detail=detail)


FEW = verdict("not evaluated: 3 lists hold both a hit and a miss, expected at least 50")
FIRST = verdict("no champion before 2026-02-10", "ndcg@10 is not worse than champion by more than 0.005")
FAILED = verdict("difference -0.1000", "ndcg@10 beats history by 0", passed=False)


@pytest.mark.parametrize(
    ("verdicts", "value", "note", "level"),
    [
        ([VERDICT], "1 of 1", "passed", "good"),
        ([VERDICT, FEW, FIRST], "1 of 3", "passed, 2 not evaluated", ""),
        ([VERDICT, FEW, FAILED], "1 of 3", "passed, 1 not evaluated", "bad"),
    ],
)
def test_a_gate_that_compared_nothing_has_not_passed(
    verdicts: list[GateVerdict], value: str, note: str, level: Literal["good", "bad", ""]
) -> None:
    tile = gates_tile(gate_rows(verdicts))
    assert tile is not None
    assert (tile.value, tile.note, tile.level) == (value, note, level)


def test_gates_that_no_file_asks_for_are_explained() -> None:
    from tasks.evaluation.results import GroupValues
    from tasks.publishing.gates import evaluate_refit

    refit = evaluate_refit("ndcg@10", GroupValues(users=[], values={}))
    rows = gate_rows([VERDICT, FEW, refit])
    assert rows is not None
    assert [row.built_in for row in rows] == ["", LEAKAGE_IS_FOR, REFIT_IS_FOR]
