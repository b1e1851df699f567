"""The rankers: a registry of what trains each type of the pipeline file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from tasks.runs.narration import say
from tasks.spec.onnx_ranker import OnnxRanker
from tasks.spec.parts import Part
from tasks.spec.rankers import BlendRanker, FactorizationMachineRanker, LightGBM, LinearRanker, Ranker
from tasks.training.bias.rows import training_rows
from tasks.training.learners.protocol import Learner, Read, Settled, TrainedRanker
from tasks.training.measure import mean_and_error

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
    from tasks.training.learners.lightgbm import loss, train
    from tasks.training.learners.lightgbm_rounds import settle

    return Learner(train, loss, settle)


def _linear() -> Learner:
    from tasks.training.learners.linear import loss, train

    return Learner(train, loss)


def _factorization_machine() -> Learner:
    from tasks.training.learners.factorization import loss, train

    return Learner(train, loss)


def _onnx() -> Learner:
    from tasks.training.learners.onnx import loss, train

    return Learner(train, loss)


RANKERS: dict[str, RegisteredRanker] = {
    ranker.type: ranker
    for ranker in (
        RegisteredRanker(LightGBM, _lightgbm),
        RegisteredRanker(LinearRanker, _linear),
        RegisteredRanker(FactorizationMachineRanker, _factorization_machine),
        RegisteredRanker(OnnxRanker, _onnx),
        # Add a new one here. It needs its settings in tasks/spec/rankers.py, a module that trains it, cases in
        # tests/tasks/training/test_ranker_contract.py and, if no node of engine/functions/ executes it, one of its own.
    )
}
"""What trains each type of ranker by its name in the pipeline file; a blend is several of them."""


def train_ranker(table: pa.Table, spec: Spec, settings: Ranker) -> TrainedRanker:
    """Train the ranker that some settings are of.

    Args:
        table: examples, rows of a group together; features as float columns. Of sampled negatives, those kept count.
        spec: names the features.
        settings: those of the pipeline file, or of a trial, settled.

    Raises:
        TrainingError: nothing can be learned from these examples.
    """
    if isinstance(settings, BlendRanker):
        from tasks.training.learners.blend import TrainedBlend, member

        pairs = zip(settings.of, settings.weights or (), strict=True)
        kept = ((part, weight) for part, weight in pairs if weight > 0.0)
        parts = ((train_ranker(table, spec, part), weight, training_rows(table, spec, part)) for part, weight in kept)
        return TrainedBlend(tuple(member(model, weight, rows, spec) for model, weight, rows in parts))
    train, rows = RANKERS[settings.type].load().train, training_rows(table, spec, settings)
    models_of_seeds = [train(rows, spec, copy) for copy in settings.copies]
    if len(models_of_seeds) == 1:
        return models_of_seeds[0]
    from tasks.training.learners.blend import mean_of

    return mean_of(models_of_seeds)


def settle(spec: Spec, settings: Ranker, read: Read) -> Settled:
    """Fix what settings leave to the validation window or to a clock: the number of rounds, the weights of a blend.

    Raises:
        TrainingError: nothing can be learned from the training window alone.
    """
    if not isinstance(settings, BlendRanker):
        single = settings

        def trained_on(window: str) -> pa.Table:
            return training_rows(read(window), spec, single) if window == "train" else read(window)

        return RANKERS[settings.type].load().settle(spec, settings, trained_on)
    parts = tuple(settle(spec, part, read).settings for part in settings.of)
    settled = settings.model_copy(update={"of": parts})
    if settings.weights is not None:
        return Settled(settled)
    return Settled(settled.model_copy(update={"weights": _weights(spec, settled, read)}))


def _weights(spec: Spec, settings: BlendRanker, read: Read) -> tuple[float, ...]:
    """Choose the weights of a blend by models that were trained on the training window alone."""
    from tasks.examples.arrays import matrix
    from tasks.training.learners.blend import best_weights, member

    train, validation, metric = read("train"), read("validation"), spec.gates[0].metric
    features, scores = matrix(validation, spec.features), []
    for part in settings.of:
        one = member(train_ranker(train, spec, part), 1.0, training_rows(train, spec, part), spec)
        scores.append((one.model.scorer().predict(features) - one.center) / one.scale)
    weights, value = best_weights(scores, validation, metric)
    alone = [mean_and_error(metric, given, validation)[0] for given in scores]
    say(
        "weights of the blend: {weights}, with which {metric} on the validation window is {value:.4f}; alone: {alone}",
        weights=", ".join(f"{part.summary} {weight:g}" for part, weight in zip(settings.of, weights, strict=True)),
        metric=metric, value=value, alone=", ".join(f"{each:.4f}" for each in alone),
    )  # fmt: skip
    return weights


def loss(spec: Spec, settings: Ranker) -> str:
    """Say what training minimizes, for the descriptor."""
    if isinstance(settings, BlendRanker):
        return "; ".join(f"{part.type}: {loss(spec, part)}" for part in settings.of)
    return RANKERS[settings.type].load().loss(spec, settings)
