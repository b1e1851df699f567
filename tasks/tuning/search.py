"""A search: workers take trainings from one journal until all are there, and the choice is a function of them alone.

Trial n is chosen by the results of the trials up to n - `at_once`, so that as many may be under way, and it is the same
trial however many workers there are and whichever ends first.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple

from tasks.runs.narration import Count, counting, warn
from tasks.spec.tune import Tune
from tasks.store.records import Record
from tasks.tuning.choice import (
    DIGITS,
    Lists,
    Trial,
    Tuning,
    chosen_leader,
    distances,
    leaders,
    leading,
    mean_of,
)
from tasks.tuning.journal import Journal, Measured, TakenError, Training
from tasks.tuning.samplers import Known, suggested
from tasks.tuning.space import Place, Settings, Space

if TYPE_CHECKING:
    from engine.arrays import Floats

PAUSE = 0.1
"""Seconds between two looks at what others are at."""
Measure = Callable[[Settings, int], "Floats"]
"""Trains settings for the n-th time, and gives the metric of each list."""
SHARES = (0.25, 0.5, 0.75)
"""Of a trial's rounds: the stages after which it may be ended."""
LEAST_KNOWN = 5
"""Trials that a median is of, as in Optuna's median pruner."""


class Reached(NamedTuple):
    """How far a trial came.

    Attributes:
        values: the metric of each list.
        stages: the mean of the metric after each stage that it came to, and at the end unless it was ended.
    """

    values: Floats
    stages: tuple[float, ...]


Staged = Callable[[Settings, tuple[float, ...]], Reached]
"""Trains settings for the first time, and ends at the first stage whose mean is below its bar, if there are bars."""


class TuneResult(Record):
    """What a worker of a step did whose work is shared.

    Attributes:
        trainings: how many were its own.
    """

    trainings: int

    def summary(self) -> str:
        """How many trainings it did."""
        return f"{self.trainings:,} trainings by this worker"


@dataclass
class Search:
    """What is searched, and how far it has come.

    Attributes:
        tune: of the pipeline file.
        space: where points are.
        journal: what was found.
        measure: trains, and measures.
        lists: that are measured.
        staged: trains a trial in stages; None where it has none, or nothing is to be ended early.
    """

    tune: Tune
    space: Space
    journal: Journal
    measure: Measure
    lists: Lists
    staged: Staged | None = None
    _places: list[Place] = field(default_factory=list)
    _trials: list[Measured] = field(default_factory=list)

    def work(self) -> int:
        """Train what is left, beside other workers, until all is there; return how many trainings this one did.

        Raises:
            TrainingError: nothing can be learned with some settings.
        """
        mine = 0
        with counting("trials", self._count) as count:
            while waiting := self._waiting(count):
                # One, then look again: it may have brought results that the next ones are chosen by.
                trained = next((done for training in waiting if (done := self._train(training)) is not None), None)
                if trained is None:
                    sleep(PAUSE)
                mine += trained or 0
        return mine

    def outcome(self) -> Tuning:
        """Compare all trainings, which are there."""
        values = [measured.values for measured in self._trials]
        whole = self._whole()
        behind = distances(values, self.lists, whole)
        trials = [
            Trial(
                settings=self.space.settings(place),
                complexity=sum(place),
                value=round(mean_of(own, self.lists), DIGITS),
                behind=round(lead.behind, DIGITS),
                error=round(lead.error, DIGITS),
                pruned=number not in whole,
            )
            for number, (place, own, lead) in enumerate(zip(self._tried, values, behind, strict=True))
        ]
        trained = {number: list(self._values_of(number)) for number in self._leading()}
        found = leaders(trained, self.lists)
        if self.tune.budget is not None and len(trials) < self._count:
            warn(
                "the time was up after {count:,} of {asked:,} trials (`tune.budget`); another machine may end after "
                "others: `trials: {count}` without `budget` gives the same",
                count=len(trials), asked=self._count,
            )  # fmt: skip
        return Tuning(
            metric=self.tune.metric,
            lists=sum(1 for value in values[0].tolist() if value == value),
            space=dict(zip(self.space.names, self.space.values, strict=True)),
            trials=tuple(trials),
            leaders=found,
            peak=chosen_leader(found, "best").trial,
            chosen=chosen_leader(found, self.tune.choose).trial,
            rule=self.tune.choose,
        )

    @property
    def _tried(self) -> list[Place]:
        """The places of the trials that are there; others may have been chosen when the time was up."""
        return self._places[: len(self._trials)]

    @property
    def _count(self) -> int:
        return min(self.tune.trials, self.space.size)

    def _waiting(self, count: Count) -> list[Training]:
        """The trainings that can be done now, in their order; none once all are there."""
        waiting = self._waiting_trials()
        if not waiting:
            waiting = [training for number in self._leading() for training in self._again(number)]
            waiting = [training for training in waiting if self.journal.read(training) is None]
        count.done = len(self._trials)
        return waiting

    def _waiting_trials(self) -> list[Training]:
        while (done := len(self._trials)) < self._count:
            self._choose_places(done)
            measured = self.journal.read(self._trial(done))
            if measured is None:
                ahead = {number: self._trial(number) for number in range(done, len(self._places))}
                missing = [number for number, training in ahead.items() if self.journal.read(training) is None]
                if self._may_end(missing, done):
                    return []
                return [ahead[number] for number in missing]
            self._trials.append(measured)
        return []

    def _may_end(self, missing: Sequence[int], done: int) -> bool:
        """Whether the time is up, and no trial behind a missing one has begun: then those there are are all."""
        if missing != list(range(done, len(self._places))) or not self._time_is_up():
            return False
        # Looked at again behind the claims: a trial that had begun before may have ended meanwhile.
        return not any(map(self._is_taken, missing)) and not any(map(self._is_there, missing))

    def _is_there(self, number: int) -> bool:
        return self.journal.read(self._trial(number)) is not None

    def _is_too_late(self, training: Training) -> bool:
        """Whether the time is up, and no later trial is there."""
        later = range(training.trial + 1, len(self._places))
        return self._time_is_up() and not any(map(self._is_there, later))

    def _time_is_up(self) -> bool:
        if self.tune.budget is None:
            return False
        there = (self.journal.read(self._trial(number)) for number in range(len(self._places)))
        return sum(measured.seconds for measured in there if measured is not None) >= 60 * self.tune.budget

    def _is_taken(self, number: int) -> bool:
        try:
            with self.journal.claim(self._trial(number)):
                return False
        except TakenError:
            return True

    def _choose_places(self, done: int) -> None:
        """Choose the trials that may be under way once so many are done, in their order."""
        while len(self._places) < min(self._count, done + self.tune.at_once):
            may_know = max(0, len(self._places) - self.tune.at_once + 1)
            values = tuple(mean_of(measured.values, self.lists) for measured in self._trials[:may_know])
            known = Known(self.space, self.tune.seed, tuple(self._places), values)
            self._places.append(suggested(self.tune.sampler, self._count, known))

    def _trial(self, number: int) -> Training:
        return Training(number, self.space.settings(self._places[number]))

    def _leading(self) -> Sequence[int]:
        whole = self._whole()
        behind = distances([measured.values for measured in self._trials], self.lists, whole)
        return leading(self._tried, behind, whole, self.tune.leaders, self.tune.choose)

    def _whole(self) -> list[int]:
        """Number the trials that were not ended early."""
        stages = 0 if self.staged is None else len(SHARES) + 1
        return [number for number, measured in enumerate(self._trials) if len(measured.stages) >= stages]

    def _bars(self, trial: int) -> tuple[float, ...]:
        """The median of each stage over the trials that a trial may know; none with too few of them."""
        known = self._trials[: max(0, trial - self.tune.at_once + 1)]
        if len(known) < LEAST_KNOWN:
            return ()
        came = ([own.stages[stage] for own in known if len(own.stages) > stage] for stage in range(len(SHARES)))
        return tuple(statistics.median(values) for values in came)  # the first ones, which have no bars, came to each

    def _again(self, trial: int) -> Iterator[Training]:
        settings = self.space.settings(self._places[trial])
        return (Training(trial, settings, number) for number in range(1, self.tune.seeds))

    def _values_of(self, trial: int) -> Iterator[Floats]:
        yield self._trials[trial].values
        again = (self.journal.read(training) for training in self._again(trial))
        yield from (measured.values for measured in again if measured is not None)  # none is: `work` has seen them

    def _train(self, training: Training) -> int | None:
        """Train, unless another worker has done it (0) or is at it (None)."""
        try:
            with self.journal.claim(training):
                # Looked at again behind the claim: whoever has found that the time is up relies on it.
                if self.journal.read(training) is not None or (not training.number and self._is_too_late(training)):
                    return 0
                began = monotonic()
                if training.number or self.staged is None:
                    reached = Reached(self.measure(training.settings, training.number), ())
                else:
                    reached = self.staged(training.settings, self._bars(training.trial))
                self.journal.write(training, Measured(reached.values, monotonic() - began, reached.stages))
                return 1
        except TakenError:
            return None
