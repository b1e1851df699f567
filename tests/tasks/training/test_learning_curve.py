"""A curve over planted lists: it rises where there is something to learn, and says what more would bring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.errors import TrainingError
from tasks.spec.spec import Spec
from tasks.store.run_files import Attempt
from tasks.training.learning_curve import SHARES, Estimate, learning_curve, learning_curves
from tests.tasks.finished_runs import LEARNED
from tests.tasks.handmade import day, examples, group, spec_of


def spec(**changes: Any) -> Spec:
    ranker = {"type": "lightgbm", "rounds": 8, "min_data_in_leaf": 5, "num_leaves": 4, "feature_fraction": 0.5}
    return spec_of(ranker=ranker, **changes)


def lists(count: int, first: int = 0) -> pa.Table:
    """Lists of five items, one relevant: mostly the one with the greatest sum of two features."""
    made = []
    for number in range(first, first + count):
        values = np.random.default_rng(number).normal(size=(2, 5)).astype(np.float32)
        grades = [int(n == np.argmax(values.sum(axis=0))) for n in range(5)]
        columns = {name: row.tolist() for name, row in zip(spec().features, values, strict=True)}
        made.append(group(f"g{number:04}", f"u{number % 40}", grades, **columns))
    return examples(*made)


@pytest.fixture(scope="module")
def windows() -> dict[str, pa.Table]:
    return {"train": lists(240), "validation": lists(100, 1000), "test": lists(80, 2000)}


def test_more_groups_teach_more(windows: dict[str, pa.Table]) -> None:
    curve = learning_curve(spec(), spec().ranker, windows.__getitem__, "*", 2)

    assert [(point.share, point.groups) for point in curve.points] == list(
        zip(SHARES, (12, 24, 48, 120, 240), strict=True)
    )
    assert (curve.window, curve.groups, curve.seeds, curve.metric) == ("validation", 100, 2, "ndcg@10")
    assert all(point.low <= point.value <= point.high for point in curve.points)
    assert curve.points[-1].value > curve.points[0].high
    law = curve.saturation
    assert 0 <= law.doubled.value <= law.at_most.value
    assert law.at_most.value == pytest.approx(law.scale * 240**-law.exponent, abs=1e-4)
    assert learning_curve(spec(), spec().ranker, windows.__getitem__, "*", 2) == curve


def test_without_a_validation_window_it_is_the_test_window(windows: dict[str, pa.Table]) -> None:
    curve = learning_curve(spec(examples={"validation": "0d"}), spec().ranker, windows.__getitem__, "*", 1)
    assert (curve.window, curve.groups) == ("test", 80)


def test_lists_count_by_their_weight(windows: dict[str, pa.Table]) -> None:
    table = windows["validation"]
    heavy = [50.0 if row < 100 else 1.0 for row in range(table.num_rows)]
    weighted = table.set_column(table.schema.get_field_index("weight"), "weight", pa.array(heavy))
    plain, other = (
        learning_curve(spec(), spec().ranker, (windows | {"validation": held_out}).__getitem__, "*", 1)
        for held_out in (table.slice(0, 100), weighted)
    )
    assert other.points[-1].value == pytest.approx(plain.points[-1].value, abs=0.02)


def test_too_little_is_said() -> None:
    few = {"train": lists(12), "validation": lists(9, 1000)}
    with pytest.raises(TrainingError, match="12 training groups are too few for a curve; expected 20 or more"):
        learning_curve(spec(), spec().ranker, few.__getitem__, "*", 1)
    none = {"train": lists(40), "validation": lists(9, 1000).slice(0, 0)}
    with pytest.raises(TrainingError, match="no list of the validation window was drawn"):
        learning_curve(spec(), spec().ranker, none.__getitem__, "*", 1)


def test_it_says_whether_the_sample_is_enough() -> None:
    assert LEARNED.summary() == (
        "ndcg@10 is 0.4500 with 400 groups; twice as many would bring 0.0060 (0.0020 to 0.0200), and any number at "
        "most 0.0500 (0.0100 to 0.0900): more data may help"
    )
    little = Estimate(value=0.002, low=0.0, high=0.009)
    enough = LEARNED.model_copy(update={"saturation": LEARNED.saturation.model_copy(update={"doubled": little})})
    assert enough.summary().endswith("the sample is enough")


def test_a_curve_of_another_sample_is_not_shown(tmp_path: Path) -> None:
    run = Attempt("tiny", day("02-20"), tmp_path)
    assert learning_curves(run) == ()
    LEARNED.write(run.step_dir("learning_curve") / "all" / "result.json")
    assert learning_curves(run) == (LEARNED,)
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample" / "digests.json").write_text("{}")
    assert learning_curves(run) == ()
