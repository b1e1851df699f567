"""LightGBM as a ranker: its parameters, one fit, and a model file without what differs between machines."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import TrainingError
from tasks.examples.arrays import group_offsets
from tasks.runs.narration import counting
from tasks.spec.feedback.position_bias import PositionAware
from tasks.spec.rankers import DEFAULT_HESSIAN, OWN_OBJECTIVES, LightGBM
from tasks.spec.resolved_features import CategoryFeature
from tasks.spec.spec import Spec
from tasks.store.settings import training_threads
from tasks.training.learners.labels import gains_by_grade, highest_grade, label_gain, labels
from tasks.training.learners.position_factors import VERBOSITY, listening

if TYPE_CHECKING:
    import lightgbm
    import pyarrow as pa

    from engine.functions.schema import TreesNode
    from engine.trees import Trees

MODEL_FILE = "trees.txt"


@dataclass(frozen=True)
class TrainedTrees:
    """A trained LightGBM model; `positions` has what it learned to add at each position, if it was given them."""

    booster: lightgbm.Booster
    positions: dict[int, float] = field(default_factory=dict)

    def scorer(self) -> Trees:
        """The trees as the engine executes them."""
        from engine.trees import Trees

        return Trees.parse(self.booster.model_to_string(num_iteration=-1))  # -1: all trees, not up to a best one

    def importance(self) -> dict[str, float]:
        """Gain of each feature, summed over the splits."""
        gains = self.booster.feature_importance("gain")
        return {name: round(float(gain), 4) for name, gain in zip(self.booster.feature_name(), gains, strict=True)}

    def splits(self) -> dict[str, int]:
        """How often each feature is split on."""
        counts = self.booster.feature_importance("split")
        return {name: int(count) for name, count in zip(self.booster.feature_name(), counts, strict=True)}

    def save(self, folder: Path) -> TreesNode:
        """Write the model as text, without the number of threads: files of equal models are equal."""
        from engine.functions.schema import TreesNode

        text = self.booster.model_to_string(num_iteration=-1)
        (folder / MODEL_FILE).write_text(re.sub(r"(?m)^\[num_threads: \d+\]\n", "", text), encoding="utf-8")
        return TreesNode(artifact=MODEL_FILE)


def loss(spec: Spec, settings: LightGBM) -> str:
    """Say what training minimizes, for the descriptor."""
    if settings.objective == "regression":
        return f"squared error of {gains_by_grade(spec)}"
    if settings.objective == "lambdarank" or settings.objective in OWN_OBJECTIVES:
        return f"{settings.objective} with {gains_by_grade(spec)}"
    return settings.objective


def parameters(ranker: LightGBM, gains: Sequence[float]) -> dict[str, Any]:
    """LightGBM's parameters; equal inputs give equal trees for any number of threads."""
    # The other objectives have no gains, and an unused parameter would only stand in the model file.
    gain = {"label_gain": list(gains)} if ranker.objective == "lambdarank" else {}
    kind: dict[str, Any] = {} if ranker.boosting == "gbdt" else {"boosting": ranker.boosting}
    # As of `kind`: what is LightGBM's own default stands in no model file.
    least = {} if ranker.min_sum_hessian == DEFAULT_HESSIAN else {"min_sum_hessian_in_leaf": ranker.min_sum_hessian}
    return (
        gain
        | kind
        | least
        | {
            "objective": ranker.objective,
            "learning_rate": ranker.learning_rate,
            "num_leaves": ranker.num_leaves,
            "min_data_in_leaf": ranker.min_data_in_leaf,
            "lambda_l2": ranker.lambda_l2,
            "feature_fraction": ranker.feature_fraction,
            "bagging_fraction": ranker.bagging_fraction,
            # A fraction without a frequency does nothing; 0 turns bagging off.
            "bagging_freq": int(ranker.bagging_fraction < 1.0),
            "max_bin": ranker.max_bin,
            "lambdarank_truncation_level": ranker.truncation,
            "seed": ranker.seed,
            "deterministic": True,
            # Or LightGBM times both layouts of the data and keeps the faster, which is another one on another day.
            "force_row_wise": True,
            "num_threads": training_threads(),
            "verbosity": -1,
        }
    )


def position_parameters(spec: Spec) -> dict[str, Any]:
    """LightGBM's parameters for positions; none where they are not learned from."""
    if not isinstance(spec.position_bias, PositionAware):
        return {}
    return {
        "lambdarank_position_bias_regularization": spec.position_bias.regularization,
        "verbosity": VERBOSITY,
    }


def train(table: pa.Table, spec: Spec, settings: LightGBM) -> TrainedTrees:
    """Train one model.

    Args:
        table: examples, rows of a group together; features as float columns.
        spec: names the features.
        settings: of the pipeline file, settled.

    Raises:
        TrainingError: there is no row, all labels are the same, or LightGBM refuses (a group over 10,000 rows, say).
    """
    values = parameters(settings, label_gain(spec, highest_grade(table))) | position_parameters(spec)
    with counting("rounds", settings.rounds) as rounds, listening() as log:

        def after_round(state: lightgbm.callback.CallbackEnv) -> None:
            rounds.done = state.iteration + 1

        data = dataset(table, spec, settings, values)
        booster = boost(data, values, rounds=settings.rounds, callbacks=[after_round])
        return TrainedTrees(booster, dict(sorted(log.factors.items())))


def dataset(
    table: pa.Table, spec: Spec, settings: LightGBM, values: dict[str, Any], like: lightgbm.Dataset | None = None
) -> lightgbm.Dataset:
    """Give LightGBM the examples; `values` are its parameters, `like` has the bins of a validation set's features."""
    import lightgbm
    import numpy as np

    return lightgbm.Dataset(
        table.select(list(spec.features)).combine_chunks(),
        label=labels(table, spec, settings.objective),
        weight=table["weight"].to_numpy(),
        group=np.diff(group_offsets(table)),
        position=table["position"].to_numpy() if isinstance(spec.position_bias, PositionAware) else None,
        feature_name=list(spec.features),
        # `auto` is the default, and means what pandas calls categories: none here.
        categorical_feature=[f.name for f in spec.resolved_features if isinstance(f, CategoryFeature)] or "auto",
        params=values,
        reference=like,
    )


def boost(
    data: lightgbm.Dataset, values: dict[str, Any], *, rounds: int, callbacks: list[Callable[..., None]], **more: Any
) -> lightgbm.Booster:
    """Train so many rounds; `more` are arguments of `lightgbm.train`.

    Raises:
        TrainingError: LightGBM refuses the examples or the parameters.
    """
    import lightgbm

    from tasks.training.learners.objectives import OBJECTIVES, lightgbm_objective

    if values["objective"] in OBJECTIVES:
        values = {**values, "objective": lightgbm_objective(values["objective"])}
    try:
        return lightgbm.train(values, data, num_boost_round=rounds, callbacks=callbacks, **more)
    except lightgbm.basic.LightGBMError as error:
        raise TrainingError(f"LightGBM refuses these examples or settings: {error}") from None
