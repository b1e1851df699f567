"""Linear rankers: a weight for each input, which is a feature on a common scale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.spec.rankers import LinearRanker
from tasks.training.learners.labels import gains_by_grade, highest_grade, labels

if TYPE_CHECKING:
    import pyarrow as pa

    from engine.functions.linear import Linear
    from engine.functions.schema import LinearNode
    from tasks.spec.spec import Spec

INPUTS_FILE = "inputs.npz"


@dataclass(frozen=True)
class TrainedLinear:
    """A trained linear model; `contributions` are the importance of its features."""

    function: Linear
    contributions: dict[str, float]

    def scorer(self) -> Linear:
        """The function as the engine executes it."""
        return self.function

    def importance(self) -> dict[str, float]:
        """How far a standard deviation of the feature's inputs in the examples moves the score, summed over them."""
        return self.contributions

    def splits(self) -> dict[str, int]:
        """Nothing: there are none."""
        return {}

    def save(self, folder: Path) -> LinearNode:
        """Write the inputs; the weights stand in the node."""
        from engine.functions.schema import LinearNode

        if self.function.inputs is not None:
            self.function.inputs.save(folder / INPUTS_FILE)
        return LinearNode(weights=self.function.weights, intercept=self.function.intercept, inputs_artifact=INPUTS_FILE)


def loss(spec: Spec, settings: LinearRanker) -> str:
    """Say what training minimizes, for the descriptor."""
    what = f"squared error of {gains_by_grade(spec)}" if settings.loss == "squared" else "logistic"
    return f"{what}, l1 {settings.l1:g}, l2 {settings.l2:g}"


def train(table: pa.Table, spec: Spec, settings: LinearRanker) -> TrainedLinear:
    """Train one model.

    Raises:
        TrainingError: there is no row, or all labels or all features are the same.
    """
    import numpy as np

    from engine.functions.linear import Linear
    from tasks.examples.arrays import matrix
    from tasks.training.learners.importance import by_feature, deviations
    from tasks.training.learners.inputs import learn_inputs
    from tasks.training.learners.linear_fit import Penalties, fit_logistic, fit_squared

    highest_grade(table)  # raises where there is only one
    inputs = learn_inputs(table, spec)
    given = inputs.of(matrix(table, spec.features))
    rows = np.concatenate([np.ones((len(given), 1)), given], axis=1)
    target = labels(table, spec, "regression" if settings.loss == "squared" else "binary").astype(np.float64)
    weights = np.ascontiguousarray(table["weight"].to_numpy(), dtype=np.float64)
    fit = fit_squared if settings.loss == "squared" else fit_logistic
    intercept, *found = fit(rows, target, weights, Penalties(settings.l1, settings.l2)).tolist()
    moved = np.abs(np.array(found)) * deviations(given, weights)
    return TrainedLinear(Linear(tuple(found), intercept, inputs), by_feature(inputs, moved))
