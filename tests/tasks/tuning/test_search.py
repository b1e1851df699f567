"""A search gives the same outcome however many workers share it, and whenever it is interrupted."""

from __future__ import annotations

import itertools
import multiprocessing
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.arrays import Floats
from tasks.errors import TrainingError
from tasks.spec.tune import Tune
from tasks.tuning.choice import Lists, Tuning
from tasks.tuning.journal import Journal
from tasks.tuning.search import Reached, Search
from tasks.tuning.space import Settings, Space

SPACE = {"num_leaves": [2, 4, 8, 16, 32], "rounds": [10, 20, 40, 80]}
LISTS = Lists(np.ones(30), np.arange(30))


def measured(settings: Settings, training: int) -> Floats:
    """More leaves and rounds are better, ever less so; lists differ, and trainings a little."""
    numbers = np.random.default_rng([int(settings["num_leaves"]), int(settings["rounds"]), training])
    good = 1.0 - 1.0 / settings["num_leaves"] - 1.0 / settings["rounds"]
    return np.clip(0.5 * good + 0.02 * numbers.normal(size=30) + np.linspace(0, 0.3, 30), 0, 1)


def search(folder: Path, measure: Any = measured, **more: Any) -> Search:
    asked = {"trials": 14, "metric": "ndcg@10", "sampler": "tpe", "space": SPACE, **more}
    tune = Tune.model_validate(asked)
    return Search(tune, Space.of(tune.space), Journal(folder), measure, LISTS)


def outcome(folder: Path, **more: Any) -> Tuning:
    made = search(folder, **more)
    made.work()
    return made.outcome()


def beside_each_other(searches: Sequence[Search]) -> None:
    """Let each search work in a process of its own, as tasks do."""
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=one.work) for one in searches]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(searches)


@pytest.mark.parametrize("sampler", ["grid", "tpe", "gp"])
def test_three_workers_find_what_one_finds(tmp_path: Path, sampler: str) -> None:
    alone = outcome(tmp_path / "alone", sampler=sampler)
    (tmp_path / "calls").mkdir()

    def slow(settings: Settings, training: int) -> Floats:
        name = f"{sorted(settings.items())}-{training}"
        (tmp_path / "calls" / name).touch(exist_ok=False)  # which fails if it is trained twice
        time.sleep(random.random() / 20)  # so that trials end in another order each time
        return measured(settings, training)

    beside_each_other([search(tmp_path / "shared", slow, sampler=sampler) for _ in range(3)])
    late = search(tmp_path / "shared", slow, sampler=sampler)
    assert late.work() == 0
    assert late.outcome() == alone
    assert len(list((tmp_path / "calls").iterdir())) == 14 + 2 * len(alone.leaders)


def test_an_interrupted_search_goes_on_and_trains_nothing_twice(tmp_path: Path) -> None:
    whole = outcome(tmp_path / "whole")
    calls = 0

    def dying(settings: Settings, training: int) -> Floats:
        nonlocal calls
        calls += 1
        if calls % 4 == 0:
            raise KeyboardInterrupt
        return measured(settings, training)

    ends = 0
    while True:
        try:
            found = outcome(tmp_path / "broken", measure=dying)
        except KeyboardInterrupt:
            ends += 1
            continue
        break
    assert found == whole
    assert ends >= 5
    assert calls - ends == 14 + 2 * len(whole.leaders)


def test_a_trial_is_chosen_by_the_results_of_those_so_many_before_it(tmp_path: Path) -> None:
    """Whatever the last three gave, the next point is the same one."""
    first = search(tmp_path / "a", trials=12, seeds=1, leaders=1)
    first.work()
    tried = [trial.settings for trial in first.outcome().trials]

    def other_ends(settings: Settings, training: int) -> Floats:
        return 1.0 - measured(settings, training) if settings in tried[8:11] else measured(settings, training)

    second = search(tmp_path / "b", other_ends, trials=12, seeds=1, leaders=1)
    second.work()
    assert [trial.settings for trial in second.outcome().trials] == tried


def test_all_points_of_a_small_space_are_enough(tmp_path: Path) -> None:
    found = outcome(tmp_path, trials=100)
    assert len(found.trials) == 20
    assert found.lists == 30


def test_the_simplest_on_the_plateau_is_taken_and_the_peak_if_asked_for(tmp_path: Path) -> None:
    def noisy(settings: Settings, training: int) -> Floats:
        """More leaves are better on one half of the lists, worse on the other: a little in the mean, far from sure."""
        step = SPACE["num_leaves"].index(int(settings["num_leaves"]))
        return np.asarray(0.5 + step * np.where(LISTS.owners % 2, 0.11, -0.09))

    plateau = outcome(tmp_path / "plateau", measure=noisy, trials=20, sampler="grid", leaders=20)
    peak = outcome(tmp_path / "peak", measure=noisy, trials=20, sampler="grid", choose="best")
    assert plateau.trials[plateau.chosen].complexity < plateau.trials[plateau.peak].complexity
    assert peak.chosen == peak.peak
    assert "simpler" in plateau.summary
    assert "which is taken" in peak.summary


def ended(settings: Settings, bars: tuple[float, ...]) -> Reached:
    """A trial whose mean grows with its stages, and ends where it is below a bar."""
    values, stages = measured(settings, 0), []
    for stage, share in enumerate((0.5, 0.7, 0.9, 1.0)):
        stages.append(share * float(values.mean()))
        if stage < len(bars) and stages[-1] < bars[stage]:
            return Reached(share * values, tuple(stages))
    return Reached(values, tuple(stages))


def test_trials_behind_the_median_are_ended_and_not_taken(tmp_path: Path) -> None:
    whole = outcome(tmp_path / "whole", trials=20)
    pruning = search(tmp_path / "pruned", trials=20, pruning="median")
    pruning.staged = ended
    pruning.work()
    pruned = pruning.outcome()
    early = [number for number, trial in enumerate(pruned.trials) if trial.pruned]
    assert early
    assert min(early) >= 5
    assert not {leader.trial for leader in pruned.leaders} & set(early)
    assert pruned.trials[pruned.peak].settings == whole.trials[whole.peak].settings
    again = search(tmp_path / "again", trials=20, pruning="median")
    again.staged = ended
    again.work()
    assert again.outcome() == pruned


@pytest.mark.parametrize("workers", [1, 3])
def test_no_trial_begins_once_the_time_is_up(tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each trial takes ten minutes by the clock that the search looks at; trials under way end."""
    clock = itertools.count(0, 600)
    monkeypatch.setattr("tasks.tuning.search.monotonic", lambda: float(next(clock)))

    def slow(settings: Settings, training: int) -> Floats:
        time.sleep(random.random() / 20)
        return measured(settings, training)

    beside_each_other([search(tmp_path / "boxed", slow, budget="40m", seeds=1) for _ in range(workers)])
    boxed = search(tmp_path / "boxed", budget="40m", seeds=1)
    assert boxed.work() == 0
    found = boxed.outcome()
    # Four trials are forty minutes; those of the other workers that were under way then count, too.
    assert 4 <= len(found.trials) <= 3 + workers
    assert outcome(tmp_path / "again", trials=len(found.trials), seeds=1) == found


def test_an_error_ends_the_search_and_frees_the_trial(tmp_path: Path) -> None:
    def failing(settings: Settings, training: int) -> Floats:
        raise TrainingError("all labels are the same")

    with pytest.raises(TrainingError, match="the same"):
        search(tmp_path, failing).work()
    assert search(tmp_path).work() > 0
