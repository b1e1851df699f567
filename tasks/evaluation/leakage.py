"""Name features that are too good to be true: what ranks nearly perfectly alone has probably seen the future.

Each feature ranks the held-out lists by itself, higher first and lower first, and keeps the better direction. It is
compared with what the run measures without any feature: its baselines, and a perfect order of the same lists. Nothing
of other runs is looked at, so the verdict does not depend on the days that were run before (docs/adr/0012).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.metrics import Metric, parse_metric
from tasks.evaluation.held_out import HeldOut, baseline_rows
from tasks.spec.spec import Spec
from tasks.store.files import json_number

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

CLOSES = 1 / 3
"""Share of the gap between the best baseline and a perfect order. On the bundled pipelines the strongest feature closes
12 %, and the whole model 10 %; a copy of the label closes 94 %, a 28-day count that includes the label day 40 %."""
LEAST_AUC = 0.97
"""In long lists a noisy copy of the label may miss the top ranks, but hardly a pair. The strongest feature of the
bundled pipelines has 0.73. Where a baseline's own AUC is high, half of what it lacks must be made good, too."""
LEAST_GROUPS = 30
"""With fewer lists an interval says little."""
INTERVAL_SEED = 0
NO_ORDER = "no order"
"""Items by their ids: the reference of a pipeline without baselines."""


@dataclass(frozen=True, eq=False)
class Yardstick:
    """What features are compared with; arrays hold one value of the primary metric for each group."""

    metric: Metric
    no_order: Floats
    no_order_auc: Floats
    of: str
    """The best baseline."""
    reference: Floats
    perfect: Floats
    auc: float
    """The best AUC of a baseline."""
    blocks: npt.NDArray[np.int64]

    @property
    def gap(self) -> float:
        """How far the reference is from the perfect order."""
        return _mean(self.perfect) - _mean(self.reference)

    def record(self) -> dict[str, Any]:
        """Return the yardstick as JSON has it."""
        return {
            "metric": self.metric.name,
            "reference": {"of": self.of, "value": json_number(_mean(self.reference), 12)},
            "perfect": json_number(_mean(self.perfect), 12),
            "suspicious_from": {
                "closes": json_number(CLOSES, 12),
                "auc": json_number(self.least_auc, 12),
                "groups": LEAST_GROUPS,
            },
        }

    @property
    def least_auc(self) -> float:
        """The AUC above which a feature is suspicious."""
        return max(LEAST_AUC, (1.0 + self.auc) / 2.0)


def suspicion_of(spec: Spec, held_out: HeldOut, baselines: Mapping[str, Floats]) -> dict[str, Any]:
    """Measure every feature alone on the primary metric, which is that of the first gate, and by AUC within groups.

    Args:
        spec: the pipeline.
        held_out: the test examples, with all features.
        baselines: values of the primary metric, one a group, of every baseline.

    Returns:
        What `suspicion.json` holds: the yardstick, and `features`, the strongest first, each with `value` and `auc`
        (with a 95 % interval over users), the direction that was better, the share of the gap that it `closes`, the
        number of `groups` that have both something relevant and something else, whether it is `suspicious`, and the
        reason if it is `acknowledged` in the pipeline file.
    """
    yardstick = _yardstick(spec, held_out, baselines)
    found = [
        {"feature": name, **_power(yardstick, held_out, name), "acknowledged": spec.evaluate.acknowledged.get(name)}
        for name in spec.features
    ]
    found.sort(key=lambda row: (-(row["value"] or 0.0), -(row["auc"] or 0.0), row["feature"]))
    return {**yardstick.record(), "features": found}


def _yardstick(spec: Spec, held_out: HeldOut, baselines: Mapping[str, Floats]) -> Yardstick:
    import numpy as np

    from engine.intervals import user_blocks

    metric = parse_metric(spec.gates[0].metric)
    equal = np.zeros(held_out.table.num_rows)
    no_order = metric(held_out.lists(equal))
    rivals = {NO_ORDER: no_order, **baselines}
    best = max(rivals, key=lambda name: _mean(rivals[name]))
    aucs = [_mean(held_out.auc(baseline_rows(held_out.table, name)[0])) for name in baselines]
    return Yardstick(
        metric=metric,
        no_order=no_order,
        no_order_auc=held_out.auc(equal),
        of=best,
        reference=rivals[best],
        perfect=metric(held_out.lists(held_out.grades.astype(np.float64))),
        auc=max([0.5, *aucs]),
        blocks=user_blocks(held_out.heads["user_id"].to_pylist(), INTERVAL_SEED),
    )


def _power(yardstick: Yardstick, held_out: HeldOut, name: str) -> dict[str, Any]:
    """Return the figures of one feature."""
    from engine.intervals import interval, paired_interval

    way, values, aucs = _alone(yardstick, held_out, held_out.table[name].to_numpy().astype("float64"))
    auc = interval(aucs, yardstick.blocks, INTERVAL_SEED)
    closes = (_mean(values) - _mean(yardstick.reference)) / yardstick.gap if yardstick.gap > 0 else math.nan
    bar = yardstick.reference + CLOSES * (yardstick.perfect - yardstick.reference)
    beyond = closes > CLOSES and paired_interval(values, bar, yardstick.blocks, INTERVAL_SEED).low > 0
    return {
        "direction": way,
        "value": json_number(_mean(values), 12),
        "closes": json_number(closes, 12),
        "auc": json_number(auc.value, 12),
        "auc_low": json_number(auc.low, 12),
        "auc_high": json_number(auc.high, 12),
        "groups": auc.groups,
        "suspicious": auc.groups >= LEAST_GROUPS and bool(beyond or auc.low > yardstick.least_auc),
    }


def _alone(yardstick: Yardstick, held_out: HeldOut, column: Floats) -> tuple[str, Floats, Floats]:
    """Return the better direction of a feature, and its metric and AUC in each group.

    An unknown value is the lowest: to be missing can be a leak, too. What is the same for all items of each list, like
    most features of users, gives no order; telling so is cheaper than ranking.
    """
    import numpy as np

    column = np.where(np.isnan(column), -np.inf, column)
    starts = held_out.offsets[:-1][np.diff(held_out.offsets) > 0]
    if (np.maximum.reduceat(column, starts) == np.minimum.reduceat(column, starts)).all():
        return "none", yardstick.no_order, yardstick.no_order_auc
    scores = {"higher": column, "lower": -column}
    values = {way: yardstick.metric(held_out.lists(ordered)) for way, ordered in scores.items()}
    way = max(values, key=lambda each: _mean(values[each]))
    return way, values[way], held_out.auc(scores[way])


def _mean(values: Floats) -> float:
    """Return the mean of the values that are defined."""
    import numpy as np

    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan
