"""Factorization machines as rankers: a weight for each input, and for each pair of them one from their factors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import TrainingError
from tasks.runs.narration import counted
from tasks.spec.rankers import FactorizationMachineRanker
from tasks.training.learners.labels import highest_grade

if TYPE_CHECKING:
    import pyarrow as pa

    from engine.arrays import Floats
    from engine.functions.factorization import FactorizationMachine
    from engine.functions.schema import FactorizationMachineNode
    from tasks.spec.spec import Spec
    from tasks.training.learners.factorization_fit import State

MODEL_FILE = "factorization_machine.npz"
INPUTS_FILE = "inputs.npz"


@dataclass(frozen=True)
class TrainedFactorizationMachine:
    """A trained factorization machine; `contributions` are the importance of its features."""

    function: FactorizationMachine
    contributions: dict[str, float]

    def scorer(self) -> FactorizationMachine:
        """The function as the engine executes it."""
        return self.function

    def importance(self) -> dict[str, float]:
        """How far the feature's inputs move the score, alone and with others.

        For each input, a standard deviation of it in the examples, times its weight and the products of its factors
        with those of every other input a standard deviation from 0.
        """
        return self.contributions

    def splits(self) -> dict[str, int]:
        """Nothing: there are none."""
        return {}

    def save(self, folder: Path) -> FactorizationMachineNode:
        """Write the inputs, and the model."""
        from engine.functions.schema import FactorizationMachineNode

        self.function.inputs.save(folder / INPUTS_FILE)
        self.function.save(folder / MODEL_FILE)
        return FactorizationMachineNode(artifact=MODEL_FILE, inputs_artifact=INPUTS_FILE)


def loss(spec: Spec, settings: FactorizationMachineRanker) -> str:
    """Say what training minimizes, for the descriptor."""
    del spec
    what = "of the differences of scores within lists" if settings.loss == "pairwise" else "of each example"
    return f"logistic loss {what}, l2 {settings.l2:g}"


def train(table: pa.Table, spec: Spec, settings: FactorizationMachineRanker) -> TrainedFactorizationMachine:
    """Train one model.

    Raises:
        TrainingError: there is no row, all labels or all features are the same, or the weights grew beyond bounds.
    """
    import numpy as np

    from engine.functions.factorization import FactorizationMachine
    from tasks.examples.arrays import matrix
    from tasks.training.learners.importance import by_feature, deviations
    from tasks.training.learners.inputs import learn_inputs

    highest_grade(table)  # raises where there is only one
    inputs = learn_inputs(table, spec)
    given = inputs.of(matrix(table, spec.features))
    weights = np.ascontiguousarray(table["weight"].to_numpy(), dtype=np.float64)
    state = _learned(table, given, weights, settings)
    if not all(np.isfinite(part).all() for part in state):
        raise TrainingError(
            f"the weights of the factorization machine grew beyond bounds; expected a smaller `learning_rate` than "
            f"{settings.learning_rate:g}"
        )
    spread = deviations(given, weights)
    products = np.abs((state.factors[:, None, :] * state.factors[None, :, :]).sum(axis=2))
    np.fill_diagonal(products, 0.0)
    with_others = (products * spread[None, :]).sum(axis=1)
    moved = spread * (np.abs(state.weights) + with_others)
    machine = FactorizationMachine(inputs, float(state.intercept[0]), state.weights, state.factors)
    return TrainedFactorizationMachine(machine, by_feature(inputs, moved))


def _learned(table: pa.Table, rows: Floats, weights: Floats, settings: FactorizationMachineRanker) -> State:
    import numpy as np

    from tasks.examples.arrays import group_offsets
    from tasks.training.learners.factorization_fit import Lists, Steps, learn_pairs, learn_points, start
    from tasks.training.learners.inputs import mean_and_deviation

    grades = table["grade"].to_numpy().astype(np.int64)
    lists = Lists(grades, group_offsets(table))
    # The second number makes it another stream than those of other draws with the same seed.
    random = np.random.default_rng([settings.seed, 0xF4])
    steps = Steps(settings.learning_rate, settings.l2)
    state = start(rows.shape[1], settings.factors, settings.seed)
    even = weights / mean_and_deviation(weights, np.ones(len(weights)))[0]
    for _ in counted(range(settings.epochs), "epochs"):
        if settings.loss == "pairwise":
            learn_pairs(rows, lists.pairs(random), even, state, steps)
        else:
            target, order = (grades > 0).astype(np.float64), random.permutation(len(rows))
            learn_points(rows, target, even, state, steps=steps, order=order)
    return state
