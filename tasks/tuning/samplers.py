"""Which point is tried next: a function of the seed, the trial's number and the results that it may know.

Nothing else has a part in it: neither the clock nor the workers, nor the order in which trials ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from tasks.tuning.space import Place, Space, order_of_complexity

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

STARTING = 10
"""Trials at random points before the results have a say, as in Optuna."""
REPEATS = 20
"""How often TPE is asked again when it names a point that was tried."""
CANDIDATES = 1_000
"""Points that the Gaussian process looks at: all of a small space, else so many drawn ones."""


@dataclass(frozen=True)
class Known:
    """What the choice of a trial may depend on.

    Attributes:
        space: where points are.
        seed: of what is drawn.
        tried: the places of all earlier trials, in their order.
        values: what the first of them gave; the others are under way.
    """

    space: Space
    seed: int
    tried: tuple[Place, ...]
    values: tuple[float, ...]


def drawn(space: Space, seed: int) -> Iterator[Place]:
    """Go through all points in a random order."""
    import numpy as np

    # The second number makes it another stream than those of other draws with the same seed.
    yield from (space.place(int(n)) for n in np.random.default_rng([seed, 0x70E]).permutation(space.size))


@lru_cache(maxsize=4)
def grid(space: Space, seed: int, trials: int) -> list[Place]:
    """As many points as there are trials, drawn at random if not all, simplest first."""
    return sorted(islice(drawn(space, seed), trials), key=order_of_complexity)


def by_tpe(known: Known) -> Place:
    """The point of the tree-structured Parzen estimator (Bergstra et al. 2011; Optuna, all settings together)."""
    if len(known.tried) < STARTING:
        return next(_untried(known))
    import optuna
    from optuna.distributions import IntDistribution

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Places in the lists, not values: their order is what the lists declare.
    axes: dict[str, BaseDistribution] = {
        name: IntDistribution(0, size - 1) for name, size in zip(known.space.names, known.space.sizes, strict=True)
    }
    # Another seed for each trial: it is asked once, by whichever process comes to it.
    seed = (known.seed * 1_000_003 + len(known.tried)) % 2**32
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.add_trials(_trials(known, axes))
    for _ in range(REPEATS):
        asked = study.ask(axes)
        place = tuple(int(asked.params[name]) for name in known.space.names)
        if place not in known.tried:
            return place
    return next(_untried(known))


def _trials(known: Known, axes: dict[str, BaseDistribution]) -> Iterator[FrozenTrial]:
    """The earlier trials as Optuna's; one under way counts as a bad one, so that not all go to the same place."""
    from optuna.trial import TrialState, create_trial

    for number, place in enumerate(known.tried):
        params = dict(zip(known.space.names, place, strict=True))
        if number < len(known.values):
            yield create_trial(params=params, distributions=axes, value=known.values[number])
        else:
            yield create_trial(params=params, distributions=axes, state=TrialState.RUNNING)


def by_gaussian_process(known: Known) -> Place:
    """The point of the highest upper confidence bound (Srinivas et al. 2010)."""
    if len(known.tried) < STARTING or not known.values:
        return next(_untried(known))
    from tasks.tuning.gaussian_process import most_promising

    candidates = list(islice(_untried(known), CANDIDATES))
    return candidates[most_promising(known.space.sizes, known.tried, known.values, candidates)]


def _untried(known: Known) -> Iterator[Place]:
    tried = set(known.tried)
    return (place for place in drawn(known.space, known.seed) if place not in tried)


SAMPLERS: dict[str, Callable[[Known], Place]] = {"tpe": by_tpe, "gp": by_gaussian_process}
"""The samplers that learn from results, by their names in the pipeline file."""


def suggested(sampler: str, trials: int, known: Known) -> Place:
    """The point of the next trial.

    Args:
        sampler: its name in the pipeline file.
        trials: how many there are in all.
        known: what it may depend on.
    """
    if sampler == "grid":
        return grid(known.space, known.seed, trials)[len(known.tried)]
    return SAMPLERS[sampler](known)
