"""Which trial is taken: the simplest that the best one does not beat by more than its lead is uncertain.

A lead is compared list by list and training by training, as all trials are measured on the same lists, and trained with
the same seeds and draws of the users: what is common to both says nothing about which is better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from tasks.store.records import Record
from tasks.tuning.space import Place, Settings, Value, order_of_complexity

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from engine.arrays import Floats

DIGITS = 12
"""Decimals on disk: the last bits of a mean depend on the order of the sum."""


class Trial(Record):
    """Settings that were tried.

    Attributes:
        settings: what they change of what the pipeline file says.
        complexity: the sum of their places in the lists of the space.
        value: the metric's mean over the validation lists, of one training.
        behind: how far it is behind the best trial.
        error: standard error of that distance, over the lists.
        pruned: whether it was ended early: its value is that of the rounds until then, and it is not taken.
    """

    settings: Settings
    complexity: int
    value: float
    behind: float
    error: float
    pruned: bool = Field(default=False, exclude_if=lambda pruned: not pruned)

    @property
    def text(self) -> str:
        """The settings in words."""
        return listed(self.settings)


class Leader(Record):
    """A trial that was trained several times.

    Attributes:
        trial: its number, from 0.
        values: the metric's mean over the validation lists, of each training.
        behind: how far the mean of them is behind the best leader's.
        error: standard error of that distance, over lists and trainings.
    """

    trial: int
    values: tuple[float, ...]
    behind: float
    error: float

    @property
    def value(self) -> float:
        """The mean over the trainings."""
        return sum(self.values) / len(self.values)


class Tuning(Record):
    """The outcome of a search.

    Attributes:
        metric: what was compared.
        lists: of the validation window that have a value.
        space: the values of each setting, from simple to complex.
        trials: all of them, in their order.
        leaders: the best, and the simplest of those that one training does not tell from it; simplest first.
        peak: number of the trial with the greatest value, over all its trainings.
        chosen: number of the trial that is taken.
        rule: why it is that one.
        as_of: the day as of which it was searched, with `tune.retune`.
    """

    metric: str
    lists: int
    space: dict[str, tuple[Value, ...]]
    trials: tuple[Trial, ...]
    leaders: tuple[Leader, ...]
    peak: int
    chosen: int
    rule: str
    as_of: date | None = Field(default=None, exclude_if=lambda day: day is None)

    @property
    def settings(self) -> Settings:
        """What is taken."""
        return self.trials[self.chosen].settings

    def leader(self, trial: int) -> Leader:
        """A leading trial by its number."""
        return next(leader for leader in self.leaders if leader.trial == trial)

    @property
    def summary(self) -> str:
        """The peak, the plateau around it and the choice, in a sentence."""
        peak, chosen = self.leader(self.peak), self.leader(self.chosen)
        plateau = sum(leader.behind <= leader.error for leader in self.leaders)
        taken = (
            "which is taken"
            if self.peak == self.chosen
            else f"taken: {listed(self.settings)} with {chosen.value:.4f}, {chosen.behind:.4f} ± {chosen.error:.4f} "
            "behind, and simpler"
        )
        when = "" if self.as_of is None else f" as of {self.as_of}"
        return (
            f"{len(self.trials):,} trials{when}: the best {self.metric} is {peak.value:.4f} with "
            f"{listed(self.trials[self.peak].settings)}, over {len(peak.values)} trainings; {plateau} of "
            f"{len(self.leaders)} leaders are within one standard error of it; {taken}"
        )


def listed(settings: Settings) -> str:
    """Settings in words."""
    shown = {name: value if isinstance(value, str) else f"{value:g}" for name, value in settings.items()}
    return ", ".join(f"{name} {value}" for name, value in sorted(shown.items()))


class Lists(NamedTuple):
    """The lists that trials are measured on.

    Attributes:
        weights: of each.
        owners: number of each one's user: the lists of a user are alike.
    """

    weights: Floats
    owners: npt.NDArray[np.integer[Any]]


class Distance(NamedTuple):
    """How far a contender is behind another, and the standard error of that."""

    behind: float
    error: float

    @property
    def is_noise(self) -> bool:
        """Whether it is within one standard error."""
        return self.behind <= self.error


def distance(best: Floats, other: Floats, lists: Lists) -> Distance:
    """How far one is behind the other, list by list; 0 without a list that has a value."""
    from engine.intervals import weighted_mean

    return Distance(*(weighted_mean(best - other, lists.weights, lists.owners) or (0.0, 0.0)))


def mean_of(values: Floats, lists: Lists) -> float:
    """The weighted mean over the lists; 0 where none has anything to find: then all settings are equal."""
    from engine.intervals import weighted_mean

    return (weighted_mean(values, lists.weights) or (0.0, 0.0))[0]


def distances(values: Sequence[Floats], lists: Lists, whole: Sequence[int]) -> list[Distance]:
    """How far each trial is behind the one with the greatest mean of those trained as a whole, by one training each."""
    best = values[max(whole, key=lambda n: mean_of(values[n], lists))]
    return [distance(best, own, lists) for own in values]


def leading(
    places: Sequence[Place], behind: Sequence[Distance], whole: Sequence[int], count: int, rule: str
) -> list[int]:
    """Number the trials to train again, simplest first.

    Args:
        places: of the trials.
        behind: how far each is behind the best.
        whole: the numbers of those that were not ended early.
        count: of them at most.
        rule: `best`: those of the greatest values; else the best, and the simplest within one standard error of it.
    """
    numbers = sorted(whole, key=lambda n: order_of_complexity(places[n]))
    best = min(numbers, key=lambda n: behind[n].behind)
    if rule == "best":
        near = sorted(numbers, key=lambda n: behind[n].behind)[:count]
    else:
        near = [best, *(n for n in numbers if behind[n].is_noise and n != best)][:count]
    return [n for n in numbers if n in near]


def leaders(values: Mapping[int, Sequence[Floats]], lists: Lists) -> tuple[Leader, ...]:
    """Compare the leading trials over all their trainings.

    The variance of a lead is that over the lists, of the leads' means over the trainings, and that between trainings,
    estimated from all leaders together, as each has only a few.

    Args:
        values: of the lists, by trial in the order of complexity and by training.
        lists: that they are of.
    """
    import numpy as np

    means = {trial: [mean_of(own, lists) for own in trainings] for trial, trainings in values.items()}
    best = max(means, key=lambda trial: sum(means[trial]))
    trainings = len(means[best])
    spreads = [
        float(np.var([top - own for top, own in zip(means[best], means[trial], strict=True)], ddof=1))
        for trial in means
        if trial != best and trainings > 1
    ]
    noise = math.sqrt(sum(spreads) / len(spreads) / trainings) if spreads else 0.0
    peak = np.mean(values[best], axis=0)
    found = []
    for trial, own in values.items():
        lead = distance(peak, np.mean(own, axis=0), lists)
        error = 0.0 if trial == best else math.hypot(lead.error, noise)
        found.append(
            Leader(
                trial=trial,
                values=tuple(round(value, DIGITS) for value in means[trial]),
                behind=round(lead.behind, DIGITS),
                error=round(error, DIGITS),
            )
        )
    return tuple(found)


def chosen_leader(found: Sequence[Leader], rule: str) -> Leader:
    """The leader to take, of leaders in the order of complexity.

    `simplest_within_one_standard_error` (Breiman et al. 1984, §3.4.3): the first whose distance from the best is within
    its standard error; `best`: the one that is behind none.
    """
    if rule == "best":
        return min(found, key=lambda leader: leader.behind)
    return next(leader for leader in found if leader.behind <= leader.error)
