"""What `evaluate` leaves for later steps, pages and commands: its result, its figures, and every contender's values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from engine.evaluation import MODEL, EvaluationRecord
from tasks.evaluation.noise import NoiseFloor
from tasks.store.records import Record, read_list_if_valid

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

STEP = "evaluate"
RECORDS_FILE = "records.json"
"""The flat list of evaluation records."""
GROUPS_FILE = "groups.parquet"
REFIT = "refit"
"""The model to publish. It was trained on the test window too, so its values are compared, not reported."""


class ChampionResult(Record):
    """The champion that a run was compared with; one of version None means that there was none yet.

    Attributes:
        version: its name.
        since: first cut whose labels it was not trained on.
        problem: why it cannot be compared.
    """

    version: str | None
    since: date | None = None
    problem: str | None = None


class Figure(Record):
    """A mean over the lists, with its 95 % interval over users; None where nothing defines it."""

    value: float | None
    low: float | None
    high: float | None

    @property
    def text(self) -> str:
        """A difference in words."""
        if self.value is None:
            return "undefined"
        span = "" if self.low is None or self.high is None else f" [{self.low:+.4f}, {self.high:+.4f}]"
        return f"{self.value:+.4f}{span}"


class BestFeature(Record):
    """The feature or retriever's score that orders the lists best, alone.

    Attributes:
        feature: its name.
        metric: what it was measured by.
        value: its mean.
        lead: of the model over it, with an interval that covers the choice.
    """

    feature: str
    metric: str
    value: float | None
    lead: Figure


class RerankEffect(Figure):
    """How much re-ranking changes a metric of the evaluated model: the mean over lists with its 95 % interval.

    Attributes:
        metric: its name.
        value: mean difference of the final lists to those before; None where no list defines it.
        low: lower end of the interval over users; None with too few of them.
        high: upper end of the interval.
    """

    metric: str

    @property
    def text(self) -> str:
        """The same in words."""
        return f"{self.metric}, which no list defines" if self.value is None else f"{self.metric} by {super().text}"


class EvaluateResult(Record):
    """What `evaluate` measured, in short.

    Attributes:
        groups: number of test groups.
        metrics: by metric, every contender's value over all groups; None where no group defines it.
        suspicious: features under suspicion of leakage.
        champion: None unless a gate compares with the champion.
        rerank: what re-ranking costs or gains, by metric; none where lists are not re-ranked.
        best_feature: the strongest single feature, which the model has to be better than.
        noise: what training again changes; None where it is not measured.
    """

    groups: int
    metrics: dict[str, dict[str, float | None]]
    suspicious: tuple[str, ...] = ()
    champion: ChampionResult | None = None
    rerank: tuple[RerankEffect, ...] = ()
    best_feature: BestFeature | None = None
    noise: NoiseFloor | None = None

    def summary(self) -> str:
        """The model's value of each metric, beside the best of the others, and its lead over its best feature."""
        figures = ", ".join(_beside_best(metric, values) for metric, values in self.metrics.items())
        best = self.best_feature
        lead = "" if best is None else f"; lead in {best.metric} over {best.feature} alone {best.lead.text}"
        noise = "" if self.noise is None else f"; noise of training {self.noise.text}"
        return f"{self.groups:,} groups; {figures}{lead}{noise}"


def _beside_best(metric: str, values: Mapping[str, float | None]) -> str:
    ours = values.get(MODEL)
    others = {name: value for name, value in values.items() if name != MODEL and value is not None}
    best = max(others, key=lambda name: others[name], default=None)
    beside = "" if best is None else f" ({best} {others[best]:.4f})"
    return f"{metric} {'undefined' if ours is None else f'{ours:.4f}'}{beside}"


class FigureKey(NamedTuple):
    """Names the values of one metric for one contender."""

    metric: str
    contender: str

    @property
    def column(self) -> str:
        """Name of the column in `groups.parquet`."""
        return f"{self.metric} of {self.contender}"

    @classmethod
    def of_column(cls, column: str) -> FigureKey:
        """Read the name of a column."""
        metric, _, contender = column.partition(" of ")  # a metric's name has no space, a contender's may
        return cls(metric, contender)


@dataclass(frozen=True)
class GroupValues:
    """Every contender's value of every metric on the test groups of a run, in one order.

    Attributes:
        users: the user of each group.
        values: one value per group, NaN where the metric is undefined.
    """

    users: list[str]
    values: Mapping[FigureKey, npt.NDArray[np.float64]]

    def of(self, metric: str, contender: str) -> npt.NDArray[np.float64] | None:
        """Look up the values of one contender; None if it was not measured."""
        return self.values.get(FigureKey(metric, contender))

    def write(self, path: Path) -> None:
        """Write the table that gates compare in pairs."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {key.column: values for key, values in self.values.items()}
        pq.write_table(pa.table({"user_id": self.users, **columns}), path)

    @classmethod
    def read(cls, path: Path) -> GroupValues:
        """Read what `write` wrote."""
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        names = [name for name in table.column_names if name != "user_id"]
        return cls(table["user_id"].to_pylist(), {FigureKey.of_column(name): table[name].to_numpy() for name in names})


def records_if_valid(step_dir: Path) -> list[EvaluationRecord] | None:
    """Read the figures that `evaluate` left in its folder; None where there are none that can be read."""
    return read_list_if_valid(step_dir / RECORDS_FILE, EvaluationRecord)
