"""The training curve: the metric on the validation window after each boosting round.

The evaluated model was trained on the validation window too, so the curve is of a model of its own: the chosen
settings, trained on the training window alone. It goes on beyond the chosen round, to show what more rounds would do.
Nothing is chosen by it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tasks.errors import TrainingError
from tasks.spec.rankers import LightGBM, Ranker
from tasks.spec.spec import Spec
from tasks.store.records import Record
from tasks.training.bias.rows import training_rows
from tasks.training.learners.protocol import Read
from tasks.training.measure import DIGITS, mean_and_error
from tasks.training.negatives import trained_rows

if TYPE_CHECKING:
    import pyarrow as pa

CURVE_FILE = "curve.json"
BEYOND = 1.25
"""How far the curve goes, in chosen rounds."""


class TrainingCurve(Record):
    """A metric on the validation window after each round.

    Attributes:
        metric: that of `tune`, or of the first gate.
        chosen: rounds of the evaluated model.
        examples: rows that the curve's model was trained on.
        groups: lists of the validation window.
        values: mean over them after each round; fewer than asked for where LightGBM could grow no further tree.
        standard_errors: of the means.
        problem: why there is no curve.
    """

    metric: str
    chosen: int
    examples: int = 0
    groups: int = 0
    values: tuple[float, ...] = ()
    standard_errors: tuple[float, ...] = ()
    problem: str | None = None

    @property
    def best(self) -> int | None:
        """The round with the greatest value, the first of equals, from 1; None without a curve."""
        return self.values.index(max(self.values)) + 1 if self.values else None


def training_curve(spec: Spec, chosen: Ranker, read: Read) -> TrainingCurve:
    """Train the chosen settings on the training window, and measure the validation window after each round.

    Args:
        spec: the pipeline.
        chosen: the settings of the evaluated model.
        read: gives the examples of a window (`train`, `validation`) of one population.
    """
    metric = spec.tune.metric if spec.tune else spec.gates[0].metric
    if not isinstance(chosen, LightGBM):
        return TrainingCurve(metric=metric, chosen=0, problem=f"a ranker of the type {chosen.type} has no rounds")
    none = TrainingCurve(metric=metric, chosen=chosen.rounds)
    if chosen.boosting == "dart":
        return none.model_copy(update={"problem": "dart's later trees change the earlier ones"})
    if not spec.examples.validation:
        return none.model_copy(update={"problem": "the pipeline has no validation window (examples.validation is 0d)"})
    validation = read("validation")
    if not validation.num_rows:
        return none.model_copy(update={"problem": "no list of the validation window was drawn"})
    try:
        return none.model_copy(update=_curve(spec, chosen, training_rows(read("train"), spec, chosen), validation))
    except TrainingError as error:
        # The evaluated model has more examples than this one: that it could be trained is what matters.
        return none.model_copy(update={"problem": f"on the training window alone: {error}"})


def _curve(spec: Spec, chosen: LightGBM, train: pa.Table, validation: pa.Table) -> dict[str, Any]:
    """Train beyond the chosen rounds, and give the fields of the curve that this fills."""
    from tasks.examples.arrays import group_ends, matrix
    from tasks.training.learners.lightgbm import train as train_trees

    metric = spec.tune.metric if spec.tune else spec.gates[0].metric
    train = trained_rows(train, chosen)
    longer = chosen.model_copy(update={"rounds": math.ceil(BEYOND * chosen.rounds)})
    stages = train_trees(train, spec, longer).scorer().staged(matrix(validation, spec.features))
    measured = [mean_and_error(metric, scores, validation) for scores in stages]
    return {
        "examples": train.num_rows,
        "groups": len(group_ends(validation)),
        "values": tuple(round(value, DIGITS) for value, _ in measured),
        "standard_errors": tuple(round(error, DIGITS) for _, error in measured),
    }
