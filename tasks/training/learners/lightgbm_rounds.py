"""How many rounds LightGBM gets, where the validation window or a clock decides.

The model that is evaluated is trained on the validation window, too, so nothing can stop it by that window. Rounds are
chosen by a model that was trained on the training window alone, and all others get as many.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.runs.narration import Count, counting, say, warn
from tasks.spec.rankers import LightGBM
from tasks.spec.spec import Spec
from tasks.training.learners.labels import highest_grade, label_gain
from tasks.training.learners.lightgbm import boost, dataset, parameters, position_parameters
from tasks.training.learners.position_factors import listening
from tasks.training.learners.protocol import Read, Rounds, Settled
from tasks.training.measure import DIGITS, mean_and_error

if TYPE_CHECKING:
    import lightgbm
    import pyarrow as pa

ALL, NO_BETTER, TIME_UP = "all rounds were trained", "no better value", "the time was up"


@dataclass(eq=False)
class Stopper:
    """LightGBM's callback after each round: keeps the values, and stops by them or by the clock.

    Attributes:
        patience: rounds without a better value; None to go on whatever the values are.
        ends: when the time is up, of `time.monotonic`.
        count: of the rounds, for whoever is waiting.
        values: the metric after each round.
        stopped_by: why there are no more rounds.
    """

    patience: int | None
    ends: float | None
    count: Count
    values: list[float] = field(default_factory=list)
    stopped_by: str = ALL

    @property
    def best(self) -> int:
        """The round with the greatest value, the first of equals, from 1."""
        return self.values.index(max(self.values)) + 1

    def __call__(self, state: lightgbm.callback.CallbackEnv) -> None:
        """Keep the value of a round, and end training after it if it is time to."""
        from lightgbm.callback import EarlyStopException

        self.count.done = done = state.iteration + 1
        self.values += [round(value, DIGITS) for _, _, value, _ in state.evaluation_result_list]
        if self.patience is not None and done - self.best >= self.patience:
            self.stopped_by = NO_BETTER
        elif self.ends is not None and time.monotonic() >= self.ends:
            self.stopped_by = TIME_UP
        else:
            return
        if done < state.end_iteration:
            raise EarlyStopException(state.iteration, state.evaluation_result_list)
        self.stopped_by = ALL


def settle(spec: Spec, settings: LightGBM, read: Read) -> Settled:
    """Choose the number of rounds, if `early_stopping` or `seconds` ask for it.

    Raises:
        TrainingError: nothing can be learned from the training window alone.
    """
    if settings.early_stopping is None and settings.seconds is None:
        return Settled(settings)
    metric = None if settings.early_stopping is None else spec.gates[0].metric
    validation = None if metric is None else _to_stop_by(read("validation"))
    rounds = _chosen(spec, settings, read("train"), validation)
    _say(settings, rounds)
    settled = {"rounds": rounds.chosen, "early_stopping": None, "seconds": None}
    return Settled(settings.model_copy(update=settled), rounds)


def _to_stop_by(validation: pa.Table) -> pa.Table | None:
    """The validation window, or None if none of its lists has anything to find: then every round is as good."""
    import pyarrow.compute as pc

    if validation.num_rows and pc.max(validation["grade"]).as_py() > 0:
        return validation
    warn("no list of the validation window has anything to find, so that no round can be told from another")
    return None


def _chosen(spec: Spec, settings: LightGBM, train: pa.Table, validation: pa.Table | None) -> Rounds:
    metric = spec.gates[0].metric
    values = parameters(settings, label_gain(spec, highest_grade(train))) | position_parameters(spec)
    ends = None if settings.seconds is None else time.monotonic() + settings.seconds
    data = dataset(train, spec, settings, values)
    more: dict[str, Any] = {}
    if validation is not None:

        def measured(scores: Any, _: lightgbm.Dataset) -> tuple[str, float, bool]:
            return metric, mean_and_error(metric, scores, validation)[0], True

        more = {"valid_sets": [dataset(validation, spec, settings, values, data)], "feval": measured}
    with counting("rounds", settings.rounds) as count, listening():
        stopper = Stopper(settings.early_stopping if more else None, ends, count)
        # Without it, LightGBM computes the objective's own metric, too.
        boost(data, {**values, "metric": "none"}, rounds=settings.rounds, callbacks=[stopper], **more)
    return Rounds(
        metric=metric if more else None,
        values=tuple(stopper.values),
        reached=stopper.count.done,
        chosen=stopper.best if more else stopper.count.done,
        stopped_by=stopper.stopped_by,
    )


def _say(settings: LightGBM, rounds: Rounds) -> None:
    if rounds.metric is not None:
        say(
            "{chosen:,} of {reached:,} rounds chosen: {metric} {value:.4f} on the validation window ({why})",
            chosen=rounds.chosen, reached=rounds.reached, metric=rounds.metric, why=rounds.stopped_by,
            value=rounds.values[rounds.chosen - 1],
        )  # fmt: skip
    if rounds.stopped_by == TIME_UP:
        warn(
            "training was stopped after {reached:,} of {asked:,} rounds, since {seconds} s (`ranker.seconds`) were "
            "over; another machine may reach others: `rounds: {chosen}` without `seconds` reproduces this model",
            reached=rounds.reached, asked=settings.rounds, seconds=settings.seconds, chosen=rounds.chosen,
        )  # fmt: skip
