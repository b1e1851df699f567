"""The parts of a pipeline file that say what orders the candidates, one for each type of ranker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tasks.spec.onnx_ranker import OnnxRanker
from tasks.spec.ranker_parts import Problem, RankerPart, SeededRanker
from tasks.spec.values import NonNegativeFloat, NonNegativeInt, Number, PositiveFloat, PositiveInt, Whole

OWN_OBJECTIVES = frozenset({"pairwise_logistic", "softmax"})
DEFAULT_HESSIAN = 0.001  # LightGBM's own
MOST_MEMBERS = 5  # of a blend: more can be weighted in too many ways for a validation window to tell apart


class LightGBM(SeededRanker):
    """LightGBM: boosted trees or a random forest, to rank, to classify or to estimate."""

    TUNABLE = (
        *("rounds", "learning_rate", "num_leaves", "min_data_in_leaf", "lambda_l2", "feature_fraction"),
        *("bagging_fraction", "max_bin", "truncation"),
    )

    type: Literal["lightgbm"]
    objective: Literal["lambdarank", "rank_xendcg", "binary", "regression", "pairwise_logistic", "softmax"] = Field(
        default="lambdarank",
        description="Loss that is minimised; `regression`: the squared error of what the first gate's metric makes a "
        "grade worth. `pairwise_logistic` (RankNet) and `softmax` (ListNet) are of the same worths.",
    )
    # Left out where they are absent, as below: a ranker without them stays, byte for byte, what it was.
    boosting: Literal["gbdt", "dart", "rf"] = Field(
        default="gbdt",
        exclude_if=lambda kind: kind == "gbdt",
        description="`gbdt`: each tree corrects those before it; `dart`: some of them, drawn anew for each tree, are "
        "left out meanwhile; `rf`: a random forest, of whose trees none knows the others.",
    )
    rounds: PositiveInt = Field(default=100, description="Trees.")
    early_stopping: PositiveInt | None = Field(
        default=None,
        exclude_if=lambda rounds: rounds is None,
        description="Rounds without a better value of the first gate's metric on the validation window, after which "
        "training stops; the rounds up to the best value are those of every model.",
    )
    seconds: PositiveInt | None = Field(
        default=None,
        exclude_if=lambda seconds: seconds is None,
        description="Time for training on the training window: it stops after the round in which they are over, and "
        "every model gets the rounds reached. Another machine may reach others.",
    )
    learning_rate: PositiveFloat = Field(default=0.1, description="Shrinkage of each tree; a random forest has none.")
    num_leaves: Annotated[Whole, Field(ge=2)] = Field(default=31, description="Leaves of a tree at most.")
    min_data_in_leaf: NonNegativeInt = Field(default=50, description="Examples in a leaf at least.")
    min_sum_hessian: NonNegativeFloat = Field(
        default=DEFAULT_HESSIAN,
        exclude_if=lambda least: least == DEFAULT_HESSIAN,
        description="min_sum_hessian_in_leaf: like `min_data_in_leaf`, but of examples by weight.",
    )
    lambda_l2: NonNegativeFloat = Field(default=1.0, description="L2 penalty on leaf values.")
    feature_fraction: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=1.0, description="Share of the features a tree may use."
    )
    bagging_fraction: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=1.0, description="Share of the examples a tree sees."
    )
    max_bin: Annotated[Whole, Field(ge=2)] = Field(default=255, description="Values a feature is cut into.")
    truncation: PositiveInt = Field(default=30, description="lambdarank_truncation_level.")

    @model_validator(mode="before")
    @classmethod
    def _former_position_bias(cls, given: Any) -> Any:
        # Published versions have the key of former days; the champion among them is still to be compared with.
        if not isinstance(given, dict) or "position_bias" not in given:
            return given
        if given["position_bias"] != "none":
            raise ValueError("`position_bias` is a key of the pipeline now: `position_bias: {type: position_aware}`")
        return {key: value for key, value in given.items() if key != "position_bias"}

    @property
    def summary(self) -> str:
        """What it is in two words or three, for people."""
        return f"{self.type}, {self.objective}" + ("" if self.boosting == "gbdt" else f", {self.boosting}")

    @property
    def effort(self) -> str:
        """How much training it asks for, for people."""
        return f"{self.rounds:,} rounds" + self._per_seed

    def problems(self) -> Iterator[Problem]:
        """Yield the settings that do not go together with others of the same ranker."""
        if self.boosting == "rf" and self.bagging_fraction == 1.0:
            yield (
                ("bagging_fraction",),
                "found 1, with which all trees of a random forest would be the same; expected less, such as 0.6",
            )
        if self.boosting == "rf" and self.objective in OWN_OBJECTIVES:
            yield ("objective",), f"found {self.objective!r}, which no random forest takes; expected another one"
        # A later tree changes the earlier ones, so the model of the best round is gone once there are more.
        if self.boosting == "dart" and self.early_stopping is not None:
            yield (
                ("early_stopping",),
                f"found {self.early_stopping}, but dart's later trees change the earlier ones; expected none, or "
                "`boosting: gbdt`",
            )
        draws = self.boosting == "dart" or self.objective == "rank_xendcg"
        if self.seeds > 1 and min(self.bagging_fraction, self.feature_fraction) == 1.0 and not draws:
            yield (
                ("seeds",),
                f"found {self.seeds}, but nothing is drawn, so that all models would be the same; expected a "
                "`bagging_fraction` or a `feature_fraction` below 1",
            )


class LinearRanker(RankerPart):
    """A weight for each input: ridge, lasso or elastic net; numbers are standardized, texts have an input each."""

    TUNABLE = ("l1", "l2")

    type: Literal["linear"]
    loss: Literal["squared", "logistic"] = Field(
        default="squared",
        description="`squared`: the error of what the first gate's metric makes a grade worth; `logistic`: whether an "
        "item is relevant.",
    )
    l1: NonNegativeFloat = Field(
        default=0.0, description="Penalty on absolute weights, beside the mean loss of an example: some become 0."
    )
    l2: NonNegativeFloat = Field(
        default=0.001, description="Penalty on half the squared weights, beside the mean loss of an example."
    )

    @property
    def summary(self) -> str:
        """What it is in two words or three, for people."""
        return f"{self.type}, {self.loss}"


class FactorizationMachineRanker(SeededRanker):
    """A factorization machine (Rendle 2010): a weight for each input, and for each pair one from their factors.

    Its inputs are those of `linear`.
    """

    TUNABLE = ("factors", "epochs", "learning_rate", "l2")

    type: Literal["fm"]
    loss: Literal["pairwise", "logistic"] = Field(
        default="pairwise",
        description="`pairwise`: of each item and one of its list that it beats, drawn anew in each epoch; `logistic`: "
        "of each item alone, whether it is relevant.",
    )
    factors: Annotated[Whole, Field(ge=1, le=256)] = Field(default=8, description="Length of the vectors.")
    epochs: PositiveInt = Field(default=10, description="How often the examples are gone through.")
    learning_rate: PositiveFloat = Field(default=0.1, description="Length of the first steps; Adagrad shortens them.")
    l2: NonNegativeFloat = Field(default=0.0001, description="L2 penalty, in each step, on the parameters it moves.")

    @property
    def summary(self) -> str:
        """What it is in two words or three, for people."""
        return f"factorization machine, {self.loss}"

    @property
    def effort(self) -> str:
        """How much training it asks for, for people."""
        return f"{self.epochs:,} epochs" + self._per_seed


SingleRanker = Annotated[LightGBM | LinearRanker | FactorizationMachineRanker | OnnxRanker, Field(discriminator="type")]


class BlendRanker(RankerPart):
    """Several rankers: the weighted mean of their scores, each standardized by its scores of what it was trained on."""

    type: Literal["blend"]
    of: Annotated[tuple[SingleRanker, ...], Field(min_length=2, max_length=MOST_MEMBERS)] = Field(
        description="The rankers, each trained by itself."
    )
    weights: tuple[NonNegativeFloat, ...] | None = Field(
        default=None,
        exclude_if=lambda weights: weights is None,
        description="The share of each, together 1; absent, those with the best value of the first gate's metric on "
        "the validation window. A ranker without a share is not trained.",
    )

    @property
    def summary(self) -> str:
        """What it is in two words or three, for people."""
        return f"blend of {' and '.join(part.summary for part in self.of)}"

    @property
    def effort(self) -> str:
        """How much training it asks for, for people."""
        return " and ".join(part.effort for part in self.of)

    def problems(self) -> Iterator[Problem]:
        """Yield the settings that do not go together with others of the same ranker."""
        if self.weights is None:
            return
        if len(self.weights) != len(self.of):
            yield ("weights",), f"found {len(self.weights)} weights, expected {len(self.of)}: one for each ranker"
        elif abs(sum(self.weights) - 1.0) > 1e-9:
            yield ("weights",), f"found weights that add up to {sum(self.weights):g}, expected 1"


Ranker = Annotated[
    LightGBM | LinearRanker | FactorizationMachineRanker | OnnxRanker | BlendRanker, Field(discriminator="type")
]
TUNABLE = sorted({*LightGBM.TUNABLE, *LinearRanker.TUNABLE, *FactorizationMachineRanker.TUNABLE})


def with_settings(ranker: Ranker, settings: Mapping[str, int | float | str]) -> Ranker:
    """Put other values in the place of some settings of a ranker.

    Raises:
        ValidationError: the ranker takes no such value.
    """
    return type(ranker).model_validate({**ranker.model_dump(), **settings})


def ranker_problems(ranker: Ranker, *, validation: bool) -> Iterator[Problem]:
    """Yield what is wrong with a ranker: beside its own settings, and beside the windows of the pipeline.

    Args:
        ranker: of the pipeline file.
        validation: whether there is a validation window.
    """
    yield from ranker.problems()
    if isinstance(ranker, BlendRanker):
        for index, part in enumerate(ranker.of):
            for place, text in ranker_problems(part, validation=validation):
                yield ("of", index, *place), text
    asking = "weights" if isinstance(ranker, BlendRanker) and ranker.weights is None else None
    if isinstance(ranker, LightGBM):
        asking = "early_stopping" if ranker.early_stopping is not None else None
    if asking is not None and not validation:
        yield (asking,), "there is no validation window to choose by; expected `examples.validation` of at least 1d"
