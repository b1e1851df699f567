"""Lays out what `bench.learners` has measured: tables, and what they say beyond noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench._learner_fit import Cost, Floats, Metrics
from bench._results import table
from engine.intervals import Interval, interval, paired_interval
from tasks.evaluation.figures import INTERVAL_SEED


@dataclass(frozen=True, eq=False)
class Row:
    """A learner: what its fit cost, and its values of each list by metric."""

    name: str
    cost: Cost
    values: Mapping[str, Floats]


@dataclass(frozen=True, eq=False)
class Table:
    """Learners that are compared with the first of them; `blocks` of users, list by list."""

    title: str
    rows: Sequence[Row]
    blocks: npt.NDArray[np.int64]

    @property
    def base(self) -> Row:
        return self.rows[0]

    def mean(self, row: Row, metric: str) -> Interval:
        """The mean over the lists."""
        return interval(row.values[metric], self.blocks, INTERVAL_SEED)

    def lead(self, row: Row, metric: str) -> Interval:
        """The difference to the base."""
        return paired_interval(row.values[metric], self.base.values[metric], self.blocks, INTERVAL_SEED)

    def verdict(self, metric: str) -> str:
        """Say which learners differ from the base beyond noise, and which comes out on top."""
        leads = {row.name: self.lead(row, metric) for row in self.rows[1:]}
        better = [name for name, lead in leads.items() if lead.low > 0]
        worse = [name for name, lead in leads.items() if lead.high < 0]
        best = max(self.rows, key=lambda row: self.mean(row, metric).value)
        alike = len(leads) - len(better) - len(worse)
        return (
            f"By {metric}, {best.name} is on top with {self.mean(best, metric).value:.4f}. Above {self.base.name} "
            f"beyond noise: {_names(better)}. Below it: {_names(worse)}. The other {alike} cannot be told from it."
        )


def _names(names: Sequence[str]) -> str:
    return "; ".join(names) or "none"


def section_of(title: str, lists: str, metrics: Metrics, tables: Sequence[Table]) -> str:
    """Lay out a pipeline: what was ranked, then each table with what it says."""
    parts = [f"## {title}", lists + "."]
    for one in tables:
        of = [metric for metric in (metrics.found, metrics.order) if metric in one.base.values]
        parts += [f"### {one.title}", _table(one, of), " ".join(one.verdict(metric) for metric in of)]
    return "\n\n".join(parts)


def _table(one: Table, metrics: Sequence[str]) -> str:
    figures = [header for metric in metrics for header in (metric, "to the first")]
    rows = []
    for row in one.rows:
        cells = [cell for metric in metrics for cell in _cells(one, row, metric)]
        cost = row.cost
        rows.append((row.name, *cells, f"{cost.cpu:.2f}", f"{cost.peak:.2f}", f"{cost.bytes:,}"))
    return table(("learner", *figures, "CPU s", "peak GB", "bytes"), rows)


def _cells(one: Table, row: Row, metric: str) -> tuple[str, str]:
    span, lead = one.mean(row, metric), one.lead(row, metric)
    difference = "" if row is one.base else f"{lead.value:+.4f} [{lead.low:+.4f}, {lead.high:+.4f}]"
    return f"{span.value:.4f} [{span.low:.4f}, {span.high:.4f}]", difference
