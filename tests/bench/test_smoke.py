"""Every benchmark still runs, from its command line to its table, at the smallest size that makes sense."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from bench import (
    _answers,
    _fault_runs,
    _flip_cost,
    _impressions,
    _operator_acts,
    _through_airflow,
    _training_contenders,
    allocations,
    backfill,
    bit_flips,
    checks,
    database,
    faults,
    features,
    kills,
    learners,
    online_retail,
    operator_hour,
    parts,
    position_bias,
    sampling,
    serving,
    streaming,
    training,
    tuning,
)
from bench._faults_streaming import FAULTS
from tasks.evaluation.candidate_recall import Consumed, candidate_recall
from tasks.evaluation.evaluate import evaluated_examples
from tasks.evaluation.held_out import HeldOut, truth_of
from tasks.evaluation.results import EvaluateResult
from tasks.examples.item_item import fit_ease
from tasks.operations.airflow_answers import DagRun, Task
from tasks.operations.local_airflow import stack
from tasks.runs.run import Run
from tasks.spec.load import load_spec
from tasks.store.files import Home
from tests.tasks.handmade import document, examples, group
from tests.tasks.without_dbt import build_without_dbt
from tests.thorough import thorough
from tests.tiny_pipelines import BOUGHT, BOUGHT_DAY, SHOWN, SHOWN_DAY, Tiny, days, in_process, pipeline_file, threads

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "bench").glob("*.py"))
PRIVATE = [name for name in MODULES if name.startswith("_")]
Printed = pytest.CaptureFixture[str]


def rows(text: str) -> list[list[str]]:
    """Cells of the table rows in a text, without the rules below the headers."""
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| --")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_benchmark_has_a_smoke_run() -> None:
    assert MODULES
    missing = [name for name in MODULES if name not in PRIVATE and f"test_{name}_runs" not in globals()]
    assert missing == [], "add a test that runs it at a tiny size to this file"


@pytest.mark.parametrize("name", PRIVATE)
def test_every_private_module_belongs_to_a_benchmark(name: str) -> None:
    others = [(ROOT / "bench" / f"{other}.py").read_text("utf-8") for other in MODULES if other != name]
    assert any(f"bench.{name} " in text or f'bench.{name}"' in text or f"{name}.py" in text for text in others) or any(
        f"import {name}" in text or f", {name}" in text for text in others
    )


@in_process
@pytest.mark.slow
def test_online_retail_runs(bought: Tiny, tmp_path: Path, capsys: Printed) -> None:
    evaluate = {"metrics": ["ndcg@20", "mrr"], "baselines": ["popularity", "history"]}
    gates = [{"metric": "ndcg@20", "beats": "popularity", "by": 0.0}]
    ranker = {**BOUGHT["ranker"], "feature_fraction": 0.5}  # without it, no seed makes a difference
    file = pipeline_file(tmp_path, BOUGHT, evaluate=evaluate, gates=gates, ranker=ranker)
    home = bought.copied(tmp_path / "home").home

    with threads(2):
        online_retail.main(
            ["--pipeline", str(file), "--as-of", str(BOUGHT_DAY), "--data", str(bought.data), "--home", str(home)]
        )

    header, ndcg, mrr = rows(capsys.readouterr().out)
    assert header == ["metric", "model, mean ± sd", "seed 0", "seed 1", "seed 2", "popularity", "history"]
    assert [ndcg[0], mrr[0]] == ["ndcg@20", "mrr"]
    assert all(0.0 < float(cell) <= 1.0 for cell in [*ndcg[2:], *mrr[2:]])
    assert len(set(ndcg[2:5])) > 1, "every seed gave the same model"


def test_online_retail_needs_its_data(tmp_path: Path, capsys: Printed) -> None:
    online_retail.main(["--data", str(tmp_path / "absent")])
    assert capsys.readouterr().out.startswith("skipped: ")


@in_process
@pytest.mark.slow
def test_streaming_runs(shown: Tiny, capsys: Printed) -> None:
    streaming.main(
        ["--pipeline", str(shown.file), "--as-of", str(SHOWN_DAY), "--home", str(shown.home), "--attempt", "1"]
    )
    assert [row[0] for row in rows(capsys.readouterr().out)] == ["ordered by", *rankings()]


def rankings() -> list[str]:
    return ["model", *SHOWN["evaluate"]["baselines"], "the truth"]


@in_process
@pytest.mark.slow
def test_parts_runs(shown: Tiny, tmp_path: Path, capsys: Printed) -> None:
    seed = str(SHOWN["source"]["seed"])
    shown.copied(tmp_path / f"seed-{seed}")
    given = ["--seeds", seed, "--days", str(SHOWN_DAY), "--home", str(tmp_path), "--attempt", "1"]
    parts.main(["--pipeline", str(shown.file), *given])
    header, line = rows(capsys.readouterr().out)
    logged, true = header.index("logged NDCG@10"), header.index("true NDCG@10")
    assert line[:2] == [seed, str(SHOWN_DAY)]
    for column in (logged, true):
        best, value = line[column + 1].split()
        assert best in {*SHOWN["features"], "history_score"}
        assert float(line[column + 2].split()[0]) == pytest.approx(float(line[column]) - float(value), abs=2e-4)


@in_process
@pytest.mark.slow
def test_tuning_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    tune = {"trials": 3, "metric": "ndcg@10", "seeds": 2, "space": {"num_leaves": [2, 4, 8]}}
    changes = {"examples": {**SHOWN["examples"], "validation": "2d"}, "populations": None, "tune": tune}
    spec = load_spec(pipeline_file(tmp_path, {**SHOWN, **changes}))
    monkeypatch.setattr(tuning, "pipeline", lambda name, trials: spec)
    monkeypatch.setattr(tuning, "DAY", SHOWN_DAY + timedelta(days=2))
    given = ["--pipelines", "streaming", "--home", str(tmp_path / "home"), "--trainings", "1", "--turns", "1"]
    tuning.main(given)
    table = rows(capsys.readouterr().out)
    assert [row[1] for row in table[1:4]] == ["as written", "peak", "plateau"]
    assert table[4][1].endswith(" alone")
    assert int(table[3][5]) <= int(table[2][5])
    assert table[-1][0] == "shown"


def test_database_runs(tmp_path: Path, capsys: Printed) -> None:
    database.main(["--rows", "500", "--kills", "1", "--seed", "0", "--home", str(tmp_path)])
    _, *kinds = rows(capsys.readouterr().out)
    assert [row[:2] for row in kinds] == [["500", "no primary key"], ["500", "primary key"]]
    assert all(float(row[2]) > 50 and row[5].endswith(": the same bytes") for row in kinds)


def test_serving_runs(capsys: Printed) -> None:
    serving.main(["--scale", "0.01", "--rounds", "1"])
    assert len(capsys.readouterr().out.splitlines()) == 8


@pytest.mark.slow
def test_features_runs(tmp_path: Path, capsys: Printed) -> None:
    features.main(["--rows", "1000", "--folder", str(tmp_path)])
    table = rows(capsys.readouterr().out)
    measured = {row[0]: row[1] for row in table}
    assert all(float(measured[features.LABELS[name]]) > 0 for name in features.OURS)
    assert "Polars, left join: not installed" in measured


@pytest.mark.slow
def test_features_runs_its_peers(tmp_path: Path) -> None:
    """The peers that are installed here; the others need a Python of their own."""
    _impressions.write(tmp_path / "data", 1_000, 30)
    bench = features.Bench(1_000, tmp_path, Path(sys.executable), "500MB", 1)
    bench.once("raw")
    bench.once("pandas")
    assert bench.missing == {}
    assert "pandas" in bench.measured


@pytest.mark.slow
def test_allocations_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    asked = {"strata": ["region"], "groups": 100}
    file = pipeline_file(tmp_path, document(sample=asked, examples={"validation": "2d"}))
    run = Run.create(file, date(2026, 2, 20), "1", home=Home(tmp_path / "home"))
    run.step_dir("sample").mkdir(parents=True)
    for number, name in enumerate(("train", "test")):
        lists = [
            group(
                f"g{name}{n}", f"u{n}", [int(i == (n + number) % 3) for i in range(3)],
                region=["BR" if n % 3 else "SE"] * 3, item_actions_28d=[float(i) for i in range(3)],
                user_tenure_days=[float(i == n % 3) for i in range(3)],
            )
            for n in range(60)
        ]  # fmt: skip
        pq.write_table(examples(*lists), run.step_dir("sample") / f"{name}.parquet")
    monkeypatch.setattr(allocations, "with_every_group", lambda *_: run)
    allocations.main(["--pipelines", "streaming", "--home", str(tmp_path), "--share", "0.5", "--seeds", "2"])
    printed = capsys.readouterr().out
    assert "30 of 60 training groups over region; 60 test lists." in printed
    header, *lines = rows(printed)
    assert header[:3] == ["allocation", "ndcg@10, mean ± sd of seeds", "to proportional"]
    assert [line[0] for line in lines] == [*allocations.ALLOCATIONS, allocations.WHOLE]
    assert [line[2] == "" for line in lines] == [True, False, False, False, False]
    assert all(0 < float(line[4]) <= 1 for line in lines)


@in_process
@pytest.mark.slow
def test_allocations_draws_every_group_first(shown: Tiny, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shown.copied(home)
    run = allocations.with_every_group(str(shown.file), SHOWN_DAY, home, tmp_path)
    train = pq.read_table(run.file("sample", "train.parquet"), columns=["group_id", "weight"])
    assert set(train["weight"].to_pylist()) == {1.0}
    assert len(set(train["group_id"].to_pylist())) > SHOWN["sample"]["groups"]


@pytest.mark.slow
def test_sampling_runs(tmp_path: Path, capsys: Printed) -> None:
    sampling.main(["--rows", "20000", "--repeats", "1", "--folder", str(tmp_path), "--peers-python", sys.executable])
    measured = {row[0]: row[1] for row in rows(capsys.readouterr().out)}
    assert all(float(measured[sampling.LABELS[name]]) > 0 for name in (*sampling.NAMES, "pandas"))
    assert f"{sampling.LABELS['exact']} ÷ one pass" in measured


@in_process
@pytest.mark.slow
def test_checks_runs(capsys: Printed) -> None:
    checks.main(["--rows", "2000", "--repeats", "1"])
    assert [row[0] for row in rows(capsys.readouterr().out)] == ["suite", *checks.SUITES]


@pytest.mark.slow
def test_backfill_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    """Without dbt, and in this process: the fifteen builds would take a minute."""

    def here(function: Callable[..., None], *given: Any) -> float:
        function(*given)
        return 1.0

    builds: list[list[date]] = []
    build_without_dbt(monkeypatch, builds)
    monkeypatch.setattr(backfill, "cpu_of", here)
    file = pipeline_file(tmp_path, SHOWN)

    backfill.main(["sql", "--pipeline", str(file), "--days", "2", "--repeats", "1", "--home", str(tmp_path / "home")])

    table = {row[0]: row[1:] for row in rows(capsys.readouterr().out)}
    assert table["one build of the range"] == ["1.0", "1.00", "2.0"]
    assert table["full builds, one a day"] == ["2.0", "2.00", "1.0"]
    assert len(builds) > 8


def test_cpu_seconds_are_those_of_the_process(tmp_path: Path) -> None:
    file = pipeline_file(tmp_path, SHOWN)
    assert backfill.cpu_of(backfill.start_up, str(file), tmp_path / "home", SHOWN_DAY) > 0.1


FLIPPED = (
    "profiles", "retrieval: models and catalogs", "run: sample", "run: models", "run: metrics", "registry: alias"
)  # fmt: skip


@in_process
@pytest.mark.slow
def test_bit_flips_runs(shown: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    """A flip in each of the places that need no build."""
    monkeypatch.setattr(bit_flips, "PLACES", [place for place in bit_flips.PLACES if place.name in FLIPPED])
    made_by = shown.prepared().made_by.digest
    shutil.copytree(shown.home, tmp_path / f"shown-{SHOWN_DAY}-{made_by[:8]}" / "finished")

    options = ["--flips", "6", "--processes", "1", "--home", str(tmp_path)]
    bit_flips.main([*options, "--pipeline", str(shown.file), "--as-of", str(SHOWN_DAY)])

    header, *places, total = rows(capsys.readouterr().out)
    assert [row[:2] for row in places] == [[name, "1"] for name in FLIPPED]
    # What is kept to save work is made again; all else is noticed.
    told = [header.index(kind) for kind in ("by a step", "by `verify`", "healed")]
    assert [[row[n] for n in told].count("1") for row in places] == [1] * 6
    assert [row[header.index("by a step")] for row in places[2:]] == ["1"] * 4
    assert (total[:2], total[header.index("SILENT")]) == (["all", "6"], "0")


@thorough
@in_process
@pytest.mark.slow
def test_bit_flips_runs_with_and_without_checks(
    shown: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    all_steps = _flip_cost.sequence()
    steps = {name: all_steps[name] for name in ("land", "check_landed", "build")}
    monkeypatch.setattr(_flip_cost, "sequence", lambda: steps)
    shown.copied(tmp_path / "shown")  # landed, and with dbt's parse of the SQL

    day = f"{shown.file}={SHOWN_DAY}"
    bit_flips.main(["cost", "--pairs", "1", "--days", day, "--home", str(tmp_path)])

    _, build, whole = rows(capsys.readouterr().out)
    assert build[0].startswith(f"shown, {SHOWN_DAY}: `build`")
    assert 0 < float(build[1]) < float(whole[1])
    assert 0 < float(whole[5].removesuffix(" %")) < 50


class FakeAirflow:
    """Runs that are created succeed at once."""

    def __init__(self, *_: Any) -> None:
        self.names: list[str] = []

    def dag(self, _pipeline: str) -> dict[str, Any]:
        return {}

    def pause(self, _pipeline: str, _paused: bool) -> None:
        return

    def trigger(self, _pipeline: str, day: date) -> None:
        self.names.append(f"manual__{day}")

    def runs(self, _pipeline: str, first: date, last: date) -> list[DagRun]:
        created = {name.partition("__")[2] for name in self.names}
        names = [*self.names, *(f"backfill__{day}" for day in days(first, last) if str(day) not in created)]
        began, ended = (datetime(2026, 3, 1, hour, tzinfo=UTC) for hour in (8, 9))
        times = {"logical_date": began, "data_interval_start": began, "start_date": began, "end_date": ended}
        return [DagRun(dag_run_id=name, state="success", **times) for name in names]

    def tasks(self, _pipeline: str, run_id: str) -> list[Task]:
        return [Task(task_id="land", state="success", dag_run_id=run_id, try_number=1)]

    def close(self) -> None:
        return


@thorough
def test_backfill_runs_through_a_scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    """All but Airflow itself, whose runs take minutes."""
    done = subprocess.CompletedProcess[str]([], 0, "", "")
    monkeypatch.setattr(stack, "up", lambda home, scheduled, say: stack.Stack(home, 8080))
    monkeypatch.setattr(stack, "down", lambda _: True)
    monkeypatch.setattr(_through_airflow, "Airflow", FakeAirflow)
    monkeypatch.setattr(_through_airflow, "cpu_of_stack", lambda _: 0.0)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    monkeypatch.setattr("time.sleep", lambda _: None)

    backfill.main(["scheduler", "--days", "4", "--home", str(tmp_path)])

    _, *modes = rows(capsys.readouterr().out)
    assert [row[0] for row in modes] == [title for title, _ in _through_airflow.MODES.values()]
    assert all(row[1:3] == ["4 of 4", "yes"] for row in modes)


@pytest.fixture
def stage(shown: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _fault_runs.Stage:
    """The tiny service on its day, as `prepare` would leave it, in place of the bundled pipelines."""
    monkeypatch.setenv("MATINEE_PIPELINES", str(shown.file.parent))
    home = shown.copied(tmp_path / "clean").prepared().home
    attempts = home.run_dir("shown", SHOWN_DAY, "1").parent
    shutil.move(attempts / "1", attempts / _fault_runs.ATTEMPT)
    shutil.rmtree(home.registry("shown"))
    tiny_stage = _fault_runs.Stage("shown", SHOWN_DAY, home.root, home.root)
    monkeypatch.setattr(faults, "DAYS", {"shown": SHOWN_DAY})
    monkeypatch.setattr(faults, "prepare", lambda *_: tiny_stage)
    return tiny_stage


@in_process
@pytest.mark.usefixtures("stage")
@pytest.mark.slow
def test_faults_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    monkeypatch.setattr(faults, "FAULTS", {"shown": FAULTS})
    chosen = ["constant scores", "extra column"]
    faults.main(["catch", "--pipeline", "shown", "--only", *chosen, "--home", str(tmp_path / "faults")])
    by_name = {row[0]: row for row in rows(capsys.readouterr().out)}
    assert set(chosen) <= set(by_name), by_name


@thorough
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_kills_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    """A real stack, in which one task is killed: it is tried again, and the registry is as if nothing had been."""
    monkeypatch.setattr(kills, "AT_ONCE", 1)
    monkeypatch.delenv("MATINEE_PIPELINES", raising=False)

    kills.main(["--times", "1", "--only", "a task", "--home", str(tmp_path)])

    text = capsys.readouterr().out
    (killed,) = [row for row in rows(text) if row[0] == "a task"]
    assert killed[1:3] == ["1", "1"]
    assert "green without anybody's help: **1 of 1**" in text
    assert "every file of every version: **yes**" in text
    assert "that are left: 0; processes left after `make down`: 0" in text


@thorough
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_operator_hour_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    """A real stack, and the acts that take a minute; how fast it answers is for a quiet machine to say."""
    monkeypatch.setattr(operator_hour, "SLOWEST", 60.0)
    monkeypatch.setattr(_answers, "SLOWEST", 60.0)
    monkeypatch.setattr(operator_hour, "ACTS", (operator_hour.ACTS[2], _operator_acts.trigger_nothing))
    monkeypatch.delenv("MATINEE_PIPELINES", raising=False)

    operator_hour.main(["--writes", "12", "--minutes", "0.2", "--home", str(tmp_path)])

    text = capsys.readouterr().out
    assert "**Passed**: 0 of " in text
    assert {row[-1] for row in rows(text) if row[0].startswith(("trigger", "12 writes"))} == {"yes"}


@in_process
@pytest.mark.slow
def test_learners_runs(bought: Tiny, tmp_path: Path, capsys: Printed) -> None:
    """What a run has measured of the same model and the same retriever is what the table says."""
    finished = bought.copied(tmp_path / "home").prepared()
    truth = truth_of(finished)
    held_out = HeldOut.of(finished.spec, evaluated_examples(finished), truth)
    recalls = candidate_recall(finished, held_out, Consumed.of(held_out, truth))
    own, small = "the pipeline's popularity", "linear, loss: logistic"

    given = ["--home", str(finished.home.root), "--attempt", finished.attempt, "-k", "10"]
    learners.main([*given, "--learners", small, own], [learners.Bench(str(bought.file), BOUGHT_DAY)])

    _, trees, linear, header, als, popularity = rows(capsys.readouterr().out)
    assert header[:5] == ["learner", "recall@10", "to the first", "ndcg@10", "to the first"]
    assert (linear[0], popularity[0]) == (small, own)
    judged = finished.read("evaluate", EvaluateResult).metrics["ndcg@10"]["model"]
    assert float(trees[1].split()[0]) == pytest.approx(judged, abs=1e-4)
    (recall,) = [one.recall.value for one in recalls if (one.recall.of, one.k) == ("popularity", 10)]
    assert float(popularity[1].split()[0]) == pytest.approx(recall, abs=1e-4)
    lead = float(popularity[1].split()[0]) - float(als[1].split()[0])
    assert float(popularity[2].split()[0]) == pytest.approx(lead, abs=2e-4)
    assert all(int(row[-1].replace(",", "")) > 0 for row in (trees, linear, als, popularity))


@in_process
@pytest.mark.slow
def test_learners_runs_on_impressions(shown: Tiny, tmp_path: Path, capsys: Printed) -> None:
    finished, own = shown.copied(tmp_path / "home").prepared(), "the pipeline's popularity"

    given = ["--home", str(finished.home.root), "--attempt", finished.attempt, "-k", "10"]
    learners.main([*given, "--learners", own], [learners.Bench(str(shown.file), SHOWN_DAY)])

    popularity = rows(capsys.readouterr().out)[-1]
    baseline = finished.read("evaluate", EvaluateResult).metrics["ndcg@10"]["popularity"]
    assert popularity[0] == own
    assert float(popularity[3].split()[0]) == pytest.approx(baseline, abs=1e-4)


def test_training_runs(capsys: Printed) -> None:
    arguments = ["--groups", "40", "--users", "40", "--items", "30", "--pairs", "400", "--turns", "1"]
    training.main([*arguments, "--learners", "ease"])

    header, row = rows(capsys.readouterr().out)
    assert header[0] == "learner / raw library"
    assert row[0] == "EASE / numpy with BLAS"
    assert row[4] == training.REQUIRED
    assert float(row[5]) > 0


def test_the_contenders_of_training_learn_the_same(tmp_path: Path) -> None:
    training.write(tmp_path, groups=40, shape=(40, 30), pairs=400)
    ours = fit_ease(_training_contenders.actions(tmp_path), _training_contenders.EASE)
    np.testing.assert_allclose(ours, _training_contenders.ease_raw(tmp_path), atol=1e-6)


@pytest.mark.filterwarnings("ignore:Method expects CSR input")  # which `implicit` is given by `implicit`
@pytest.mark.parametrize("learner", sorted(_training_contenders.CONTENDERS))
def test_the_contenders_of_training_run(learner: str, tmp_path: Path) -> None:
    training.write(tmp_path, groups=40, shape=(40, 30), pairs=400)
    assert learner in training.LABELS
    for fit in _training_contenders.CONTENDERS[learner].values():
        fit(tmp_path)


@pytest.mark.slow
def test_position_bias_runs(tmp_path: Path, capsys: Printed) -> None:
    rng = np.random.default_rng(1)
    for part in ("train", "test"):
        lines = [f"{rng.integers(0, 5)} 1:{rng.random():.2f} 34:{rng.random():.2f}" for _ in range(400)]
        (tmp_path / f"rank.{part}").write_text("\n".join(lines))
        (tmp_path / f"rank.{part}.query").write_text("\n".join(["10"] * 40))
    small = ["--seeds", "1", "2", "--lists", "60", "--users", "50", "--items", "40", "--draws", "2"]
    position_bias.main([*small, "--example", str(tmp_path)])
    table = rows(capsys.readouterr().out)
    names = [row[0] for row in table]
    assert names[1:7] == [*position_bias.CONTENDERS, position_bias.RANDOM]
    assert names[7:] == ["draw", "10", "11", "mean ± sd"]
    assert table[1][2] == "0 %"
    assert table[6][2] == "100 %"
