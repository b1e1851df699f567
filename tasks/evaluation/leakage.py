"""Detect leakage: a feature that ranks nearly perfectly alone has probably seen the future.

Each feature ranks the held-out lists by itself, higher first and lower first, and keeps the better direction. It is
compared with what the run measures without any feature: its baselines, and a perfect ranking of the same lists. No
other run is read, so the verdict does not depend on which days were run before (docs/adr/0012).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engine.metrics import Metric, parse_metric
from tasks.evaluation.held_out import HeldOut, baseline_rows
from tasks.runs.narration import counted, warn
from tasks.spec.resolved_features import CategoryFeature
from tasks.spec.spec import Spec
from tasks.store.files import json_number
from tasks.store.records import Record

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]

LEAKAGE_FILE = "leakage.json"
CLOSES = 1 / 3
"""Share of the gap between the best baseline and a perfect ranking. On the bundled pipelines the strongest feature
closes 12 %, and the whole model 10 %; a copy of the label closes 94 %, a 28-day count that includes the label day
40 %."""
LEAST_AUC = 0.97
"""In long lists a noisy copy of the label may miss the top ranks, but hardly a pair. The strongest feature of the
bundled pipelines has 0.73. Where a baseline's own AUC is high, half of what it lacks must be made good, too."""
LEAST_GROUPS = 30
"""With fewer lists an interval says little."""
INTERVAL_SEED = 0
DIGITS = 12
"""Decimals on disk: the last bits of a mean depend on the order of the sum."""
NO_ORDER = "no order"
"""Items by their ids: the reference of a pipeline without baselines."""
Direction = Literal["higher", "lower", "none"]


class Reference(Record):
    """The best baseline, and its mean of the primary metric."""

    of: str
    value: float | None


class Thresholds(Record):
    """From where on a feature is suspicious: share of the gap it closes, AUC, and lists needed to say so."""

    closes: float
    auc: float
    groups: int


class FeaturePower(Record):
    """How well one feature ranks alone.

    Attributes:
        feature: its name.
        direction: which values first were better; `none` if it gives no order in any list.
        value: mean of the primary metric.
        closes: share of the gap between the best baseline and a perfect ranking; None where there is no gap.
        auc: mean AUC within lists, with a 95 % interval over users.
        auc_low: lower end of the interval.
        auc_high: upper end of the interval.
        groups: lists with both something relevant and something else.
        suspicious: whether it is beyond a threshold, and beyond noise.
        acknowledged: the reason from the pipeline file why it is legal.
    """

    feature: str
    direction: Direction
    value: float | None
    closes: float | None
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    groups: int
    suspicious: bool
    acknowledged: str | None = None


class Leakage(Record):
    """Every feature alone, the strongest first, and what they are compared with."""

    metric: str
    reference: Reference
    perfect: float | None
    suspicious_from: Thresholds
    features: list[FeaturePower]

    @property
    def suspicious(self) -> list[FeaturePower]:
        """Features that have probably seen the future, acknowledged ones among them."""
        return [power for power in self.features if power.suspicious]


@dataclass(frozen=True, eq=False)
class Yardstick:
    """What features are compared with; arrays hold one value of the primary metric for each group.

    Attributes:
        metric: the primary metric.
        no_order: its values where all scores are equal.
        no_order_auc: the AUC where all scores are equal.
        of: the best baseline.
        reference: its values.
        perfect: values of a ranking by the label.
        auc: the best mean AUC of a baseline.
        blocks: users in blocks for the intervals.
    """

    metric: Metric
    no_order: Floats
    no_order_auc: Floats
    of: str
    reference: Floats
    perfect: Floats
    auc: float
    blocks: npt.NDArray[np.int64]

    @property
    def gap(self) -> float:
        """How far the reference is from the perfect ranking."""
        return _mean(self.perfect) - _mean(self.reference)

    @property
    def least_auc(self) -> float:
        """The AUC above which a feature is suspicious."""
        return max(LEAST_AUC, (1.0 + self.auc) / 2.0)


def leakage_of(
    spec: Spec, held_out: HeldOut, baselines: Mapping[str, Floats], orders: Mapping[str, Floats] | None = None
) -> Leakage:
    """Measure every feature alone on the primary metric, which is that of the first gate, and by AUC within groups.

    Args:
        spec: the pipeline.
        held_out: the test examples, with all features.
        baselines: values of the primary metric, one per group, of every baseline.
        orders: what to rank by in place of a feature whose values have no order (`category_orders`).
    """
    yardstick = _yardstick(spec, held_out, baselines)
    columns = {name: held_out.table[name].to_numpy().astype("float64") for name in spec.features} | dict(orders or {})
    powers = [
        _power(yardstick, held_out, (name, columns[name]), spec.evaluate.acknowledged.get(name))
        for name in counted(spec.features, "features alone")
    ]
    if suspicious := [power.feature for power in powers if power.suspicious]:
        warn("leakage suspected, the gate says why: {features}", features=suspicious)
    return Leakage(
        metric=yardstick.metric.name,
        reference=Reference(of=yardstick.of, value=json_number(_mean(yardstick.reference), DIGITS)),
        perfect=json_number(_mean(yardstick.perfect), DIGITS),
        suspicious_from=Thresholds(
            closes=round(CLOSES, DIGITS), auc=round(yardstick.least_auc, DIGITS), groups=LEAST_GROUPS
        ),
        # By name last, so that equals have one order.
        features=sorted(powers, key=lambda power: (-(power.value or 0.0), -(power.auc or 0.0), power.feature)),
    )


def _yardstick(spec: Spec, held_out: HeldOut, baselines: Mapping[str, Floats]) -> Yardstick:
    import numpy as np

    from engine.intervals import user_blocks

    metric = parse_metric(spec.gates[0].metric)
    equal = np.zeros(held_out.table.num_rows)
    no_order = metric(held_out.lists(equal))
    references = {NO_ORDER: no_order, **baselines}
    best = max(references, key=lambda name: _mean(references[name]))
    aucs = [_mean(held_out.auc(baseline_rows(spec, held_out.table, name)[0])) for name in baselines]
    return Yardstick(
        metric=metric,
        no_order=no_order,
        no_order_auc=held_out.auc(equal),
        of=best,
        reference=references[best],
        perfect=metric(held_out.lists(held_out.grades.astype(np.float64))),
        auc=max([0.5, *aucs]),  # chance, where there is no baseline
        blocks=user_blocks(held_out.group_rows["user_id"].to_pylist(), INTERVAL_SEED),
    )


def category_orders(spec: Spec, learned: pa.Table, table: pa.Table) -> dict[str, Floats]:
    """Give every category an order: the mean grade that its rows have in the examples that were trained on.

    Codes are in the order of their texts, which says nothing; and the held-out grades must not decide.

    Args:
        spec: the pipeline.
        learned: examples of the training window.
        table: the examples to rank.

    Returns:
        By feature, a value for each row of `table`; that of all rows for a category that `learned` lacks.
    """
    import numpy as np

    grades, orders = learned["grade"].to_numpy().astype(np.float64), {}
    for feature in spec.resolved_features:
        if isinstance(feature, CategoryFeature):
            # Code -1 is the missing one: being missing can leak, too.
            ours, theirs = (np.nan_to_num(one[feature.name].to_numpy(), nan=-1) for one in (learned, table))
            codes, places = np.unique(ours, return_inverse=True)
            means = np.bincount(places, weights=grades) / np.bincount(places)
            at = np.minimum(np.searchsorted(codes, theirs), len(codes) - 1)
            orders[feature.name] = np.where(codes[at] == theirs, means[at], grades.mean())
    return orders


def _power(
    yardstick: Yardstick, held_out: HeldOut, feature: tuple[str, Floats], acknowledged: str | None
) -> FeaturePower:
    from engine.intervals import interval, paired_interval

    name, column = feature
    direction, values, aucs = _alone(yardstick, held_out, column)
    auc = interval(aucs, yardstick.blocks, INTERVAL_SEED)
    # Without a gap the best baseline is perfect already, and there is nothing to close.
    closes = (_mean(values) - _mean(yardstick.reference)) / yardstick.gap if yardstick.gap > 0 else math.nan
    # A value for each group, so that the interval is that of a paired difference.
    threshold = yardstick.reference + CLOSES * (yardstick.perfect - yardstick.reference)
    # The mean alone would name an honest feature on a small sample: the whole interval must be beyond the threshold.
    beyond = closes > CLOSES and paired_interval(values, threshold, yardstick.blocks, INTERVAL_SEED).low > 0
    return FeaturePower(
        feature=name,
        direction=direction,
        value=json_number(_mean(values), DIGITS),
        closes=json_number(closes, DIGITS),
        auc=json_number(auc.value, DIGITS),
        auc_low=json_number(auc.low, DIGITS),
        auc_high=json_number(auc.high, DIGITS),
        groups=auc.groups,
        suspicious=auc.groups >= LEAST_GROUPS and bool(beyond or auc.low > yardstick.least_auc),
        acknowledged=acknowledged,
    )


def _alone(yardstick: Yardstick, held_out: HeldOut, column: Floats) -> tuple[Direction, Floats, Floats]:
    """Rank by one feature; gives its better direction, and its metric and AUC in each group.

    A feature that gives no order is not ranked: detecting that is cheaper.
    """
    import numpy as np

    column = np.where(np.isnan(column), -np.inf, column)  # an unknown value is the lowest: being missing can leak, too
    if gives_no_order(column, held_out.offsets):
        return "none", yardstick.no_order, yardstick.no_order_auc
    scores: dict[Direction, Floats] = {"higher": column, "lower": -column}
    values = {way: yardstick.metric(held_out.lists(ordered)) for way, ordered in scores.items()}
    better = max(values, key=lambda way: _mean(values[way]))
    return better, values[better], held_out.auc(scores[better])


def gives_no_order(column: Floats, offsets: npt.NDArray[np.int64]) -> bool:
    """Whether a feature is the same for all items of each list, like most features of users; without NaN."""
    import numpy as np

    # Without empty groups: `reduceat` gives them the first value of the next one.
    starts = offsets[:-1][np.diff(offsets) > 0]
    return bool((np.maximum.reduceat(column, starts) == np.minimum.reduceat(column, starts)).all())


def _mean(values: Floats) -> float:
    """Average the values that are defined."""
    import numpy as np

    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan
