"""The same training twice gives the same bytes, or stops."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from engine.functions.schema import ColumnNode
from tasks.errors import TrainingError
from tasks.training import rankers
from tasks.training.learners.protocol import Learner
from tasks.training.rankers import RANKERS, RegisteredRanker
from tasks.training.reproducible import GROUPS, Reproduced, check_reproducible
from tasks.training.train import train_step
from tests.tasks.handmade import spec_of
from tests.tasks.training.test_train import learnable, sampled


class Counted:
    """A model whose file says how many were saved before it."""

    def __init__(self, seen: list[tuple[int, int]], numbers: Any) -> None:
        self.seen, self.numbers = seen, numbers

    def save(self, folder: Path) -> ColumnNode:
        (folder / "model").write_text(str(next(self.numbers)))
        return ColumnNode(name="als_score")


@pytest.fixture
def unsteady(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """A ranker that saves another model each time, and the rows and rounds that it was trained with."""
    seen: list[tuple[int, int]] = []
    numbers = count()

    def train(table: Any, _: Any, settings: Any) -> Any:
        seen.append((table.num_rows, settings.rounds))
        return Counted(seen, numbers)

    known = RANKERS["lightgbm"]
    learner = Learner(train, known.load().loss)
    monkeypatch.setitem(rankers.RANKERS, "lightgbm", RegisteredRanker(known.settings, lambda: learner))
    return seen


def test_a_ranker_that_is_reproducible_is_recorded_as_such() -> None:
    spec = spec_of()
    found = check_reproducible(learnable(1, groups=20), spec, spec.ranker)
    assert found == Reproduced(examples=160, groups=20, settings={"rounds": 5})


def test_a_blend_is_compared_by_all_files_of_its_members() -> None:
    ranker = {"type": "blend", "of": [{"type": "lightgbm", "rounds": 3}, {"type": "linear"}], "weights": [0.5, 0.5]}
    spec = spec_of(ranker=ranker)
    assert check_reproducible(learnable(1, groups=20), spec, spec.ranker).groups == 20


def test_a_ranker_that_is_not_ends_the_run_and_is_named_with_its_settings(unsteady: list[tuple[int, int]]) -> None:
    spec = spec_of(ranker={"type": "lightgbm", "rounds": 3, "num_leaves": 7})
    with pytest.raises(TrainingError) as caught:
        check_reproducible(learnable(1, groups=20), spec, spec.ranker)
    text = str(caught.value)
    assert text.startswith("the ranker lightgbm is not reproducible with {seed: 0, objective: lambdarank, ")
    assert "num_leaves: 7" in text
    told = r"trained twice on the same 160 examples in 20 groups it gave the digests (\w{12}) and (\w{12})\."
    one, two = re.search(told, text).groups()  # type: ignore[union-attr]
    assert one != two
    assert unsteady == [(160, 3), (160, 3)]


@pytest.mark.usefixtures("unsteady")
def test_the_step_that_trains_checks_it(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"^tiny 2026-02-20, population '\*': the ranker lightgbm is not reproduc"):
        train_step(sampled(tmp_path, learnable(1), {}), "*")


def test_it_costs_no_more_with_more_groups(unsteady: list[tuple[int, int]]) -> None:
    spec = spec_of()
    with pytest.raises(TrainingError):
        check_reproducible(learnable(1, groups=GROUPS + 50), spec, spec.ranker)
    assert {rows for rows, _ in unsteady} == {8 * GROUPS}
