"""Pipelines from Python: what is read of a small state made by hand, what is refused, and that nothing is written."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import matinee
from engine.descriptor import read_descriptor
from matinee import tables
from tasks.runs.run import Run as Attempt
from tasks.spec.load import load_spec
from tasks.store.atomic import locked
from tasks.store.files import Home
from tasks.store.partitions import partition_dir, store
from tasks.store.registry import move_alias, version_dir
from tests.engine.tiny import publish
from tests.tasks.handmade import day, finish_step, published, sample_of
from tests.tiny_pipelines import SHOWN, pipeline_file, tree

AS_OF = day("01-18")
VERSION = "2026-01-18.00000001"


def build(home: Home) -> None:
    """The tables of two days."""
    path = home.warehouse("shown")
    path.parent.mkdir(parents=True)
    with duckdb.connect(path) as connection:
        connection.execute(
            "create table feat_users as select * from (values ('ana', date '2026-01-18', 3.0),"
            " ('ana', date '2026-01-17', 2.0), ('bob', date '2026-01-18', 1.0)) rows(user_id, as_of, user_actions_28d)"
        )
        connection.execute(
            "create view recent as select user_id, as_of from feat_users where as_of > date '2026-01-17'"
        )
        connection.execute("create schema control")
        # Of the 16th there was nobody: built, and empty.
        connection.execute(
            "create table control.ledger as select 'feat_users' as model, '' as part, unnest([date '2026-01-18',"
            " date '2026-01-17', date '2026-01-16', date '2026-01-15', date '2026-01-14']) as day, 'd' as digest"
            " union all select 'tests of as_of', '', date '2026-01-17', 'd'"
        )
        connection.execute("create table int_calendar as select date '2026-01-18' as calendar_day")
    Path(f"{path}.lock").touch()  # every build leaves it


@pytest.fixture
def pipeline(tmp_path: Path) -> matinee.Pipeline:
    """A pipeline with two landed days, built tables, a version, and a run that drew a sample."""
    home = Home(tmp_path / "home")
    file = pipeline_file(tmp_path, SHOWN)
    source = load_spec(file).source_name
    for number, extra in (("01-17", {}), ("01-18", {"device": ["tv"]})):
        rows = pa.table({"event_id": [f"e{number}"], "value": [0.5], **extra})
        store(partition_dir(home, source, "events", day(number)), rows, inputs="i")
    build(home)
    folder = version_dir(home, "shown", VERSION)
    publish(folder, {"version": VERSION, "pipeline": "shown"})
    move_alias(home, "shown", published(VERSION, AS_OF, content=read_descriptor(folder).content))
    finish_step(Attempt.create(file, AS_OF, "7", home=home), "sample", sample_of({}).to_json())
    return matinee.Pipeline(file, home=home.root)


def refused(call: Callable[[], Any], kind: type[matinee.MatineeError] = matinee.WrongArgument) -> str:
    with pytest.raises(kind) as error:
        call()
    assert type(error.value) is kind
    return str(error.value)


def test_importing_it_loads_no_library() -> None:
    heavy = ("numpy", "pandas", "pyarrow", "duckdb", "pydantic", "lightgbm", "dbt", "rich")
    code = f"import sys, matinee; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_table_is_read_whole_or_of_a_day_or_by_columns(pipeline: matinee.Pipeline) -> None:
    assert pipeline.tables() == ["feat_users", "int_calendar", "recent"]
    assert pipeline.mart("feat_users").num_rows == 3
    of_day = pipeline.mart("feat_users", AS_OF, columns=["user_id"])
    assert sorted(of_day.to_pylist(), key=str) == [{"user_id": "ana"}, {"user_id": "bob"}]
    assert pipeline.mart("feat_users", "2026-01-17").equals(
        pipeline.mart("feat_users", datetime(2026, 1, 17, tzinfo=UTC))
    )
    assert pipeline.sql(
        "select max(user_actions_28d) as most from feat_users where as_of < ?", [AS_OF]
    ).to_pylist() == [{"most": 2.0}]


def test_a_day_that_is_not_built_is_refused_and_one_without_rows_is_empty(pipeline: matinee.Pipeline) -> None:
    assert pipeline.mart("feat_users", "2026-01-16").num_rows == 0
    assert refused(lambda: pipeline.mart("feat_users", "2026-01-19")) == (
        "day: feat_users is not built for as_of 2026-01-19; 5 days are: 2026-01-14 … 2026-01-16, 2026-01-17, "
        "2026-01-18. `pipeline.run(day)` builds the days that a run needs"
    )
    # A view has no entries of its own: it is there for the days of its grain.
    assert pipeline.mart("recent", "2026-01-17").num_rows == 0
    assert "1 day is: 2026-01-17." in refused(lambda: pipeline.mart("recent", "2026-01-16"))


def test_what_is_not_there_is_named_with_what_is(pipeline: matinee.Pipeline) -> None:
    assert refused(lambda: pipeline.mart("feat_user")) == (
        "table: found 'feat_user'; did you mean 'feat_users'?; expected one of: feat_users, int_calendar, recent"
    )
    assert refused(lambda: pipeline.mart("feat_users", columns=["user"])).startswith(
        "column of feat_users: found 'user'; did you mean 'user_id'?"
    )
    assert "the rows of int_calendar are of no day" in refused(lambda: pipeline.mart("int_calendar", AS_OF))
    assert refused(lambda: pipeline.landing("event", AS_OF)).startswith("table: found 'event'; did you mean 'events'?")
    assert "nothing is landed from 2026-02-01 to 2026-02-03" in refused(
        lambda: pipeline.landing("events", "2026-02-01", "2026-02-03")
    )
    assert "no run of 2026-01-17 has drawn a sample" in refused(
        lambda: pipeline.last_run("2026-01-17"), matinee.MatineeError
    )
    assert "no version 'nobody'; there are 2026-01-18.00000001" in refused(lambda: pipeline.engine("nobody"))


@pytest.mark.parametrize(
    "wrong", ["2026-02-30", "20260118", "yesterday", datetime(2026, 1, 18, 12, tzinfo=UTC), 7, None]
)
def test_a_day_that_is_none_is_refused(pipeline: matinee.Pipeline, wrong: Any) -> None:
    assert refused(lambda: pipeline.attempt(wrong)).startswith("day: found ")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("copy feat_users to '{}'", "file system operations are disabled"),
        ("from read_csv('{}')", "file system operations are disabled"),
        ("attach '{}' as other", "file system operations are disabled"),
        ("drop table feat_users", "read-only mode"),
        ("set enable_external_access = true", "locked"),
        ("select 1; select 2", "expected one query, found 2"),
        ("  -- nothing", "expected one query, found 0"),
        ("selec 1", "syntax error"),
        ("select * from nothing", "Table with name nothing does not exist"),
        ("select ?", "Values were not provided"),
        ("select cast('a' as int)", "Could not convert string 'a'"),
        ("select 9223372036854775807 * 2::bigint", "Overflow in multiplication"),
        ("select error('mine')", "mine"),
    ],
)
def test_a_query_can_do_nothing_but_read_the_tables(
    pipeline: matinee.Pipeline, tmp_path: Path, query: str, said: str
) -> None:
    before = tree(pipeline.home)
    assert said in refused(lambda: pipeline.sql(query.format(tmp_path / "other")))
    assert tree(pipeline.home) == before
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["not a day"], "the query is refused: Conversion Error: invalid date"),
        ([object()], "the query is refused: Not implemented Error"),
        (["\ud800"], "the query is refused: "),
        (5, "values: found 5, expected a list of values"),
        ("2026-01-18", "values: found '2026-01-18', expected a list of values"),
    ],
)
def test_a_wrong_value_of_a_query_is_refused(pipeline: matinee.Pipeline, values: Any, said: str) -> None:
    assert said in refused(lambda: pipeline.sql("select * from feat_users where as_of = ?", values))


def test_arguments_of_other_types_are_refused_by_name(pipeline: matinee.Pipeline) -> None:
    call: Any = pipeline
    for wrong, said in (
        (lambda: call.sql(5), "query: found 5, expected a text"),
        (lambda: call.sql(None), "query: found null, expected a text"),
        (lambda: call.sql("select '\ud800'"), "which has half of a character"),
        (lambda: call.sql("select 1", seconds="5"), "seconds: found '5', expected a whole number"),
        (lambda: call.sql("select 1", seconds=True), "seconds: found true, expected a whole number"),
        (lambda: call.attempt(AS_OF, None), "attempt: found null, expected the name of an attempt"),
        (lambda: call.engine(5), "version: found 5, expected the name"),
        (lambda: call.mart("feat_users", columns="as_of"), "columns: found 'as_of', expected a list of texts, such as"),
        (lambda: call.mart("feat_users", columns=[]), "columns: found an empty list, expected some of: user_id, as_of"),
        (lambda: call.mart("feat_users", columns=[5]), "columns[0]: found 5, expected a text"),
    ):
        assert said in refused(wrong)


@pytest.mark.parametrize("wrong", [5, None, True, b"shown", "a\0b", "\ud800"])
def test_a_path_that_is_none_is_refused(tmp_path: Path, wrong: Any) -> None:
    file = pipeline_file(tmp_path, SHOWN)
    assert refused(lambda: matinee.Pipeline(wrong)).startswith("pipeline: found ")
    if wrong is not None:
        assert refused(lambda: matinee.Pipeline(file, home=wrong)).startswith("home: found ")
        assert refused(lambda: matinee.Pipeline(file, data=wrong)).startswith("data: found ")


def test_a_query_that_lasts_is_ended_and_says_what_to_do(pipeline: matinee.Pipeline) -> None:
    endless = "select count(*) from range(1000000) a, range(1000000) b where (a.range * b.range) % 7 = 3"
    said = refused(lambda: pipeline.sql(endless, seconds=1), matinee.MatineeError)
    assert "took longer than 1 s and was ended" in said
    assert "expected 1 to 600" in refused(lambda: pipeline.sql("select 1", seconds=601))
    # The lock is free again: the next build need not wait.
    with locked(Path(f"{Home(pipeline.home).warehouse('shown')}.lock"), "busy", seconds=0):
        pass


def test_a_loop_of_queries_lets_a_build_in_between(pipeline: matinee.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, paused = Path(f"{Home(pipeline.home).warehouse('shown')}.lock"), list[float]()

    def pause(seconds: float) -> None:
        with locked(lock, "busy", seconds=0):  # else this is refused
            paused.append(seconds)

    monkeypatch.setattr(tables.time, "sleep", pause)
    pipeline.mart("feat_users", AS_OF)
    with pytest.raises(matinee.WrongArgument):
        pipeline.sql("selec 1")
    assert paused == [tables.COURTESY] * 2


def test_a_build_that_is_under_way_is_waited_for_and_named(
    pipeline: matinee.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "PATIENCE", 0)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(Path(f"{Home(pipeline.home).warehouse('shown')}.lock"), "busy", seconds=5):
            held.set()
            done.wait(60)

    builder = threading.Thread(target=hold)
    builder.start()
    try:
        assert held.wait(60)
        with pytest.raises(matinee.MatineeError, match="another process has used the warehouse"):
            pipeline.tables()
    finally:
        done.set()
        builder.join()
    assert pipeline.tables() == ["feat_users", "int_calendar", "recent"]


def test_the_landing_is_read_over_days_and_a_new_column_is_null_before(pipeline: matinee.Pipeline) -> None:
    assert [(row["table"], row["ds"], row["rows"]) for row in pipeline.landed().to_pylist()] == [
        ("events", day("01-17"), 1),
        ("events", day("01-18"), 1),
    ]
    assert pipeline.landing("events", "2026-01-17", "2026-01-18").to_pylist() == [
        {"event_id": "e01-17", "value": 0.5, "device": None},
        {"event_id": "e01-18", "value": 0.5, "device": "tv"},
    ]


def test_a_landed_file_that_was_changed_is_refused(pipeline: matinee.Pipeline) -> None:
    path = Path(pipeline.landed()["path"][0].as_py())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(matinee.MatineeError, match=r"found sha256 .* expected .*: changed"):
        pipeline.landing("events", "2026-01-17")


def test_runs_and_versions_are_tables(pipeline: matinee.Pipeline) -> None:
    (run,) = pipeline.runs().to_pylist()
    assert (run["as_of"], run["attempt"], run["good"]) == (AS_OF, "7", None)
    assert pipeline.last_run().name == pipeline.last_run(AS_OF).name == "7"
    (event,) = pipeline.versions().to_pylist()
    assert (event["version"], event["as_of"], event["live"]) == (VERSION, AS_OF, True)


def test_an_engine_is_of_the_alias_or_of_a_name(pipeline: matinee.Pipeline) -> None:
    assert (
        pipeline.engine().version == pipeline.engine("champion").version == pipeline.engine(VERSION).version == VERSION
    )


def test_reading_writes_nothing(pipeline: matinee.Pipeline) -> None:
    before = tree(pipeline.home)
    pipeline.mart("feat_users", AS_OF)
    pipeline.sql("select 1")
    pipeline.landing("events", AS_OF)
    pipeline.runs()
    pipeline.versions()
    pipeline.last_run().sample()
    pipeline.engine().rank("ana")
    assert tree(pipeline.home) == before


def test_without_state_or_tables_it_is_said_and_nothing_is_made(tmp_path: Path) -> None:
    pipeline = matinee.Pipeline(pipeline_file(tmp_path, SHOWN), home=tmp_path / "none")
    for call in (pipeline.runs, pipeline.last_run, pipeline.landed, pipeline.versions):
        assert "no such state folder" in refused(call, matinee.MatineeError)
    assert "not built yet; run a day" in refused(pipeline.tables, matinee.MatineeError)
    assert not (tmp_path / "none").exists()


def test_a_wrong_pipeline_file_is_a_spec_error(tmp_path: Path) -> None:
    assert "no such pipeline file" in refused(lambda: matinee.Pipeline(tmp_path / "none.yaml"), matinee.SpecError)
    assert matinee.Pipeline(pipeline_file(tmp_path, SHOWN)).spec()["name"] == "shown"


@pytest.mark.parametrize(("again", "resume"), [(False, True), (True, False)])
def test_running_a_day_is_what_the_command_does(
    pipeline: matinee.Pipeline, monkeypatch: pytest.MonkeyPatch, again: bool, resume: bool
) -> None:
    called: list[tuple[str, date, bool, bool]] = []
    monkeypatch.setattr(
        "tasks.operations.run_all.run_all",
        lambda run, console, *, resume: called.append((run.attempt, run.as_of, console.quiet, resume)),
    )
    run = pipeline.run("2026-01-18", again=again, quiet=True)
    assert called == [("python", AS_OF, True, resume)]
    assert (run.name, run.as_of, run.verdict) == ("python", AS_OF, None)


def test_a_day_that_has_no_windows_is_refused_before_anything_runs(pipeline: matinee.Pipeline) -> None:
    assert "2026-01-02" in refused(lambda: pipeline.run("2026-01-02"), matinee.SpecError)
    said = refused(lambda: pipeline.attempt("2026-01-18", "../up"), matinee.MatineeError)
    assert "cannot name a folder" in said


def test_the_projects_env_file_says_where_the_state_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pipelines").mkdir()
    pipeline_file(tmp_path / "pipelines", SHOWN)
    (tmp_path / ".env").write_text(f"MATINEE_HOME={tmp_path / 'state'}\n", encoding="utf-8")
    monkeypatch.setenv("MATINEE_PROJECT", str(tmp_path))
    monkeypatch.setenv("MATINEE_HOME", "set, so that what the file sets is taken back after the test")
    monkeypatch.delenv("MATINEE_HOME")

    assert matinee.Pipeline("shown").home == tmp_path / "state"
