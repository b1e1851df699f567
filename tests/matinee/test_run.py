"""A run from Python: the records and rows that its steps left, and steps that are run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import matinee
from engine.evaluation import EvaluationRecord
from tasks.checks.verdicts import write_checks
from tasks.examples.sample import SampleResult
from tasks.examples.sampling.draw import StratumDraw
from tasks.publishing.results import GateVerdict
from tasks.runs import steps
from tasks.runs.run import Run as Attempt
from tasks.store.files import write_digests, write_json
from tasks.store.records import write_list
from tests.tasks.finished_runs import DRIFT, PUBLISHED, TRAINED, VERDICT, record
from tests.tasks.handmade import day, examples, finish_step, group
from tests.tiny_pipelines import SHOWN, pipeline_file

AS_OF = day("01-18")
SAMPLE = SampleResult(
    strata=(
        StratumDraw(stratum={"region": "BR"}, groups=24, drawn=8),
        StratumDraw(stratum={"region": "US"}, groups=2, drawn=0),
    ),
    rows={"train": 2},
    populations={},
    serving={},
    positives={},
)


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    """An attempt that has left nothing."""
    return Attempt.create(pipeline_file(tmp_path, SHOWN), AS_OF, "7", home=None, data=None)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path / "home"))


@pytest.fixture
def run(attempt: Attempt) -> matinee.Run:
    return matinee.Run(attempt)


def left(attempt: Attempt, step: str, result: dict[str, Any]) -> Path:
    finish_step(attempt, step, result)
    return attempt.step_dir(step)


def test_examples_are_rows_of_a_file_that_is_what_was_written(attempt: Attempt, run: matinee.Run) -> None:
    folder = left(attempt, "sample", SAMPLE.to_json())
    pq.write_table(examples(group("g", "ana", [0, 2], item_plays_7d=[1.0, 2.0])), folder / "train.parquet")
    write_digests(folder)
    assert run.examples("train")["grade"].to_pylist() == [0, 2]
    with pytest.raises(matinee.WrongArgument, match="part: found 'tran'; did you mean 'train'"):
        run.examples("tran")
    (folder / "train.parquet").write_bytes(b"other")
    with pytest.raises(matinee.MatineeError, match="changed since it was written"):
        run.examples("train")


def test_the_sample_says_what_each_stratum_weighs(attempt: Attempt, run: matinee.Run) -> None:
    left(attempt, "sample", SAMPLE.to_json())
    assert run.sample().to_pylist() == [
        {"region": "BR", "groups": 24, "drawn": 8, "weight": 3.0},
        {"region": "US", "groups": 2, "drawn": 0, "weight": None},
    ]
    assert run.result("sample")["rows"] == {"train": 2}


def test_metrics_are_of_all_of_populations_and_of_slices(attempt: Attempt, run: matinee.Run) -> None:
    records: list[EvaluationRecord] = [
        record("mrr", "model", 0.5), record("mrr", "model", None, slice={"region": "BR"}),
        record("mrr", "model", 0.25, slice="cold"), record("mrr", "model", 0.75, population="BR"),
    ]  # fmt: skip
    write_list(left(attempt, "evaluate", {}) / "records.json", records)
    table = run.metrics()
    assert table["slice"].to_pylist() == [None, "region=BR", "cold", None]
    assert table["population"].to_pylist() == ["*", "*", "*", "BR"]
    assert table["value"].to_pylist() == [0.5, None, 0.25, 0.75]
    assert table.select(["low", "high"]).slice(0, 1).to_pylist() == [{"low": 0.49, "high": 0.51}]


def test_verdicts_of_gates_are_there_although_the_step_failed(attempt: Attempt, run: matinee.Run) -> None:
    path = attempt.step_dir("gate") / "gates.json"
    path.parent.mkdir(parents=True)
    write_list(path, [VERDICT, GateVerdict(gate="no leakage suspected", passed=False, detail="als_score")])
    assert run.gates()["passed"].to_pylist() == [True, False]


def test_checks_drift_and_importance(attempt: Attempt, run: matinee.Run) -> None:
    from tasks.checks.verdicts import Check
    from tests.tasks.finished_runs import a_check

    folder = left(attempt, "check_landed", {})
    write_checks(folder, [Check.model_validate(a_check(success=False))])
    (check,) = run.checks().to_pylist()
    assert (check["step"], check["table"], check["severity"], check["success"]) == (
        "check_landed", "events", "critical", False,
    )  # fmt: skip
    DRIFT.write(left(attempt, "monitor", {}) / "drift.json")
    assert dict(zip(run.drift()["feature"].to_pylist(), run.drift()["level"].to_pylist(), strict=True)) == {
        "user_ctr_28d": "stable", "item_plays_7d": "drifted", "user_actions_365d": "warming_up",
        "model score": "shifted",
    }  # fmt: skip
    write_json(
        attempt.step_dir("train") / "BR" / "result.json", TRAINED.model_copy(update={"population": "BR"}).to_json()
    )
    assert run.importance().slice(0, 1).to_pylist() == [
        {"population": "BR", "feature": "als_score", "gain": 900.0, "splits": 80}
    ]
    assert run.result("train").keys() == {"BR"}


def test_how_it_ended(attempt: Attempt, run: matinee.Run) -> None:
    assert (run.version, run.verdict, run.report, run.steps) == (None, None, None, [])
    left(attempt, "publish", PUBLISHED.to_json())
    report = left(attempt, "report", {"report": "report/report.html", "verdict": "it is champion", "good": True})
    (report / "report.html").write_text("")
    assert (run.version, run.verdict, run.report) == (PUBLISHED.version, "it is champion", report / "report.html")
    assert run.steps == ["publish", "report"]
    assert repr(run) == "<Run of shown as of 2026-01-18, attempt '7': it is champion>"


def test_what_has_not_run_is_named_with_what_to_do(run: matinee.Run) -> None:
    for call in (
        run.examples,
        run.sample,
        run.metrics,
        run.gates,
        run.drift,
        run.importance,
        lambda: run.result("train"),
    ):
        with pytest.raises(matinee.MatineeError, match=r"has left no result in this attempt .*run.step\("):
            call()
    assert run.checks().num_rows == 0
    with pytest.raises(matinee.WrongArgument, match="did you mean 'train'"):
        run.result("trian")
    assert not run.folder.exists(), "nothing was made for it"


def test_a_step_is_run_as_its_command_does(attempt: Attempt, run: matinee.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(attempt: Attempt) -> SampleResult:
        with attempt.write("sample") as folder:
            folder.result = SAMPLE
        return SAMPLE

    monkeypatch.setattr("tasks.examples.sample.sample_step", draw)
    assert run.step("sample") == SAMPLE.to_json()
    trained: list[str] = []
    monkeypatch.setattr("tasks.training.train.populations_step", lambda attempt: ["BR", "*"])

    def train(attempt: Attempt, population: str) -> Any:
        with attempt.write(f"train/{'all' if population == '*' else population}") as folder:
            folder.result = TRAINED
        trained.append(population)

    monkeypatch.setattr("tasks.training.train.train_step", train)
    assert run.step("train", population="BR").keys() == {"BR"}
    assert run.step("train").keys() == {"BR", "all"}
    assert trained == ["BR", "BR", "*"]
    with pytest.raises(matinee.WrongArgument, match="population: found 'XX'"):
        run.step("train", population="XX")
    with pytest.raises(matinee.WrongArgument, match="expected one of: land, check_landed"):
        run.step("fly")
    assert [step.name for step in steps.STEPS if step.name in run.steps] == ["sample", "train"]


def test_errors_of_libraries_are_put_in_words_and_bugs_keep_their_traceback(
    run: matinee.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(error: Exception) -> Any:
        def step(attempt: Attempt) -> None:
            raise error

        return step

    monkeypatch.setattr("tasks.examples.sample.sample_step", fails(OSError(28, "No space left on device", "/x")))
    with pytest.raises(matinee.MatineeError, match="No space left on device"):
        run.step("sample")
    monkeypatch.setattr("tasks.examples.sample.sample_step", fails(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError):
        run.step("sample")
