"""Commands that read answer as JSON: each answer fits its published schema, and is all that is printed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
import typer
from typer.testing import CliRunner

from tasks.checks.verdicts import Check
from tasks.cli import answers
from tasks.cli.main import app
from tasks.evaluation.ablation import Ablation, Variant
from tasks.evaluation.noise import NoiseFloor
from tasks.evaluation.results import Figure
from tasks.examples.label_report import Interaction, Labels, Pair, Tally
from tasks.monitoring.skew import Skew
from tasks.operations.plan import Reason, RunPlan
from tasks.operations.verification.walk import Verification
from tasks.publishing.inspection import FeatureWeight, Inspection, PopulationSummary, Question
from tasks.publishing.rank import UserList
from tasks.runs.run import Run
from tasks.sources.released_rows import ReleaseRecord, RowRelease
from tasks.spec.tune import Tune
from tasks.store.files import Home
from tasks.training.learning_curve import LearningCurve
from tests.tasks.finished_runs import LEARNED
from tests.tasks.handmade import day, spec_of
from tests.tasks.reports.test_svg_tuning import TUNING

ROOT = Path(__file__).resolve().parents[3]
AS_OF = ["--as-of", "2026-02-20"]
Patch = Callable[[str, Any], None]


def check_of(success: bool) -> Check:
    return Check(
        suite="s", table="events", day="2026-02-20", type="rows", column="", severity="critical", success=success,
        observed=1, expected="2 or more", why="w", next="n",
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that every command gets."""
    made = Run(spec_of(), Home(tmp_path), day("02-20"), "cli")
    monkeypatch.setattr(Run, "create", lambda *given, **named: made)
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path))
    return made


def answer(model: type[Any], *words: str, code: int = 0) -> dict[str, Any]:
    """Call a command with --json; what it prints is one document of the record's schema."""
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == code, done.output
    document: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(document, {**model.model_json_schema(), "additionalProperties": False})
    return document


def test_validate(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.spec.load.load_spec", lambda path: run.spec)
    monkeypatch.setattr("tasks.operations.comparisons.comparison_notices", lambda spec, home: ["Few."])
    checked: list[Any] = []
    monkeypatch.setattr("tasks.features.empty_landing.check_staging", lambda spec, home: checked.append(spec))
    document = answer(answers.Validated, "validate", "tiny")
    assert checked == [run.spec]
    assert answer(answers.Validated, "validate", "tiny", "--quick") == document
    assert checked == [run.spec], "--quick leaves out the SQL"
    assert (document["pipeline"], document["notices"]) == (run.spec.name, ["Few."])


def test_noise(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    floor = NoiseFloor(trainings=3, sigma={"ndcg@10": 0.004, "mrr": None}, values={"ndcg@10": (0.5,), "mrr": (None,)})
    monkeypatch.setattr("tasks.runs.inspection.run_to_inspect", lambda *given: run)
    asked: list[int] = []
    monkeypatch.setattr("tasks.evaluation.measured_noise.measure_noise", lambda run, n: asked.append(n) or floor)
    document = answer(answers.MeasuredNoise, "noise", "tiny", *AS_OF, "--seeds", "3")
    assert asked == [3]
    assert (document["pipeline"], document["trainings"], document["sigma"]) == ("tiny", 3, floor.sigma)
    shown = CliRunner().invoke(app, ["noise", "tiny", *AS_OF]).stdout
    assert asked == [3, 5]
    assert re.search(r"ndcg@10 +0\.0040 +0\.5000 +0\.5000\n", shown)
    assert re.search(r"mrr +– +– +–", shown)


def test_ablate(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Ablation(
        metric="ndcg@10", window="validation", lists=40, examples=900, left_out={"item": ("item_actions_28d",)},
        variants=(
            Variant(learner="own", without=None, features=2, figure=Figure(value=0.5, low=0.4, high=0.6), seconds=1.5),
            Variant(
                learner="own", without="item", features=1, figure=Figure(value=0.3, low=0.2, high=0.4),
                difference=Figure(value=-0.2, low=-0.25, high=-0.15), seconds=1.0,
            ),
            Variant(learner="lightgbm:rounds=1", without=None, features=2, problem="too weak"),
        ),
    )  # fmt: skip
    monkeypatch.setattr("tasks.runs.inspection.run_to_inspect", lambda *given: run)
    asked: list[Any] = []
    monkeypatch.setattr("tasks.evaluation.ablation.ablate", lambda run, others: asked.append(others) or made)
    document = answer(answers.Ablated, "ablate", "tiny", *AS_OF, "--learner", "lightgbm:rounds=1")
    ((learner,),) = asked
    assert (learner.name, learner.settings.rounds) == ("lightgbm:rounds=1", 1)
    assert [row["without"] for row in document["variants"]] == [None, "item", None]
    shown = CliRunner().invoke(app, ["ablate", "tiny", *AS_OF], env={"COLUMNS": "160"}).stdout
    assert "ndcg@10 of 40 lists of the validation window" in shown
    assert "-0.2000 [-0.2500, -0.1500]" in shown
    assert "too weak" in shown


def test_tune(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    shared: list[Any] = []
    monkeypatch.setattr("tasks.training.tune.outcomes", lambda given: {"*": TUNING})
    monkeypatch.setattr(
        "tasks.operations.shared_step.share", lambda given, step, workers: shared.append((step, workers))
    )
    tuned = run.spec.model_copy(update={"tune": Tune(trials=3, metric="ndcg@10", space={"num_leaves": (7, 15, 31)})})
    monkeypatch.setattr("tasks.cli.tune.open_run", lambda *given: replace(run, spec=tuned))
    document = answer(answers.Tuned, "tune", "tiny", *AS_OF, "--workers", "2")
    assert shared == [("tune", 2)]
    assert document["populations"]["*"]["chosen"] == 2
    shown = CliRunner().invoke(app, ["tune", "tiny", *AS_OF], env={"COLUMNS": "160"}).stdout
    assert re.search(r"taken +num_leaves 15 +1 +0\.5000 +0\.0100 ± 0\.0200", shown)
    monkeypatch.setattr("tasks.cli.tune.open_run", lambda *given: run)
    refused = CliRunner().invoke(app, ["tune", "tiny", *AS_OF])
    assert "has no `tune.space`" in str(refused.exception)


def test_plan(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made = RunPlan(day("02-20"), (Reason("features", (day("02-19"),), "new"),), "v", True)
    monkeypatch.setattr("tasks.operations.plan.plan_run", lambda given: made)
    monkeypatch.setattr("tasks.evaluation.champion.outdated_verdicts", lambda home, spec: [day("02-18")])
    assert answer(answers.Planned, "plan", "tiny", *AS_OF) == {
        "pipeline": run.spec.name, "as_of": "2026-02-20", "version": "v", "published": True,
        "make": [{"what": "features", "days": ["2026-02-19"], "why": "new"}], "outdated_verdicts": ["2026-02-18"],
    }  # fmt: skip


def test_labels(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    done = Interaction("play", 0.5, datetime.fromisoformat("2026-02-19T12:00:00"), True)
    pair = Pair("ana", "film", date(2026, 2, 18), (done,))
    report = Labels(run, (date(2026, 2, 18),), (Tally(1, 1, None, {}, (pair,)),), Tally(0, 3, None), None)
    monkeypatch.setattr("tasks.examples.label_report.label_report", lambda given, examples: report)
    document = answer(answers.Labeled, "labels", "tiny", *AS_OF)
    assert [(rule["grade"], rule["pairs"]) for rule in document["rules"]] == [(1, 1), (None, 3)]
    (shown,) = document["rules"][0]["shown"]
    assert shown["actions"] == [{"kind": "play", "value": 0.5, "at": "2026-02-19T12:00:00", "ahead": True}]


def test_curve(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.training.train.populations", lambda given: ["BR", "*"])
    asked: list[Any] = []

    def measure(given: Run, population: str, seeds: int) -> LearningCurve:
        asked.append((population, seeds))
        return LEARNED.model_copy(update={"population": population})

    monkeypatch.setattr("tasks.training.learning_curve.measure_learning_curve", measure)
    document = answer(LearningCurve, "curve", "tiny", *AS_OF, "--seeds", "2", "--population", "BR")
    assert (document["population"], document["points"][-1]["groups"], asked) == ("BR", 400, [("BR", 2)])
    shown = CliRunner().invoke(app, ["curve", "tiny", *AS_OF])
    assert "twice as many would bring 0.0060 (0.0020 to 0.0200)" in shown.output
    wrong = CliRunner().invoke(app, ["curve", "tiny", *AS_OF, "--population", "XX"])
    assert wrong.exit_code == 2


@dataclass(frozen=True)
class Response:
    items: tuple[str, ...] = ("b", "a")
    scores: tuple[float, ...] = (0.5, 0.25)
    titles: tuple[str, ...] = ("B", "A")
    population: str = "all"


def test_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    given: Any = UserList("tiny", "2026-02-20-v", "ana", False, Response())  # type: ignore[arg-type]
    monkeypatch.setattr("tasks.publishing.rank.rank_user", lambda *words: given)
    document = answer(answers.Ranked, "rank", "tiny", "--user", "ana")
    assert document["items"][1] == {"rank": 2, "item": "a", "score": 0.25, "title": "A"}
    assert document["known"] is False
    shown = CliRunner().invoke(app, ["rank", "tiny", "--user", "ana"]).output
    assert "user 'ana' is not known as of 2026-02-20: popular items" in shown


def test_inspect(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = FeatureWeight(feature="ctr", mean=0.5, share=1.0, direction=None)
    part = PopulationSummary(population="*", function="Linear", users=1, rows=2, features=(weight,))
    given = Inspection(pipeline="tiny", version="2026-02-20-v", populations=(part,), retrievers=())
    asked: list[Any] = []
    monkeypatch.setattr("tasks.publishing.inspection.inspect_version", lambda *words: asked.append(words) or given)
    document = answer(Inspection, "inspect", "tiny", "--user", "ana", "-k", "3")
    assert document["populations"][0]["features"][0]["direction"] is None
    assert asked == [("tiny", None, Question(user="ana", k=3))]


@pytest.mark.parametrize(("success", "code"), [(True, 0), (False, 1)])
def test_check(run: Run, monkeypatch: pytest.MonkeyPatch, success: bool, code: int) -> None:
    step = answers.CheckedStep(what="landed", checks=(check_of(success),), problem=None if success else "critical")
    monkeypatch.setattr("tasks.runs.inspection.run_to_inspect", lambda *given: run)
    monkeypatch.setattr("tasks.cli.check._measure", lambda given, what, alone: step)
    document = answer(answers.Checked, "check", "tiny", *AS_OF, "--failed", code=code)
    assert [len(part["checks"]) for part in document["steps"]] == [1 - success]


def test_check_of_a_day_whose_tables_are_gone_says_how_they_come_back(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run.step_dir("build")).mkdir(parents=True)
    (run.step_dir("build") / "result.json").touch()
    monkeypatch.setattr("tasks.runs.inspection.run_to_inspect", lambda *given: run)
    monkeypatch.setattr("tasks.checks.landed.check_landed", lambda given: None)
    monkeypatch.setattr("tasks.checks.features.check_features", lambda given: pytest.fail("there is nothing to check"))
    document = answer(answers.Checked, "check", "tiny", *AS_OF, code=1)
    assert [(step["what"], step["built"]) for step in document["steps"]] == [("landed", True), ("features", False)]
    done = CliRunner().invoke(app, ["check", "tiny", *AS_OF])
    assert done.exit_code == 1
    words = " ".join(done.output.split())
    assert f"Build them with `matinee build {run.spec.name} --as-of 2026-02-20`, then check again" in words
    assert "Checked landed. Not there: features. Nothing to check yet: examples, predictions." in words
    assert "Critical" not in words


def test_check_of_a_day_that_was_never_built_has_nothing_to_check_of_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.runs.inspection.run_to_inspect", lambda *given: run)
    monkeypatch.setattr("tasks.checks.landed.check_landed", lambda given: None)
    document = answer(answers.Checked, "check", "tiny", *AS_OF)
    assert [step["what"] for step in document["steps"]] == ["landed"]
    assert not answer(answers.Checked, "check", "tiny", *AS_OF, "--what", "features", code=1)["steps"][0]["built"]


@pytest.mark.parametrize(("problem", "code"), [(None, 0), ("no tables", 1)])
def test_skew(run: Run, monkeypatch: pytest.MonkeyPatch, problem: str | None, code: int) -> None:
    monkeypatch.setattr("tasks.monitoring.skew.skew_of", lambda given: Skew(days=("2026-02-20",), problem=problem))
    assert answer(Skew, "skew", "tiny", *AS_OF, code=code)["problem"] == problem


def test_alerts_list(run: Run) -> None:
    assert answer(answers.Alerts, "alerts", "list", "--days", "7") == {"days": 7, "alerts": []}


def test_quarantine_list(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    part = SimpleNamespace(table="events", rules={"missing_id": 2}, ds=day("02-19"), offered=8)
    record = ReleaseRecord(
        number=1, made_at="2026-02-20T06:00:00+00:00", who="ana", why="checked", pipeline=run.spec.name, kind="rule",
        rows=(("events", "missing_id", 2),), days=(day("02-19"),), touches={"events": {day("02-19"): 2}}, digest="d",
    )  # fmt: skip
    monkeypatch.setattr("tasks.cli.quarantine._spec", lambda pipeline: (run.spec, run.home))
    monkeypatch.setattr("tasks.quarantine.rejected_rows.rejected_parts", lambda *given, **named: [part])
    monkeypatch.setattr(
        "tasks.sources.released_rows.releases_of", lambda *given: [RowRelease(Path("releases/1"), record, "d")]
    )
    document = answer(answers.Quarantined, "quarantine", "list", "tiny")
    (rejected,) = document["rejected"]
    assert (rejected["rule"], rejected["rows"], rejected["rate"]) == ("missing_id", 2, 0.25)
    assert [(release["name"], release["who"]) for release in document["releases"]] == [("1", "ana")]


@pytest.mark.parametrize("code", [0, 1])
def test_verify(run: Run, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    faults = [{"part": "landing", "place": "/x", "problem": "changed", "next": "delete it"}] * code
    found = Verification.model_validate({"counted": {"files": 3}, "faults": faults})
    monkeypatch.setattr("tasks.operations.verification.walk.verify", lambda *given, **named: found)
    assert answer(Verification, "verify", code=code)["counted"] == {"files": 3}


def with_json(command: Any, *names: str) -> Iterator[str]:
    """Names of the commands that take --json."""
    for name, part in getattr(command, "commands", {}).items():
        yield from with_json(part, *names, name)
    if any("--json" in parameter.opts for parameter in command.params):
        yield " ".join(names)


def test_every_answer_has_a_record_on_the_page_and_a_test_here() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `matinee ([a-z ]+)` \| `(\w+)`", page, re.MULTILINE))
    assert listed.keys() == set(with_json(typer.main.get_command(app)))
    source = Path(__file__).read_text(encoding="utf-8")
    tested = {model for model in listed.values() if re.search(rf"answer\((answers\.)?{model}, ", source)}
    assert tested == set(listed.values())


@pytest.mark.parametrize(("port", "code"), [(8080, 0), (None, 1)])
def test_stack_status(run: Run, monkeypatch: pytest.MonkeyPatch, port: int | None, code: int) -> None:
    health = SimpleNamespace(port=port, healthy=port is not None, components={"scheduler": "healthy"})
    monkeypatch.setattr("tasks.operations.local_airflow.stack.status", lambda root: health)
    assert answer(answers.StackStatus, "stack", "status", code=code)["healthy"] is (port is not None)
