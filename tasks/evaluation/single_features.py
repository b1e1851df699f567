"""Every feature and every retriever's score alone, as baselines: a model must be better than each of its parts.

A feature orders the same lists as the model, by its value, what is missing last. Which values come first is chosen on
the validation window (without one, on the last cut of the training window): the test window chooses nothing. Detecting
leakage (`tasks.evaluation.leakage`) asks another question, and may look at both directions. (docs/adr/0039)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engine.evaluation import MODEL, alone, feature_of
from engine.metrics import Metric, parse_metric
from tasks.evaluation.figures import DIGITS, INTERVAL_SEED
from tasks.evaluation.held_out import HeldOut
from tasks.evaluation.leakage import category_orders, gives_no_order
from tasks.evaluation.results import BestFeature, Figure, FigureKey, GroupValues
from tasks.examples.arrays import group_offsets
from tasks.examples.queries import category_features
from tasks.runs.narration import counted, warn
from tasks.spec.parts import BEST_FEATURE
from tasks.spec.resolved_features import RetrievalScore
from tasks.spec.spec import Spec
from tasks.store.files import json_number
from tasks.store.records import Record

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from engine.intervals import Interval
    from tasks.evaluation.noise import NoiseFloor
    from tasks.runs.run import Run

    Floats = npt.NDArray[np.float64]

SINGLE_FEATURES_FILE = "single_features.json"
Direction = Literal["higher", "lower", "none"]
Window = Literal["validation", "train"]


class SingleFeature(Record):
    """One feature as a baseline.

    Attributes:
        feature: its name.
        direction: which values come first; `none` if it is the same for all items of each test list.
        figure: its mean of the metric.
        lead: mean difference of the model to it, paired by list.
    """

    feature: str
    direction: Direction
    figure: Figure
    lead: Figure


class SingleFeatures(Record):
    """All of them, the strongest first.

    Attributes:
        metric: that of the first gate.
        chosen_on: the window on which directions were chosen.
        lead: of the model over the best of them; the interval covers the choice of the best.
        features: one for each feature, and for each retriever's score that is no feature.
    """

    metric: str
    chosen_on: Window
    lead: Figure
    features: tuple[SingleFeature, ...]

    @property
    def best(self) -> BestFeature:
        """The one with the highest mean."""
        first = self.features[0]
        return BestFeature(feature=first.feature, metric=self.metric, value=first.figure.value, lead=self.lead)


@dataclass(frozen=True, eq=False)
class Alone:
    """The test lists as each feature alone orders them.

    Attributes:
        chosen_on: the window on which directions were chosen.
        directions: of each feature, `none` where it gives no order in any list.
        values: one per group.
    """

    chosen_on: Window
    directions: Mapping[str, Direction]
    values: Mapping[FigureKey, Floats]


def single_names(spec: Spec) -> list[str]:
    """Name what is measured: the features in the order of the pipeline file, then the other retrievers' scores."""
    scores = [feature.name for feature in spec.retrieval_features if isinstance(feature, RetrievalScore)]
    return list(dict.fromkeys([*spec.features, *scores]))


def metrics_of(spec: Spec) -> list[str]:
    """Name the metrics they are measured by: those that gates ask for.

    All others would make the table of values per list, which gates compare in pairs, several times as large.
    """
    asked = [gate.metric for gate in spec.gates if gate.contender == BEST_FEATURE]
    return list(dict.fromkeys([spec.gates[0].metric, *asked]))


def choose_directions(run: Run) -> tuple[Window, dict[str, Direction]]:
    """Choose the direction of each feature by the mean of the primary metric on the window that chooses."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    names, metric = single_names(run.spec), parse_metric(run.spec.gates[0].metric)
    columns = ["group_id", "cut", "grade", "weight", *names]
    window: Window = "validation"
    table = pq.read_table(run.file("sample", "validation.parquet"), columns=columns)
    if not table.num_rows:
        window, path = "train", run.file("sample", "train.parquet")
        # The whole window may be long, and the last cut is the nearest to what is evaluated.
        last = pc.max(pq.read_table(path, columns=["cut"])["cut"])
        table = pq.read_table(path, columns=columns, filters=pc.field("cut") == last)
    # Categories are ordered by the mean grade of their values, the highest first: there is nothing to choose.
    ordered = {feature.name for feature in category_features(run.spec)}
    return window, {name: "higher" if name in ordered else _direction(metric, table, name) for name in names}


def _direction(metric: Metric, table: pa.Table, name: str) -> Direction:
    import numpy as np

    from engine.lists import Lists

    offsets, grades = group_offsets(table), table["grade"].to_numpy()
    column = _floats(table, name)
    if gives_no_order(_scores(column, "higher"), offsets):
        return "higher"  # no list says anything
    weights = table["weight"].to_numpy()[offsets[:-1]]
    ways: tuple[Direction, Direction] = ("higher", "lower")
    values = {way: metric(Lists.of(_scores(column, way), grades, offsets)) for way in ways}
    return max(ways, key=lambda way: float(np.nansum(values[way] * weights)))


def _floats(table: pa.Table, name: str) -> Floats:
    import numpy as np

    return np.asarray(table[name].to_numpy(), dtype=np.float64)


def _scores(column: Floats, direction: Direction) -> Floats:
    import numpy as np

    return np.where(np.isnan(column), -np.inf, -column if direction == "lower" else column)


def measure_alone(run: Run, held_out: HeldOut, orders: Mapping[str, Floats]) -> Alone:
    """Order the test lists by each feature alone.

    Args:
        run: the run, whose validation window chooses directions.
        held_out: the test examples, with all features.
        orders: what to order by in place of a feature whose values have no order (`read_orders`).
    """
    import numpy as np

    metrics = [parse_metric(name) for name in metrics_of(run.spec)]
    window, directions = choose_directions(run)
    ties = held_out.lists(np.zeros(held_out.table.num_rows))
    no_order = [metric(ties) for metric in metrics]  # ranked once for all features that give none
    values: dict[FigureKey, Floats] = {}
    for name in counted(list(directions), "features alone"):
        column = orders[name] if name in orders else _floats(held_out.table, name)
        measured = no_order
        if gives_no_order(_scores(column, "higher"), held_out.offsets):
            directions[name] = "none"
        else:
            lists = held_out.lists(_scores(column, directions[name]))
            measured = [metric(lists) for metric in metrics]
        values |= {FigureKey(metric.name, alone(name)): own for metric, own in zip(metrics, measured, strict=True)}
    return Alone(window, directions, values)


def read_orders(run: Run, table: pa.Table) -> dict[str, Floats]:
    """Give the categories among the features an order, from the examples that were trained on."""
    import pyarrow.parquet as pq

    names = [feature.name for feature in category_features(run.spec)]
    if not names:
        return {}
    learned = pq.read_table(run.file("sample", "train.parquet"), columns=[*names, "grade"])
    return category_orders(run.spec, learned, table)


def compare_alone(spec: Spec, groups: GroupValues, measured: Alone, noise: NoiseFloor | None = None) -> SingleFeatures:
    """Compare the model with each feature, and with the best of them, by the primary metric; say if it is worse.

    The intervals of the leads hold the noise of training where it is measured, as those of the gates do.
    """
    from engine.intervals import interval, margin_over_best, paired_interval, user_blocks

    metric = spec.gates[0].metric
    blocks, model = user_blocks(groups.users, INTERVAL_SEED), groups.values[FigureKey(metric, MODEL)]
    alone_values = single_values(groups, metric)

    def lead(span: Interval) -> Figure:
        return figure_of(span if noise is None else noise.widen(span, metric, models=1))

    rows = [
        SingleFeature(
            feature=name,
            direction=measured.directions[name],
            figure=figure_of(interval(values, blocks, INTERVAL_SEED)),
            lead=lead(paired_interval(model, values, blocks, INTERVAL_SEED)),
        )
        for name, values in alone_values.items()
    ]
    found = SingleFeatures(
        metric=metric,
        chosen_on=measured.chosen_on,
        lead=lead(margin_over_best(model, list(alone_values.values()), blocks, INTERVAL_SEED)),
        # By name last, so that equals have one order.
        features=tuple(sorted(rows, key=lambda row: (-(row.figure.value or 0.0), row.feature))),
    )
    if found.lead.high is not None and found.lead.high < 0:
        warn(
            "the model is worse than {feature} alone: {metric} by {lead}",
            feature=found.best.feature, metric=metric, lead=found.lead.text,
        )  # fmt: skip
    return found


def figure_of(span: Interval) -> Figure:
    """Round an interval for the disk."""
    value, low, high = (json_number(number, DIGITS) for number in (span.value, span.low, span.high))
    return Figure(value=value, low=low, high=high)


def single_values(groups: GroupValues, metric: str) -> dict[str, Floats]:
    """Collect the values per list of every feature that was measured alone by a metric."""
    named = ((feature_of(key.contender), key.metric, values) for key, values in groups.values.items())
    return {name: values for name, of, values in named if name is not None and of == metric}


def feature_notices(spec: Spec, single: SingleFeatures) -> tuple[str, ...]:
    """Say that a model is not better than one of its parts, where no gate says so."""
    asked = any((gate.metric, gate.contender) == (single.metric, BEST_FEATURE) for gate in spec.gates)
    if asked or single.lead.low is None or single.lead.low > 0:
        return ()
    return (
        f"the model is not better than {single.best.feature} alone beyond noise: {single.metric} by "
        f"{single.lead.text}. Write a gate, `beats: {BEST_FEATURE}`",
    )
