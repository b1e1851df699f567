"""The tiles at the top of a run's report."""

from __future__ import annotations

from tasks.reports.run_report_model import by_metric
from tasks.reports.run_report_tiles import metric_tile
from tests.tasks.finished_runs import record


def test_the_model_before_its_lists_are_re_ranked_is_no_baseline() -> None:
    values = {"model": 0.5, "model_without_rerank": 0.6, "popularity": 0.4, "champion": 0.7}
    tile = metric_tile(by_metric([record("ndcg@10", of, value) for of, value in values.items()]))
    assert tile is not None
    assert (tile.value, tile.note) == ("0.5000", "+0.1000 over popularity")
