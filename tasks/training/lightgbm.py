"""LightGBM as a ranker: its parameters, one fit, and a model file without what differs between machines."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import TrainingError
from tasks.examples.arrays import group_offsets
from tasks.runs.narration import counting
from tasks.spec.parts import LightGBM
from tasks.spec.resolved_features import CategoryFeature
from tasks.spec.spec import Spec
from tasks.store.settings import threads

if TYPE_CHECKING:
    import lightgbm
    import pyarrow as pa

    from engine.trees import Trees


@dataclass(frozen=True)
class TrainedTrees:
    """A trained LightGBM model."""

    booster: lightgbm.Booster

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

    def save(self, path: Path) -> None:
        """Write the model as text, without the number of threads: files of equal models are equal."""
        text = self.booster.model_to_string(num_iteration=-1)
        path.write_text(re.sub(r"(?m)^\[num_threads: \d+\]\n", "", text), encoding="utf-8")


def label_gain(spec: Spec, highest: int) -> tuple[float, ...]:
    """What each grade from 0 to `highest` is worth to lambdarank: what the metric of the first gate makes it worth.

    LightGBM's own gains, 2^grade − 1, are those of another metric than `ndcg@k`, whose gains are linear.
    """
    from engine.metrics import parse_metric

    return parse_metric(spec.gates[0].metric).gains(highest)


def loss(spec: Spec) -> str:
    """Say what training minimizes, for the descriptor."""
    if spec.ranker.objective != "lambdarank":
        return spec.ranker.objective
    gains = label_gain(spec, max(rule.grade for rule in spec.label.grades))
    listed = ", ".join(f"{grade}: {gain:g}" for grade, gain in enumerate(gains))
    return f"lambdarank with the gains of {spec.gates[0].metric} by grade ({listed})"


def parameters(ranker: LightGBM, gains: Sequence[float]) -> dict[str, Any]:
    """LightGBM's parameters; equal inputs give equal trees for any number of threads."""
    # The other objectives have no gains, and an unused parameter would only stand in the model file.
    gain = {"label_gain": list(gains)} if ranker.objective == "lambdarank" else {}
    return gain | {
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
        "num_threads": threads(),
        "verbosity": -1,
    }


def train(table: pa.Table, spec: Spec, ranker: LightGBM) -> TrainedTrees:
    """Train one model.

    Args:
        table: examples, rows of a group together; features as float columns.
        spec: names the features.
        ranker: the settings.

    Raises:
        TrainingError: there is no row, all labels are the same, or LightGBM refuses (a group over 10,000 rows, say).
    """
    import lightgbm
    import numpy as np
    import pyarrow.compute as pc

    grades = pc.min_max(table["grade"]).as_py() if table.num_rows else {"min": 0, "max": 0}
    if grades["min"] == grades["max"]:
        raise TrainingError(
            f"single-class label: all {table.num_rows} examples have the grade {grades['max']}, expected at least two "
            "different grades. Look at `label.grades` and the length of `examples.train`"
        )
    label = table["grade"].to_numpy()
    settings = parameters(ranker, label_gain(spec, grades["max"]))
    data = lightgbm.Dataset(
        table.select(list(spec.features)).combine_chunks(),
        label=(label > 0).astype(np.float32) if ranker.objective == "binary" else label,
        weight=table["weight"].to_numpy(),
        group=np.diff(group_offsets(table)),
        position=table["position"].to_numpy() if ranker.position_bias == "lightgbm" else None,
        feature_name=list(spec.features),
        # `auto` is the default, and means what pandas calls categories: none here.
        categorical_feature=[f.name for f in spec.resolved_features if isinstance(f, CategoryFeature)] or "auto",
        params=settings,
    )
    with counting("rounds", ranker.rounds) as rounds:

        def after_round(state: lightgbm.callback.CallbackEnv) -> None:
            rounds.done = state.iteration + 1

        return TrainedTrees(_boost(data, settings, ranker.rounds, after_round))


def _boost(
    data: lightgbm.Dataset, settings: dict[str, Any], rounds: int, after_round: Callable[..., None]
) -> lightgbm.Booster:
    import lightgbm

    try:
        return lightgbm.train(settings, data, num_boost_round=rounds, callbacks=[after_round])
    except lightgbm.basic.LightGBMError as error:
        raise TrainingError(f"LightGBM refuses these examples or settings: {error}") from None
