"""A search gives the same outcome however many workers share it, and whenever it is interrupted."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.arrays import Floats
from tasks.errors import TrainingError
from tasks.spec.tune import Tune
from tasks.tuning.choice import Lists, Tuning
from tasks.tuning.journal import Journal
from tasks.tuning.search import Search
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


@pytest.mark.parametrize("sampler", ["grid", "tpe", "gp"])
def test_three_workers_find_what_one_finds(tmp_path: Path, sampler: str) -> None:
    alone = outcome(tmp_path / "alone", sampler=sampler)
    calls: list[tuple[str, int]] = []

    def slow(settings: Settings, training: int) -> Floats:
        calls.append((str(settings), training))
        time.sleep(random.random() / 100)  # so that trials end in another order each time
        return measured(settings, training)

    workers = [search(tmp_path / "shared", slow, sampler=sampler) for _ in range(3)]
    threads = [threading.Thread(target=worker.work) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [worker.outcome() for worker in workers] == [alone] * 3
    assert len(calls) == len(set(calls)) == 14 + 2 * len(alone.leaders)


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


@pytest.mark.parametrize("workers", [1, 3])
def test_no_trial_begins_once_the_time_is_up(tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each trial takes ten minutes by the clock that the search looks at; trials under way end."""
    clock = iter(range(0, 10**9, 300))
    monkeypatch.setattr("tasks.tuning.search.time.monotonic", lambda: float(next(clock)) * 2)
    shared = [search(tmp_path / "boxed", budget="40m", seeds=1) for _ in range(workers)]
    threads = [threading.Thread(target=worker.work) for worker in shared]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outcomes = [worker.outcome() for worker in shared]
    assert outcomes == [outcomes[0]] * workers
    ended = len(outcomes[0].trials)
    assert 1 <= ended < 14
    # What was under way when the time was up counts, and a later worker adds nothing to it.
    late = search(tmp_path / "boxed", budget="40m", seeds=1)
    assert late.work() == 0
    assert late.outcome() == outcomes[0]
    assert outcome(tmp_path / "again", trials=ended, seeds=1) == outcomes[0]


def test_an_error_ends_the_search_and_frees_the_trial(tmp_path: Path) -> None:
    def failing(settings: Settings, training: int) -> Floats:
        raise TrainingError("all labels are the same")

    with pytest.raises(TrainingError, match="the same"):
        search(tmp_path, failing).work()
    assert search(tmp_path).work() > 0
