"""What the benchmarks compute themselves."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import _results
from bench.streaming import CUTOFF, measure, ndcg
from engine.lists import Lists
from engine.metrics import parse_metric
from tests.tiny_pipelines import Tiny, in_process


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=30), st.data())
def test_ndcg_of_real_gains_is_the_engines_for_whole_ones(rows: list[tuple[int, int]], data: st.DataObject) -> None:
    middle = data.draw(st.integers(0, len(rows)))
    offsets = np.array([0, middle, len(rows)])
    scores, grades = (np.array([row[n] for row in rows]) for n in (0, 1))
    expected = parse_metric(f"ndcg@{CUTOFF}")(Lists.of(scores, grades, offsets))
    np.testing.assert_allclose(ndcg(scores.astype(np.float64), grades.astype(np.float64), offsets), expected)


def test_tables_are_markdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_results, "FOLDER", tmp_path / "results")
    text = _results.table(("ordered by", "ndcg"), [("model", "0.5"), ("policy", "0.25")])
    assert text.splitlines() == [
        "| ordered by | ndcg |",
        "| ---------- | ---: |",
        "| model      | 0.5  |",
        "| policy     | 0.25 |",
    ]
    _results.show("x", text, write=False)
    assert not (tmp_path / "results").exists()
    _results.show("x", text, write=True)
    assert (tmp_path / "results" / "x.md").read_text() == f"{text}\n"


@in_process
def test_the_truth_orders_best_by_true_relevance(shown: Tiny) -> None:
    lines = measure(shown.prepared()).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][2:]
    true = {name: float(value.split()[0]) for name, _, value in rows}
    assert list(true) == ["model", "popularity", "history", "logged_order", "the truth"]
    assert true.pop("the truth") == 1.0
    assert all(0.0 < value < 1.0 for value in true.values())
    assert f"as of {date(2026, 1, 18)}" in lines[0]
