"""Regression-EM finds what was drawn: examination and relevance, where positions follow a feature."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from engine.arrays import Bools
from tasks.training.bias.regression_em import examination_by_em
from tasks.training.bias.slots import Slots

TRUTH = np.array([1.0, 0.5, 0.25, 0.125])


def drawn(seed: int, pages: int = 6000) -> tuple[pa.Table, Bools]:
    """Pages of four items, mostly ordered by a feature that also tells how relevant they are."""
    rng = np.random.default_rng(seed)
    clue = rng.random((pages, 4))
    clue = np.take_along_axis(clue, np.argsort(-clue + rng.normal(0.0, 0.4, clue.shape), axis=1), 1)
    found = rng.random(clue.shape) < TRUTH * (0.05 + 0.4 * clue)
    table = pa.table(
        {
            "position": np.tile(np.arange(1, 5), pages),
            "clue": clue.ravel().astype(np.float32),
            "weight": np.ones(clue.size),
        }
    )
    return table, found.ravel()


def test_examination_is_found_though_better_items_stand_higher() -> None:
    table, found = drawn(1)
    slots = Slots.of(table, ())
    naive = slots.sums(found.astype(np.float64))

    examination = examination_by_em(table, ("clue",), slots, found)

    assert examination.tolist() == pytest.approx(TRUTH.tolist(), rel=0.15)
    # What is found by position alone is steeper: better items stand higher.
    assert naive[3] / naive[0] < 0.8 * TRUTH[3]


def test_weights_of_the_sample_count() -> None:
    """Pages that count twice are as good as pages that are there twice."""
    table, found = drawn(2, 400)
    twice = pa.concat_tables([table, table])
    weighted = table.set_column(table.column_names.index("weight"), "weight", pa.array(np.full(table.num_rows, 2.0)))
    one = examination_by_em(weighted, ("clue",), Slots.of(weighted, ()), found)
    two = examination_by_em(twice, ("clue",), Slots.of(twice, ()), np.concatenate([found, found]))
    assert one.tolist() == pytest.approx(two.tolist(), rel=0.05)


def test_the_same_examples_give_the_same_bytes_for_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    table, found = drawn(3, 500)
    estimates = []
    for threads in ("1", "2"):
        monkeypatch.setenv("MATINEE_THREADS", threads)
        estimates.append(examination_by_em(table, ("clue",), Slots.of(table, ()), found).tobytes())
    assert estimates[0] == estimates[1]
