"""The bench of injected faults: what counts as caught, and a few of its faults on tiny data."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from bench import _faults_retail, _faults_streaming, _faults_streaming_values, faults
from bench._false_alarms import Alarms, Clean, alarms, days
from bench._fault_kinds import cells, delivered, landed, lines, not_delivered, query
from bench._fault_runs import Stage, attempt, copied, last_step
from bench._faults import GATE, LINES, Fault, Finding, Outcome, short, verdict
from tasks.runs.run import Run
from tasks.sources.land import land
from tasks.sources.simulation.service import Service
from tasks.sources.simulation.source import SimulatedSource
from tasks.store.files import Home
from tests.tiny_pipelines import BOUGHT, SHOWN, SHOWN_DAY, Tiny, in_process, pipeline_file, shop

DAY = timedelta(days=1)
FAULTS = {"streaming": _faults_streaming.FAULTS, "online_retail": _faults_retail.FAULTS}


def nothing(run: Run) -> None:
    """Inject no fault."""


def fault(*, must_stop: bool = True, meant: tuple[str, ...] = ("landed events value__*",)) -> Fault:
    return Fault("unit × 100", "percent", meant, must_stop, nothing)


def finding(measure: str = "value__mean", severity: str = "critical", table: str = "events") -> Finding:
    return Finding("landed", table, measure, severity, "50", "at most 1")


def outcome(*findings: Finding, published: bool = False, crashed: str | None = None) -> Outcome:
    return Outcome(findings, "check_landed" if not published else None, published, crashed, 1.0)


# -------------------------------------------------------------------------------------------- what counts


def test_a_fault_is_caught_by_a_check_that_is_meant_to() -> None:
    result = verdict(fault(), outcome(finding(), finding("rows_vs_trailing", "warning")), clean=[])
    assert result.caught
    assert result.label == "caught"
    assert result.by == finding()
    assert result.others == (finding("rows_vs_trailing", "warning"),)


def test_another_check_that_fails_is_an_accident() -> None:
    result = verdict(fault(), outcome(finding("value__mean", table="impressions")), clean=[])
    assert not result.caught
    assert result.label == "by accident"


def test_a_check_that_fails_on_the_clean_day_too_does_not_count() -> None:
    result = verdict(fault(), outcome(finding()), clean=[finding().key])
    assert not result.caught
    assert result.label == "MISSED"
    assert result.by is None


def test_a_check_that_was_a_warning_on_the_clean_day_and_is_critical_now_counts() -> None:
    result = verdict(fault(), outcome(finding()), clean=[finding(severity="warning").key])
    assert result.caught


@pytest.mark.parametrize(("must_stop", "caught"), [(True, False), (False, True)])
def test_a_warning_is_enough_only_if_nothing_has_to_stop(must_stop: bool, caught: bool) -> None:
    result = verdict(fault(must_stop=must_stop), outcome(finding(severity="warning")), clean=[])
    assert result.caught is caught


@pytest.mark.parametrize(("must_stop", "label"), [(True, "PUBLISHED"), (False, "caught")])
def test_what_must_stop_must_not_be_published(must_stop: bool, label: str) -> None:
    result = verdict(fault(must_stop=must_stop), outcome(finding(), published=True), clean=[])
    assert result.label == label
    assert result.caught is (label == "caught")


def test_a_crash_is_no_catch() -> None:
    assert not verdict(fault(), outcome(finding(), crashed="KeyError: 'value'"), clean=[]).caught


def test_the_severest_finding_of_the_first_line_is_named() -> None:
    late = Finding("features", "events: impossible_value", "rate", "critical")
    result = verdict(fault(meant=("landed * *", "features * *")), outcome(late, finding(severity="warning")), clean=[])
    assert result.by == late
    result = verdict(fault(meant=("landed * *", "features * *")), outcome(late, finding()), clean=[])
    assert result.by == finding()


# -------------------------------------------------------------------------------------- what is declared


@pytest.mark.parametrize("pipeline", FAULTS)
def test_faults_are_declared_beforehand(pipeline: str) -> None:
    names = [one.name for one in FAULTS[pipeline]]
    assert len(set(names)) == len(names)
    for one in FAULTS[pipeline]:
        assert one.lines, one.name
        assert all(pattern.split(" ")[0] in (*LINES, GATE) for pattern in one.meant), one.name
        assert all(len(pattern.split(" ", maxsplit=2)) == 3 for pattern in one.meant), one.name
        assert not any(pattern.endswith(" * *") for pattern in one.meant), one.name


def test_there_are_more_than_forty() -> None:
    assert sum(len(some) for some in FAULTS.values()) >= 44


def test_a_fault_that_stops_nothing_is_followed_to_its_last_line() -> None:
    steps = ["land", "check_landed", "build", "check_features", "check_examples", "evaluate", "gate", "publish"]
    assert last_step(fault(meant=("landed events value__*",)), steps) == "check_landed"
    assert last_step(fault(meant=("landed a b", "features a b")), steps) == "check_examples"
    assert last_step(fault(meant=("features a b", "gate a b")), steps) == "gate"
    assert last_step(fault(meant=("predictions a b",)), steps) == "gate"


# ------------------------------------------------------------------------------------------ what is done


def test_thirty_per_cent_are_lost() -> None:
    rows = pa.table({"event_id": [f"e{n}" for n in range(1000)], "value": [1.0] * 1000})
    table = query(_faults_streaming_values.nulls("value"), rows, rows, [])
    assert table["event_id"].to_pylist() == rows["event_id"].to_pylist()
    assert 250 < table["value"].null_count < 350


@pytest.fixture
def bought(tmp_path: Path) -> Run:
    """A run of the tiny shop, whose files may be changed."""
    data = shop(tmp_path / "data", last=date(2011, 3, 5))
    file = pipeline_file(tmp_path, BOUGHT)
    return Run.create(file, date(2011, 3, 4), "1", home=Home(tmp_path / "home"), data=data)


def test_files_are_changed_for_the_runs_day_alone(bought: Run) -> None:
    assert bought.data is not None
    before = {path.name: path.read_text() for path in bought.data.iterdir()}
    cells(Quantity=lambda cell, _: f"-{cell}")(bought)
    lines(lambda rows: rows[:5])(bought)
    delivered(lambda content, files: content + files.before().splitlines(keepends=True)[1])(bought)
    after = {path.name: path.read_text() for path in bought.data.iterdir()}
    changed = after.pop("2011-03-04.csv").splitlines()
    assert after.items() <= before.items()
    assert changed[0] == before["2011-03-04.csv"].splitlines()[0]
    assert [line.split(",")[3][0] for line in changed[1:6]] == ["-"] * 5
    assert changed[6:] == [before["2011-03-03.csv"].splitlines()[1]]
    not_delivered(bought)
    assert not (bought.data / "2011-03-04.csv").exists()


def test_copies_share_what_is_written_once_and_nothing_else(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for name in ("landing/a.parquet", "registry/timeline.jsonl", "warehouse/x.duckdb", "dbt/x/target/manifest.json"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("old")
    copied(home, tmp_path / "copy")
    shared = {path.name for path in (tmp_path / "copy").rglob("*") if path.is_file() and path.stat().st_nlink > 1}
    assert shared == {"a.parquet"}


# ------------------------------------------------------------------------------ a few faults on tiny data


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The tiny service on its day, of which nothing has landed; nothing was built, so no fault may get that far."""
    folder = tmp_path_factory.mktemp("stage")
    tiny = Tiny(pipeline_file(folder, SHOWN), SHOWN_DAY, folder / "before")
    run = tiny.prepared()
    land(run.spec, run.home, run.spec.start, SHOWN_DAY - DAY)
    return Stage(tiny.file, SHOWN_DAY, folder / "before", folder / "before")


NAMES = ["dropped column", "type change", "empty day", "duplicated file", "unit × 100", "30 % nulls: time"]
NAMES += ["clock shift of a day", "yesterday's file again", "constant position", "extra column"]


@in_process
@pytest.mark.parametrize("name", NAMES)
def test_a_fault_on_tiny_data_is_caught_before_anything_is_built(stage: Stage, tmp_path: Path, name: str) -> None:
    (one,) = [one for one in _faults_streaming.FAULTS if one.name == name]
    clean = attempt(stage, Fault("none", "nothing", one.meant, False, nothing), tmp_path / "clean")
    assert clean.stopped is None

    result = verdict(one, attempt(stage, one, tmp_path / "attempt"), {found.key for found in clean.findings})

    assert result.caught, result.others
    assert result.by is not None
    assert result.by.line == "landed"
    assert result.outcome.stopped == ("check_landed" if one.must_stop else None)
    assert not result.outcome.published
    assert result.by.measure in faults.row(result)[3]
    landings = stage.before / "landing"
    assert not list(landings.glob(f"*/*/ds={SHOWN_DAY}")), "the stage is left as it was"


ARRIVING = [one for one in _faults_streaming.FAULTS if not one.after]


@pytest.mark.parametrize("one", ARRIVING, ids=[one.name for one in ARRIVING])
def test_every_fault_of_what_arrives_changes_it(stage: Stage, tmp_path: Path, one: Fault) -> None:
    copied(stage.before, tmp_path / "home")
    run = stage.run(tmp_path / "home")
    source = SimulatedSource(Service(60, 40, 8))
    one.inject(run)
    landings = run.home.landing(run.spec.source_name)
    tables = {path.parent.parent.name: pq.read_table(path) for path in landings.glob(f"*/ds={SHOWN_DAY}/*.parquet")}
    earlier_days_alone = one in _faults_streaming.LABELS
    day_before = landings / "events" / f"ds={SHOWN_DAY - DAY}"
    assert len(list(day_before.glob("*.parquet"))) == 1
    (events,) = (pq.read_table(path) for path in day_before.glob("*.parquet"))
    assert events.equals(source.read(SHOWN_DAY - DAY, ["events"])["events"]) is not earlier_days_alone
    expected = {pattern.split(" ")[1] for pattern in one.meant if pattern.startswith("landed ")} - {"*"}
    right = source.read(SHOWN_DAY, tables)
    assert all(tables[table].equals(right[table]) for table in tables) is earlier_days_alone
    assert expected <= set(tables)


@in_process
def test_a_fault_that_nobody_looks_for_is_missed(stage: Stage, tmp_path: Path) -> None:
    harmless = Fault("harmless", "the rows come in another order", ("landed events value__*",), False, nothing)
    other = landed(events="select * from source order by hash(event_id)")
    result = verdict(harmless, attempt(stage, Fault("x", "y", harmless.meant, False, other), tmp_path / "a"), set())
    assert result.label == "MISSED"
    assert faults.row(result)[0] == "**harmless: MISSED**"


@in_process
def test_clean_days_are_judged_one_by_one(stage: Stage, tmp_path: Path) -> None:
    chosen = days(SHOWN_DAY - 2 * DAY, SHOWN_DAY)
    result = alarms(Clean(stage.pipeline, chosen, (), ()), tmp_path / "home", Console(quiet=True))
    checks = list((tmp_path / "home" / "runs").rglob("checks.json"))
    assert len(checks) == 3
    assert result.checked > 0
    assert result.of("critical") == []


# --------------------------------------------------------------------------------------------- the tables


def test_alarms_are_counted_by_week() -> None:
    first = date(2026, 3, 1)
    result = Alarms(Clean("streaming", days(first, first + 13 * DAY), (), ()))
    result.by_day = {first: [finding(severity="warning"), finding(severity="info")], first + DAY: [finding()]}
    assert result.per_week == 0.5
    assert result.of("critical") == [(first + DAY, finding())]
    text = faults.false_alarms([result])
    assert "| streaming | 14 |" in " ".join(text.split())
    assert "events: value__mean" in text


def test_the_first_section_counts_what_was_caught_and_held() -> None:
    missed = verdict(fault(), outcome(published=True), clean=[])
    text = faults.caught({"streaming": [verdict(fault(), outcome(finding()), clean=[]), missed]})
    assert "1 of 2 faults are caught" in text
    assert "2 of them must stop publishing: 1 times nothing was published" in text
    assert "**unit × 100: PUBLISHED**" in text


def test_cells_are_short_and_break_no_table() -> None:
    assert short("a | b\nc") == "a \\| b c"
    assert short("x" * 200, 10) == "x" * 9 + "…"
