"""What a run after a failure keeps: what would be made from the same, byte for byte, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tasks.errors import TrainingError
from tasks.examples.candidates import RetrieveResult
from tasks.examples.sample import SampleResult
from tasks.operations import resume, run_all
from tasks.runs.run import Run
from tasks.store.files import Home
from tasks.training.train import TrainResult
from tests.tasks.finished_runs import TRAINED
from tests.tasks.handmade import day, sample_of, spec_of

FOUND = RetrieveResult(data="d1", cuts=1, made=1, folders={day("02-10"): "retrieval/tiny/cut=2026-02-10/a"}, kernels=[])


class Steps:
    """Steps that leave what they are told to, and count their calls."""

    def __init__(self, run: Run) -> None:
        self.run, self.called = run, list[str]()
        self.retrieved, self.broken, self.rows = FOUND, "", 7

    def retrieve(self, run: Run) -> RetrieveResult:
        with run.write("retrieve") as folder:
            folder.result = self.retrieved
        return self.retrieved

    def sample(self, run: Run) -> SampleResult:
        self.called.append("sample")
        with run.write("sample") as folder:
            folder.result = result = sample_of({"BR": 20, "US": 20}).model_copy(update={"rows": {"train": self.rows}})
        return result

    def train(self, run: Run, population: str) -> TrainResult:
        self.called.append(f"train {population}")
        if population == self.broken:
            raise TrainingError("nothing to learn")
        with run.write(f"train/{'everybody-else' if population == '*' else population}") as folder:
            (folder.path / "model.txt").write_text(population)
            folder.result = result = TRAINED.model_copy(update={"population": population})
        return result

    def again(self, *, resuming: bool = True) -> list[str]:
        """Run, and say which of the two were called."""
        self.called.clear()
        try:
            run_all.run_all(self.run, Console(quiet=True), resume=resuming)
        except TrainingError:
            self.called.append("failed")
        return list(self.called)


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Steps:
    spec = spec_of(populations={"by": "region", "min_groups": 10})
    made = Steps(Run(spec, Home(tmp_path), day("02-20"), "cli"))
    functions: dict[str, Callable[[Run], Any]] = {
        "retrieve": made.retrieve,
        "sample": made.sample,
        "train": lambda run: pytest.fail("the populations one by one"),
    }
    monkeypatch.setattr(run_all, "sequence", lambda: functions)
    monkeypatch.setattr("tasks.training.train.train_step", made.train)
    monkeypatch.setattr("tasks.reports.run_report.report_step", lambda run: None)
    monkeypatch.setattr("tasks.alerts.alerts.send_alerts", lambda run, finished: None)
    return made


ALL = ["sample", "train BR", "train US", "train *"]


def test_a_run_goes_on_at_the_population_that_failed(steps: Steps) -> None:
    steps.broken = "US"
    assert steps.again() == ["sample", "train BR", "train US", "failed"]
    steps.broken = ""
    steps.retrieved = FOUND.model_copy(update={"made": 0})  # its cuts are there by now
    assert steps.again() == ["train US", "train *"]
    assert steps.again() == []
    assert not (steps.run.dir / "errors" / "train.txt").exists()


def test_without_being_asked_nothing_is_kept(steps: Steps) -> None:
    assert steps.again() == ALL
    assert steps.again(resuming=False) == ALL
    assert steps.again() == [], "what was made anew counts for a later call"


@pytest.mark.parametrize(
    "change", [{"data": "d2"}, {"folders": {day("02-10"): "retrieval/tiny/cut=2026-02-10/b"}}, {"kernels": ["Zen"]}]
)
def test_another_landing_or_other_candidates_make_all_of_it_anew(steps: Steps, change: dict[str, Any]) -> None:
    steps.again()
    steps.retrieved, steps.rows = FOUND.model_copy(update=change), 8
    assert steps.again() == ALL


def test_models_of_an_equal_sample_are_kept(steps: Steps) -> None:
    steps.again()
    steps.retrieved = FOUND.model_copy(update={"data": "d2"})
    assert steps.again() == ["sample"]


def test_another_pipeline_file_or_library_makes_all_of_it_anew(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    steps.again()
    steps.run = replace(steps.run, spec=spec_of(populations={"by": "region", "min_groups": 9}))
    assert steps.again() == ALL
    monkeypatch.setattr(resume, "libraries", lambda: {"lightgbm": "another"})
    assert steps.again() == ALL


def damage(path: Path) -> None:
    path.write_text("other")


@pytest.mark.parametrize(
    ("file", "remade"),
    [
        ("train/BR/model.txt", ["train BR"]),
        ("train/BR/digests.json", ["train BR"]),
        ("resume/train-BR.json", ["train BR"]),
        ("resume/sample.json", ["sample"]),
        ("sample/result.json", ["sample"]),
    ],
)
@pytest.mark.parametrize("harm", [damage, Path.unlink])
def test_what_is_damaged_or_gone_is_made_again(
    steps: Steps, file: str, remade: list[str], harm: Callable[[Path], None]
) -> None:
    steps.again()
    harm(steps.run.dir / file)
    assert steps.again() == remade


def test_a_step_that_somebody_ran_alone_since_is_not_taken_for_it(steps: Steps) -> None:
    steps.again()
    steps.rows = 9
    steps.sample(steps.run)  # as `matinee sample` would, from other tables
    assert steps.again() == ["sample", *ALL[1:]]
