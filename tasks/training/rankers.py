"""The rankers: a registry of what trains each type of the pipeline file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from tasks.spec.parts import Part
from tasks.spec.rankers import FactorizationMachineRanker, LightGBM, LinearRanker, Ranker
from tasks.training.learner import Learner, Read, Settled, TrainedRanker

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.spec.spec import Spec


@dataclass(frozen=True)
class RegisteredRanker:
    """A type of ranker.

    Attributes:
        settings: its part of the pipeline file, whose `type` is its name there.
        load: imports what trains it; only when a model is trained, because such libraries take seconds to import.
    """

    settings: type[Part]
    load: Callable[[], Learner]

    @property
    def type(self) -> str:
        """Name in the pipeline file."""
        return str(get_args(self.settings.model_fields["type"].annotation)[0])


def _lightgbm() -> Learner:
    from tasks.training.lightgbm import loss, train
    from tasks.training.lightgbm_rounds import settle

    return Learner(train, loss, settle)


def _linear() -> Learner:
    from tasks.training.linear import loss, train

    return Learner(train, loss)


def _factorization_machine() -> Learner:
    from tasks.training.factorization import loss, train

    return Learner(train, loss)


RANKERS: dict[str, RegisteredRanker] = {
    ranker.type: ranker
    for ranker in (
        RegisteredRanker(LightGBM, _lightgbm),
        RegisteredRanker(LinearRanker, _linear),
        RegisteredRanker(FactorizationMachineRanker, _factorization_machine),
        # Add a new one here. It needs its settings in tasks/spec/rankers.py, a module that trains it, cases in
        # tests/tasks/training/test_ranker_contract.py and, if no node of engine/functions/ executes it, one of its own.
    )
}
"""The rankers by their names in the pipeline file."""


def train_ranker(table: pa.Table, spec: Spec, settings: Ranker) -> TrainedRanker:
    """Train the ranker that some settings are of.

    Args:
        table: examples, rows of a group together; features as float columns.
        spec: names the features.
        settings: those of the pipeline file, or of a trial, settled.

    Raises:
        TrainingError: nothing can be learned from these examples.
    """
    return RANKERS[settings.type].load().train(table, spec, settings)


def settle(spec: Spec, settings: Ranker, read: Read) -> Settled:
    """Fix what settings leave to the validation window or to a clock, such as the number of rounds.

    Raises:
        TrainingError: nothing can be learned from the training window alone.
    """
    return RANKERS[settings.type].load().settle(spec, settings, read)


def loss(spec: Spec, settings: Ranker) -> str:
    """Say what training minimizes, for the descriptor."""
    return RANKERS[settings.type].load().loss(spec, settings)
