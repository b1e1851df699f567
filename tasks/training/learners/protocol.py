"""What a learner has to offer, and what it leaves: the protocol behind which all rankers stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tasks.store.records import Record

if TYPE_CHECKING:
    import pyarrow as pa

    from engine.functions.load import Function
    from engine.functions.schema import FunctionNode
    from tasks.spec.spec import Spec

Read = Callable[[str], "pa.Table"]
"""Gives the examples of a window (`train`, `validation`) of one population."""


class TrainedRanker(Protocol):
    """What every ranker gives after training."""

    def scorer(self) -> Function:
        """The function as the engine executes it: settings are chosen by the scores that will be served."""

    def importance(self) -> dict[str, float]:
        """How much each feature contributes; only the features of one model can be compared."""

    def splits(self) -> dict[str, int]:
        """How often each feature is split on; nothing for a ranker without splits."""

    def save(self, folder: Path) -> FunctionNode:
        """Write the files that the node reads, without what differs between machines.

        Returns:
            The node that executes the ranker; the names of its files are relative to the folder, which exists.
        """


class Rounds(Record):
    """Where training on the training window stopped, and what the validation window said after each round.

    Attributes:
        metric: of the first gate; None where only the time decided.
        values: its mean over the lists of the validation window after each round.
        reached: rounds that were trained.
        chosen: rounds of every model.
        stopped_by: why there were no more.
    """

    metric: str | None
    values: tuple[float, ...]
    reached: int
    chosen: int
    stopped_by: str


@dataclass(frozen=True)
class Settled:
    """Settings with which equal examples give equal models, after those that need the validation window or a clock.

    Attributes:
        settings: what is written into a pipeline file to get the same model at once.
        rounds: how the number of rounds came about, if it was not given.
    """

    settings: Any
    rounds: Rounds | None = None


def as_given(spec: Spec, settings: Any, read: Read) -> Settled:
    """Leave settings as they are: for learners that need neither the validation window nor a clock."""
    del spec, read
    return Settled(settings)


@dataclass(frozen=True)
class Learner:
    """What trains a type of ranker; settings are its own part of the pipeline file.

    Attributes:
        train: trains on examples (rows of a group together; features as float columns, null = missing) with settled
            settings; raises `TrainingError` where nothing can be learned.
        loss: says what training minimizes, for the descriptor.
        settle: fixes what settings leave open; may raise `TrainingError`. The examples of the training window come as
            they are trained on.
    """

    train: Callable[[pa.Table, Spec, Any], TrainedRanker]
    loss: Callable[[Spec, Any], str]
    settle: Callable[[Spec, Any, Read], Settled] = as_given
