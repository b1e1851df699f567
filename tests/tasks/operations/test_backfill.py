"""A backfill of a shop of one line a day: what is to be done, in which order, and what becomes of it.

Landing and the ledger are real; dbt is not run, the steps behind the build are stand-ins, and threads stand for
processes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tasks.cli.main import app
from tasks.cli.render.backfill import render_survey
from tasks.errors import GateFailed, LandingError, MatineeError, SpecError
from tasks.features.build import needed
from tasks.features.ledger import BuildPlan
from tasks.operations import backfill
from tasks.operations.backfill import (
    CHAMPION_STEPS,
    BackfillDay,
    DayState,
    build_all,
    days_between,
    land_all,
    only_one,
    run_days,
    survey,
)
from tasks.publishing.publish import version_of
from tasks.publishing.results import GateResult, GateVerdict
from tasks.runs.run import Run
from tasks.store.files import read_json
from tasks.store.registry import Alias, alias, move_alias, withdraw
from tasks.store.timeline import timeline, verdict_on
from tests.tasks.handmade import CONTENT, document, finish_step, published, spec_of
from tests.tasks.without_dbt import SHOP, build_without_dbt, january, shop_run, write_files
from tests.tiny_pipelines import pipeline_file

CHAMPION = {"gates": [{"metric": "ndcg@10", "not_worse_than": "champion"}]}


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    write_files(tmp_path / "files", 16)
    return [shop_run(tmp_path, number, "backfill") for number in (14, 15, 16)]


@pytest.fixture
def made(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs, with their days landed and built."""
    build_without_dbt(monkeypatch, [])
    land_all(runs, lambda *_: None)
    build_all(runs)
    return runs


def version(run: Run) -> str:
    return version_of(run, needed(run))


def publish(run: Run, champion: str | None = None) -> None:
    move_alias(run.home, "shop", published(version(run), run.as_of, champion=champion))


def fail_gate(run: Run, champion: str | None = None) -> None:
    verdicts = [
        GateVerdict(gate="ndcg@10 beats popularity", passed=False, detail="difference +0.0"),
        GateVerdict(gate="ndcg@10 beats history", passed=True, detail="difference +0.1"),
    ]
    result = GateResult(passed=False, gates=verdicts, version=version(run), champion=champion)
    finish_step(run, "gate", result.to_json())


def states(runs: list[Run], **how: Any) -> list[str]:
    return [day.state for day in survey(runs, **how)[1]]


def with_champion(runs: list[Run]) -> list[Run]:
    return [Run(spec_of(**{**SHOP, **CHAMPION}), run.home, run.as_of, run.attempt, run.data) for run in runs]


# ---------------------------------------------------------------------------------------------- which days


def test_the_days_of_a_range() -> None:
    assert days_between(spec_of(**SHOP), january(14), january(16)) == [january(14), january(15), january(16)]
    assert days_between(spec_of(**SHOP), january(31), january(31)) == [january(31)]


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (16, 14, "--from 2011-01-16 --to 2011-01-14: the first day is after the last; expected them the other way "),
        (12, 14, "--from 2011-01-12 --to 2011-01-14: pipeline 'shop' can be run for 2011-01-13 to 2011-01-31; choose"),
    ],
)
def test_a_range_that_cannot_be_run(first: int, last: int, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        days_between(spec_of(**SHOP), january(first), january(last))
    assert str(caught.value).startswith(said)


def test_a_range_beyond_the_end_of_the_pipeline() -> None:
    with pytest.raises(SpecError, match="to 2011-02-01: pipeline 'shop' can be run for 2011-01-13 to 2011-01-31"):
        days_between(spec_of(**SHOP), january(31), date(2011, 2, 1))


def test_a_range_of_days_that_are_not_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused by its ends, not day by day: a year that was mistyped is thousands of days."""
    monkeypatch.setattr("tasks.operations.backfill.last_whole_day", lambda: january(20))
    with pytest.raises(
        SpecError, match="to 9999-12-31: pipeline 'shop' can be run for 2011-01-13 to 2011-01-20; choose"
    ):
        days_between(spec_of(**{**SHOP, "end": None, "schedule": "@daily"}), january(14), date.max)
    assert days_between(spec_of(**SHOP), january(20), january(20)) == [january(20)]


# ------------------------------------------------------------------------------------------- what is to be done


def test_before_landing_no_version_has_a_name(runs: list[Run]) -> None:
    plan, days = survey(runs)
    assert days == [BackfillDay(run.as_of, None, DayState.TRAIN) for run in runs]
    assert sorted(plan.features) == [january(n) for n in range(12, 17)]
    assert not runs[0].home.root.exists()  # nothing was written


def test_all_days_are_built_by_one_invocation(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[date]] = []
    build_without_dbt(monkeypatch, calls)
    land_all(runs, lambda *_: None)
    assert build_all(runs).features_built.to_json() == {"days": 5, "from": "2011-01-12", "to": "2011-01-16"}
    assert build_all(runs).up_to_date is True
    assert calls == [[january(n) for n in range(12, 17)]]
    assert survey(runs)[0].empty


def test_what_is_published_or_failed_a_gate_is_done(made: list[Run]) -> None:
    publish(made[0])
    fail_gate(made[1])
    days = survey(made)[1]
    assert days == [
        BackfillDay(january(14), version(made[0]), DayState.PUBLISHED),
        BackfillDay(january(15), version(made[1]), DayState.GATE_FAILED, "ndcg@10 beats popularity: difference +0.0"),
        BackfillDay(january(16), version(made[2]), DayState.TRAIN),
    ]
    assert [day.done for day in days] == [True, True, False]
    assert states(made, again=True) == ["train", "train", "train"]


def test_a_version_of_an_earlier_landing_is_not_done(made: list[Run]) -> None:
    for run in made:
        publish(run)
    assert made[0].data is not None
    write_files(made[0].data, 15, 15, price=9.0)
    assert states(made) == ["published", "train", "train"]  # 01-15 is to be landed again: its versions have no name
    land_all(made, lambda *_: None)
    assert states(made) == ["published", "train", "train"]


def test_a_version_that_was_overtaken_is_run_again_when_its_landing_comes_back(made: list[Run]) -> None:
    """Else the version of a landing that is no more stays champion of the day."""
    publish(made[0])
    move_alias(made[0].home, "shop", published("2011-01-14.corrected", january(14)))
    assert states(made)[0] == "train"
    publish(made[0])
    assert states(made)[0] == "published"


def test_a_verdict_against_another_champion_is_evaluated_again(made: list[Run]) -> None:
    runs = with_champion(made)
    publish(runs[1])
    publish(runs[2], version(runs[1]))
    assert states(runs) == ["train", "published", "published"]
    publish(runs[0])  # filled in: the champion before 01-15 is another one now
    assert states(runs) == ["published", "evaluate", "published"]
    publish(runs[1], version(runs[0]))
    assert states(runs) == ["published", "published", "published"]


def test_a_gate_that_failed_against_another_champion_is_evaluated_again(made: list[Run]) -> None:
    runs = with_champion(made)
    publish(runs[0])
    fail_gate(runs[1], version(runs[0]))
    assert states(runs)[1] == "gate failed"
    fail_gate(runs[1], "2011-01-10.long-gone")
    assert states(runs)[1] == "train"


def test_a_withdrawn_version_counts_as_failed_where_its_gate_failed(made: list[Run]) -> None:
    publish(made[0])
    withdraw(made[0].home, "shop", published(version(made[0]), made[0].as_of))
    assert states(made)[0] == "train"
    fail_gate(made[0])
    assert states(made)[0] == "gate failed"


def printed(days: list[BackfillDay], plan: BuildPlan, parallel: int = 1) -> list[str]:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(render_survey(spec_of(**SHOP), plan, days, parallel), soft_wrap=True)
    return captured.get().splitlines()


def test_a_backfill_says_what_it_is_going_to_do(made: list[Run], tmp_path: Path) -> None:
    fresh = [shop_run(tmp_path / "fresh", n) for n in (14, 15, 16)]
    write_files(tmp_path / "fresh" / "files", 16)
    plan, days = survey(fresh)
    assert printed(days, plan, parallel=2) == [
        "shop, 2011-01-14 to 2011-01-16: 3 days",
        "build       13 days of rows, 5 feature days, 4 label cuts, in one dbt invocation",
        "train       2011-01-14 … 2011-01-16 (3 days), 2 at a time",
    ]
    publish(made[0])
    fail_gate(made[1])
    plan, days = survey(made)
    assert printed(days, plan) == [
        "shop, 2011-01-14 to 2011-01-16: 3 days",
        "build       nothing: all tables are up to date",
        "train       2011-01-16",
        "skip        2011-01-14: already published",
        "skip        2011-01-15: has already failed a gate",
    ]
    again = [BackfillDay(january(14), "v", DayState.PUBLISHED), BackfillDay(january(15), "v", DayState.EVALUATE)]
    assert printed(again, plan)[2:] == [
        "evaluate    2011-01-15: the champion they were compared with is no longer the one before them",
        "skip        2011-01-14: already published",
    ]


# --------------------------------------------------------------------------------------------------- running


class Threads(ThreadPoolExecutor):
    """What stands for processes."""

    def __init__(self, parallel: int, **_: Any) -> None:
        super().__init__(parallel)


class Steps:
    """Stand-ins for the steps; `fails` has what a step of a day raises, `waits` what a training waits for."""

    def __init__(self) -> None:
        self.called: list[tuple[str, int]] = []
        self.fails: dict[tuple[str, int], BaseException] = {}
        self.trained: dict[int, threading.Event] = {number: threading.Event() for number in range(1, 32)}
        self.waits: dict[int, int] = {}

    def table(self) -> dict[str, Callable[[Run], dict[str, Any]]]:
        return {name: self.step(name) for name in ("land", "train", *CHAMPION_STEPS)}

    def step(self, name: str) -> Callable[[Run], dict[str, Any]]:
        def function(run: Run) -> dict[str, Any]:
            number = run.as_of.day
            if name == "train" and number in self.waits:
                assert self.trained[self.waits[number]].wait(30)
            self.called.append((name, number))
            if (name, number) in self.fails:
                if name == "gate":
                    fail_gate(run)
                raise self.fails[name, number]
            if name == "train":
                self.trained[number].set()
            if name == "publish":
                publish(run)
            return {}

        return function

    def days(self, name: str) -> list[int]:
        return [number for called, number in self.called if called == name]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    found = Steps()
    monkeypatch.setattr(backfill, "ProcessPoolExecutor", Threads)
    monkeypatch.setattr(backfill, "sequence", found.table)
    monkeypatch.setattr(
        "tasks.operations.run_all.report_quietly", lambda run: found.called.append(("report", run.as_of.day))
    )
    return found


def ran(runs: list[Run], parallel: int = 1) -> list[BackfillDay]:
    return run_days(runs, survey(runs)[1], parallel, lambda *_: None)


def test_days_are_run_and_then_nothing_is_left_to_do(made: list[Run], steps: Steps) -> None:
    days = ran(made)
    assert [day.state for day in days] == ["published"] * 3
    assert all(day.seconds is not None for day in days)
    assert steps.days("train") == steps.days("report") == [14, 15, 16]

    steps.called.clear()
    assert [day.state for day in ran(made, parallel=2)] == ["published"] * 3
    assert steps.called == []


def test_a_day_that_fails_stops_no_other(made: list[Run], steps: Steps) -> None:
    steps.fails["train", 14] = LandingError("the disk is full")
    steps.fails["gate", 15] = GateFailed("not better")
    days = ran(made)
    assert [(day.state, day.detail) for day in days] == [
        ("failed", "the disk is full"), ("gate failed", "not better"), ("published", ""),
    ]  # fmt: skip
    assert steps.days("report") == [14, 15, 16]
    assert steps.days("publish") == [16]

    steps.fails.clear()
    assert [day.state for day in ran(made)] == ["published", "gate failed", "published"]
    assert steps.days("train") == [14, 15, 16, 14]  # only what failed is run again


def test_what_a_stopped_backfill_left_of_a_day_is_removed(made: list[Run], steps: Steps) -> None:
    finish_step(made[0], "sample", {"rows": {}})
    ran(made)
    assert not made[0].step_dir("sample").exists()


@pytest.mark.parametrize("parallel", [1, 3])
def test_days_are_evaluated_in_order_whatever_trains_first(parallel: int, made: list[Run], steps: Steps) -> None:
    runs = with_champion(made)
    if parallel > 1:
        steps.waits = {14: 15, 15: 16}
    assert [day.state for day in ran(runs, parallel)] == ["published"] * 3
    if parallel > 1:
        assert steps.days("train") == [16, 15, 14]
    evaluated = [(name, number) for name, number in steps.called if name in {*CHAMPION_STEPS, "report"}]
    assert evaluated == [(name, n) for n in (14, 15, 16) for name in (*CHAMPION_STEPS, "report")]
    assert [event.as_of for event in timeline(runs[0].home, "shop")] == [january(14), january(15), january(16)]


def test_days_behind_one_that_could_not_be_trained_are_evaluated(made: list[Run], steps: Steps) -> None:
    steps.fails["train", 14] = MatineeError("nothing to learn")
    assert [day.state for day in ran(with_champion(made), 2)] == ["failed", "published", "published"]
    assert steps.days("report") == [14, 15, 16]


def test_a_process_that_is_killed_is_reported(made: list[Run], steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    steps.fails["train", 15] = BrokenProcessPool("a process was terminated abruptly")
    with pytest.raises(MatineeError, match=r"shop: a process of the backfill was killed .* Run the same command again"):
        ran(made)
    steps.fails.clear()
    assert [day.state for day in ran(made)] == ["published"] * 3
    assert steps.days("publish").count(14) == 1


def test_the_cores_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    for threads, parallel, each in (("8", 3, "2"), ("2", 4, "1")):
        monkeypatch.setenv("MATINEE_THREADS", threads)
        backfill._share_the_cores(parallel)
        assert os.environ["MATINEE_THREADS"] == each


# ------------------------------------------------------------------------------------------------ the command


class Command:
    """`matinee backfill` of 01-14 to 01-16."""

    def __init__(self, folder: Path) -> None:
        self.file = pipeline_file(folder, document(**SHOP))
        self.data = folder / "files"

    def __call__(self, *more: str) -> tuple[int, str]:
        days = ["--from", "2011-01-14", "--to", "2011-01-16"]
        result = CliRunner().invoke(app, ["backfill", str(self.file), *days, "--data", str(self.data), *more])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output


@pytest.fixture
def command(runs: list[Run], steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path / "home"))
    build_without_dbt(monkeypatch, [])
    return Command(tmp_path)


def test_the_command_ends_well_and_skips_everything_the_second_time(
    command: Command, steps: Steps, runs: list[Run]
) -> None:
    code, text = command("--parallel", "2")
    assert (code, sorted(steps.days("publish"))) == (0, [14, 15, 16])
    assert "published  2011-01-14 … 2011-01-16 (3 days)" in text
    assert alias(runs[0].home, "shop", "champion") == Alias(
        version=version(runs[2]), as_of=january(16), content=CONTENT
    )

    steps.called.clear()
    code, text = command()
    assert (code, steps.called) == (0, [])
    assert "skip        2011-01-14 … 2011-01-16 (3 days): already published" in text

    assert command("--again")[0] == 0
    assert steps.days("train") == [14, 15, 16]


def test_a_dry_run_writes_nothing(command: Command, steps: Steps, tmp_path: Path) -> None:
    code, text = command("--dry-run")
    assert (code, steps.called) == (0, [])
    assert "train       2011-01-14 … 2011-01-16 (3 days)" in text
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("fails", "code"),
    [
        ({("gate", 14): GateFailed("no")}, 3),
        ({("train", 15): MatineeError("no")}, 1),
        ({("train", 15): MatineeError("no"), ("gate", 14): GateFailed("no")}, 1),
    ],
)
def test_the_exit_code_says_what_became_of_the_days(
    fails: dict[tuple[str, int], BaseException], code: int, command: Command, steps: Steps
) -> None:
    steps.fails = fails
    assert command()[0] == code


def test_the_command_can_be_stopped_and_goes_on(command: Command, steps: Steps, runs: list[Run]) -> None:
    steps.fails["train", 15] = KeyboardInterrupt()
    code, text = command()
    assert code == 130
    assert "Stopped. Finished days are kept; run the same command again to continue." in text
    assert verdict_on(runs[0].home, "shop", "champion", version(runs[0])) is not None

    steps.fails.clear()
    assert command()[0] == 0
    assert steps.days("publish").count(14) == 1


def test_two_backfills_of_a_pipeline_do_not_run_at_once(command: Command, runs: list[Run]) -> None:
    with (
        only_one(runs[0].home, runs[0].spec),
        pytest.raises(MatineeError, match="another `matinee backfill shop` runs on this state folder; wait for it"),
    ):
        command()
    assert command()[0] == 0


def test_what_is_left_of_a_backfills_build_is_kept_for_people(made: list[Run]) -> None:
    folder = made[0].home.root / "backfills" / "shop" / "build"
    assert read_json(folder / "result.json")["partitions_loaded"]["days"] == 13
    assert [model["name"] for model in read_json(folder / "models.json")] == ["labels"]
