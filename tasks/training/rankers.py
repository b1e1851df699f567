"""The rankers: a registry of how each is trained, what it leaves, and which node of a version executes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, get_args

from tasks.spec.parts import LightGBM, Part

if TYPE_CHECKING:
    import pyarrow as pa

    from engine.trees import Trees
    from tasks.spec.spec import Spec


class TrainedRanker(Protocol):
    """What every ranker gives after training."""

    def scorer(self) -> Trees:
        """The function as the engine executes it: settings are chosen by the scores that will be served."""

    def importance(self) -> dict[str, float]:
        """How much each feature contributed to the training objective."""

    def splits(self) -> dict[str, int]:
        """How often each feature is split on; nothing for a ranker without splits."""

    def save(self, path: Path) -> None:
        """Write the file that the node reads, without what differs between machines."""


Train = Callable[["pa.Table", "Spec", Any], TrainedRanker]
"""Trains on examples (rows of a group together) with a pipeline's features and a ranker's settings."""


@dataclass(frozen=True)
class Ranker:
    """A type of ranker.

    Attributes:
        settings: its part of the pipeline file, whose `type` is its name there.
        node: type of the node that executes it, as `engine/node_schema.py` has it.
        load: imports what trains it; only when a model is trained, because such libraries take seconds to import.
    """

    settings: type[Part]
    node: str
    load: Callable[[], Train]

    @property
    def type(self) -> str:
        """Name in the pipeline file."""
        return str(get_args(self.settings.model_fields["type"].annotation)[0])


def _lightgbm() -> Train:
    from tasks.training.lightgbm import train

    return train


RANKERS: dict[str, Ranker] = {
    ranker.type: ranker
    for ranker in (
        Ranker(LightGBM, "Trees", _lightgbm),
        # Add a new one here. It needs its settings in tasks/spec/parts.py, a module beside lightgbm.py, and a node in
        # engine/node_schema.py that executes what it learned; until then trees are the only function of a version.
    )
}
"""The rankers by their names in the pipeline file."""


def train_ranker(table: pa.Table, spec: Spec, settings: LightGBM) -> TrainedRanker:
    """Train the ranker that some settings are of.

    Args:
        table: examples, rows of a group together; features as float columns.
        spec: names the features.
        settings: those of the pipeline file, or of a trial.

    Raises:
        TrainingError: nothing can be learned from these examples.
    """
    return RANKERS[settings.type].load()(table, spec, settings)
