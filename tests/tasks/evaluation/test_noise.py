"""The noise of training in the interval of a difference: known numbers, and what it must never do."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from engine.intervals import Interval
from tasks.evaluation import evaluate
from tasks.evaluation.evaluate import evaluate_step
from tasks.evaluation.final_lists import FinalLists
from tasks.evaluation.held_out import HeldOut
from tasks.evaluation.noise import NoiseFloor, noise_floor, widened
from tasks.evaluation.results import EvaluateResult
from tasks.runs.run import Run
from tests.tasks.evaluation.test_evaluate import REGIONS, run_of, two_groups

FLOOR = NoiseFloor(trainings=3, sigma={"ndcg@10": 0.004, "mrr": None}, values={"ndcg@10": (0.5, 0.51), "mrr": (None,)})
Z = 1.959963984540054


def interval_of(error: float, value: float = 0.01) -> Interval:
    """The interval of a difference with a standard error over lists."""
    return Interval(value, value - Z * error, value + Z * error, 100)


def test_variances_add_up() -> None:
    """Errors of 0.003 over lists and 0.004 of training are 0.005; of many trainings the quantile is the normal's."""
    wide = widened(interval_of(0.003), 0.004, 1_000_000, models=1)
    assert (wide.value, wide.groups) == (0.01, 100)
    assert wide.low == pytest.approx(0.01 - Z * 0.005, abs=1e-7)
    assert wide.high == pytest.approx(0.01 + Z * 0.005, abs=1e-7)


def test_both_models_of_a_comparison_have_noise() -> None:
    wide = widened(interval_of(0.003), 0.004, 1_000_000, models=2)
    assert wide.high - wide.value == pytest.approx(Z * math.sqrt(0.003**2 + 2 * 0.004**2), abs=1e-7)


@pytest.mark.parametrize("trainings", [2, 3, 5, 20])
def test_few_trainings_are_reckoned_with_by_satterthwaite(trainings: int) -> None:
    lists, noise = 0.003**2, 0.004**2
    freedom = (lists + noise) ** 2 / (noise**2 / (trainings - 1))
    expected = stats.t.ppf(0.975, freedom) * math.sqrt(lists + noise)
    wide = widened(interval_of(0.003), 0.004, trainings, models=1)
    assert wide.high - wide.value == pytest.approx(expected, rel=1e-9)


def test_without_noise_over_lists_the_interval_is_students() -> None:
    wide = widened(Interval(0.1, 0.1, 0.1, 50), 0.004, 3, models=1)
    assert wide.high - wide.value == pytest.approx(stats.t.ppf(0.975, 2) * 0.004)


@given(
    st.floats(-1, 1),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
    st.floats(0, 0.2),
    st.integers(2, 40),
    st.sampled_from([1, 2]),
)
def test_an_interval_never_becomes_narrower(
    value: float, below: float, above: float, sigma: float, trainings: int, models: int
) -> None:
    span = Interval(value, value - below, value + above, 9)
    wide = widened(span, sigma, trainings, models)
    assert wide.low <= span.low + 1e-9
    assert wide.high >= span.high - 1e-9


def test_what_is_not_known_changes_nothing() -> None:
    span = interval_of(0.003)
    assert FLOOR.widen(span, "mrr", 1) == span
    assert FLOOR.widen(span, "recall@5", 2) == span
    assert widened(span, 0.0, 3, 1) == span
    undefined = widened(Interval(0.1, math.nan, math.nan, 1), 0.004, 3, 1)
    assert math.isnan(undefined.low)
    assert math.isnan(undefined.high)


def test_the_interval_covers_the_difference_between_two_trainings_as_often_as_it_says() -> None:
    """Models of equal worth, each off by its training: intervals over lists alone miss 0 far too often."""
    numbers, missed, missed_without = np.random.default_rng(5), 0, 0
    for _ in range(4000):
        off = numbers.normal(0, 0.01, 2)
        difference = off[0] - off[1] + numbers.normal(0, 0.01)
        again = numbers.normal(0, 0.01, 4)
        wide = widened(interval_of(0.01, difference), float(np.std(again, ddof=1)), 4, models=2)
        missed += not wide.low <= 0 <= wide.high
        missed_without += abs(difference) > Z * 0.01
    assert missed / 4000 < 0.065
    assert missed_without / 4000 > 0.2


def test_the_floor_is_the_spread_of_the_means_over_lists(tmp_path: Path) -> None:
    run, table = run_of(tmp_path, **REGIONS), two_groups()
    held_out = HeldOut.of(run.spec, table, None)
    good, bad = table["model"].to_numpy() * 1.0, -table["model"].to_numpy()
    floor = noise_floor(run.spec, held_out, FinalLists(run, table), [good, bad])
    # The first list has its items the wrong way round, the second the right one: mrr 1/2 and 1, turned 1 and 1/2.
    assert floor.values["mrr"] == (0.75, 0.75)
    assert floor.sigma["mrr"] == 0.0
    one, other = floor.values["ndcg@10"]
    assert one is not None
    assert other is not None
    assert floor.sigma["ndcg@10"] == pytest.approx(abs(one - other) / math.sqrt(2))
    assert floor.trainings == 2


def test_the_step_measures_it_where_the_pipeline_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = {"judged": 1, "noise-1": 1, "noise-2": -1}

    def scores(_: Run, table: pa.Table, file: str = "judged") -> Any:
        return turns[file] * table["model"].to_numpy()

    monkeypatch.setattr(evaluate, "model_scores", scores)
    asking = {"evaluate": {**REGIONS["evaluate"], "noise": {"seeds": 2}}}
    for changes, asked in ((REGIONS, False), (asking, True)):
        run = run_of(tmp_path / str(asked), **changes)
        run.step_dir("sample").mkdir(parents=True)
        for window in ("validation", "test"):
            pq.write_table(two_groups(), run.step_dir("sample") / f"{window}.parquet")
        result = evaluate_step(run)
        assert result == run.read("evaluate", EvaluateResult)
        assert (result.noise is not None) is asked
        assert ("noise of training ndcg@10 ±" in result.summary()) is asked
    assert result.noise is not None
    assert result.noise.trainings == 2
    assert result.noise.sigma["mrr"] == 0.0
    # The list of three is [0, 1, 2] one way and the other; that of two is [1, 0].
    values = result.noise.values["ndcg@10"]
    assert values[0] != values[1]


def test_the_noise_in_words() -> None:
    assert FLOOR.text == "ndcg@10 ±0.0040 (one standard deviation, of 3 trainings)"
