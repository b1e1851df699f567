"""The planner: what is stale, and why. dbt itself is not run here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from duckdb import DuckDBPyConnection
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import BuildError, FilesChanged
from tasks.features import build, control_tables
from tasks.features.build import BuildResult, build_step, code_of_tables, needed, require_built, wanted
from tasks.features.control_tables import prepare, record_tested, write_control_tables
from tasks.features.dbt_run import dbt_vars
from tasks.features.duckdb_warehouse import DuckDBTables
from tasks.features.ledger import BuildPlan, plan_build
from tasks.runs.run import Run
from tasks.runs.sql_lineage import PipelineSql, sql_of
from tasks.sources.land import land_step
from tasks.spec.windows import first_as_of
from tasks.store.files import Home, read_json
from tasks.store.partitions import Partition
from tests.copied_transforms import copied_transforms, edit
from tests.tasks.handmade import day, spec_of
from tests.tasks.without_dbt import MODELS, build_without_dbt, enter, january, shop_run, write_files

DAY = timedelta(days=1)
ENTITIES = frozenset({"users"})


def partition(table: str, ds: date, content: str = "") -> Partition:
    sha256 = hashlib.sha256(f"{table}{ds}{content}".encode()).hexdigest()
    return Partition(table, ds, Path(f"/landing/{table}/ds={ds}/{sha256[:16]}.parquet"), sha256, 1)


def landing(first: date, last: date, *, corrected: Iterable[date] = ()) -> list[Partition]:
    changed, days = set(corrected), [first + n * DAY for n in range((last - first).days + 1)]
    return [partition("events", ds, "new" if ds in changed else "") for ds in days] + [partition("users", first)]


def run_of(folder: Path = Path("/nowhere"), as_of: str = "01-31", **changes: Any) -> Run:
    return Run(spec_of(**changes), Home(folder), day(as_of), "1")


@pytest.fixture
def connection() -> Iterator[DuckDBPyConnection]:
    with duckdb.connect() as made:
        yield made


class Landing:
    """What `make_plan` sees instead of files."""

    def __init__(self) -> None:
        self.partitions: list[Partition] = []


@pytest.fixture
def landed(monkeypatch: pytest.MonkeyPatch) -> Landing:
    found = Landing()
    sees(monkeypatch, found)
    found.partitions = landing(day("01-01"), day("02-10"))
    return found


def sees(monkeypatch: pytest.MonkeyPatch, found: Landing) -> None:
    def landed_for(source: Any, home: Home, start: date, end: date, **_: Any) -> list[Partition]:
        return [p for p in found.partitions if p.ds <= end and (p.ds >= start or p.table in ENTITIES)]

    monkeypatch.setattr("tasks.sources.land.landed_for", landed_for)
    monkeypatch.setattr("tasks.sources.land.open_source", lambda *_: SimpleNamespace(entities=ENTITIES))
    monkeypatch.setattr(build, "check_content", lambda _: None)  # these partitions have no files


def make_plan(run: Run, connection: DuckDBPyConnection) -> BuildPlan:
    """What `build` finds to do."""
    code = code_of_tables(run.spec)
    return plan_build(needed(run), prepare(connection, code.digest), code)


def finish(connection: DuckDBPyConnection, plan: BuildPlan) -> None:
    """What a build that ended well leaves behind."""
    if not plan.empty:
        write_control_tables(connection, plan)
        enter(connection)
        record_tested(connection)


def test_a_run_needs_its_cuts_and_its_own_day() -> None:
    run = run_of()
    features, labels = wanted(run.spec, [run.as_of], landing(day("01-01"), day("01-31")), ENTITIES)
    assert sorted(labels) == list(run.windows.refit)
    assert sorted(features) == [*run.windows.refit, day("01-31")]


@given(st.integers(0, 40))
def test_a_correction_makes_stale_what_depends_on_it_and_nothing_else(n: int) -> None:
    run, mended = run_of(start="2024-01-01"), day("01-01") + n * DAY
    before = wanted(run.spec, [run.as_of], landing(day("01-01"), day("02-10")), ENTITIES)
    after = wanted(run.spec, [run.as_of], landing(day("01-01"), day("02-10"), corrected=[mended]), ENTITIES)

    changed_features = {d for d in before[0] if before[0][d] != after[0][d]}
    changed_labels = {d for d in before[1] if before[1][d] != after[1][d]}
    assert changed_features == {d for d in before[0] if mended <= d}
    assert changed_labels == {d for d in before[1] if d < mended <= d + run.spec.lag}


@given(st.integers(0, 420))
def test_a_correction_of_the_past_makes_stale_the_labels_that_look_back(n: int) -> None:
    rules = [{"grade": 2, "pair": "play_before > 0 and play_count > 0"}, {"grade": 1, "when": "kind = 'play'"}]
    run, mended = run_of(start="2024-01-01", label={"grades": rules}), day("02-05") - n * DAY
    first = min(mended, run.windows.first)
    before = wanted(run.spec, [run.as_of], landing(first, day("02-05")), ENTITIES)[1]
    after = wanted(run.spec, [run.as_of], landing(first, day("02-05"), corrected=[mended]), ENTITIES)[1]

    changed = {cut for cut in before if before[cut] != after[cut]}
    assert changed == {cut for cut in before if cut - 365 * DAY < mended <= cut + run.spec.lag}
    assert all(mended >= run.landing_start for cut in changed)


def test_features_forget_events_after_a_year_and_users_never() -> None:
    run = run_of(start="2024-01-01")
    old = run.as_of - timedelta(days=365)
    with_nothing = wanted(run.spec, [run.as_of], [], ENTITIES)[0][run.as_of]

    def digest_with(table: str, ds: date) -> str:
        return wanted(run.spec, [run.as_of], [partition(table, ds)], ENTITIES)[0][run.as_of]

    assert digest_with("events", old) == with_nothing
    assert digest_with("events", old + DAY) != with_nothing
    assert digest_with("users", old - 100 * DAY) != with_nothing
    assert digest_with("events", run.as_of) != with_nothing
    assert digest_with("events", run.as_of + DAY) == with_nothing


def test_features_and_labels_of_a_cut_are_the_same_for_every_run() -> None:
    partitions = landing(day("01-01"), day("02-10"))
    early, late = (wanted(run_of().spec, [day(text)], partitions, ENTITIES) for text in ("01-31", "02-03"))
    for one, other in zip(early, late, strict=True):
        shared = one.keys() & other.keys()
        assert shared
        assert {d: one[d] for d in shared} == {d: other[d] for d in shared}


def test_everything_is_to_be_built_at_first_and_nothing_afterwards(
    connection: DuckDBPyConnection, landed: Landing
) -> None:
    run = run_of()
    first = make_plan(run, connection)
    assert first.changed == {(p.table, p.ds) for p in landed.partitions if p.ds <= run.as_of}
    assert len(first.features) == len(run.windows.refit) + 1

    finish(connection, first)
    assert make_plan(run, connection).empty


def test_the_next_day_builds_one_day_more(connection: DuckDBPyConnection, landed: Landing) -> None:
    finish(connection, make_plan(run_of(), connection))
    plan = make_plan(run_of(as_of="02-01"), connection)
    assert plan.changed == {("events", day("02-01"))}
    assert sorted(plan.features) == [day("01-29"), day("02-01")]  # the new cut, and the day itself
    assert sorted(plan.labels) == [day("01-29")]


def test_an_earlier_day_after_a_later_one_builds_only_what_is_missing(
    connection: DuckDBPyConnection, landed: Landing
) -> None:
    finish(connection, make_plan(run_of(as_of="02-05"), connection))
    plan = make_plan(run_of(as_of="02-04"), connection)
    assert plan.changed == frozenset()
    assert sorted(plan.features) == [day("01-20"), day("02-04")]  # its first cut is a day earlier
    assert sorted(plan.labels) == [day("01-20")]


def test_a_corrected_landing_is_loaded_again(connection: DuckDBPyConnection, landed: Landing) -> None:
    run = run_of()
    finish(connection, make_plan(run, connection))
    landed.partitions = landing(day("01-01"), day("02-10"), corrected=[day("01-20")])

    plan = make_plan(run, connection)

    assert plan.changed == {("events", day("01-20"))}
    assert min(plan.features) == day("01-20")
    assert sorted(plan.labels) == [day("01-17"), day("01-18"), day("01-19")]
    finish(connection, plan)
    assert make_plan(run, connection).empty


def test_a_build_that_was_killed_is_not_built(connection: DuckDBPyConnection, landed: Landing) -> None:
    run = run_of()
    finish(connection, make_plan(run, connection))
    landed.partitions = landing(day("01-01"), day("02-10"), corrected=[day("01-20")])
    plan = make_plan(run, connection)

    write_control_tables(connection, plan)
    assert make_plan(run, connection) == plan  # dbt dies before the first model

    enter(connection, MODELS[:2])
    assert make_plan(run, connection) == plan  # … after two models
    found = make_plan(run, connection).lacking["ds", "events", day("01-20")]
    assert set(found.missing) == {*code_of_tables(run.spec).models("ds")} - {name for _, name in MODELS[:2]}

    landed.partitions = landing(day("01-01"), day("02-10"))  # the old bytes again: two models have the others
    assert make_plan(run, connection).changed == {("events", day("01-20"))}
    landed.partitions = landing(day("01-01"), day("02-10"), corrected=[day("01-20")])

    enter(connection)
    assert make_plan(run, connection) == plan  # … before its tests have passed
    record_tested(connection)
    assert make_plan(run, connection).empty


def test_other_code_forgets_everything(
    connection: DuckDBPyConnection, landed: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of()
    first = make_plan(run, connection)
    finish(connection, first)
    connection.execute("create schema marts")
    connection.execute("create table marts.labels as select 1 as x")
    connection.execute("create view staged as select * from marts.labels")

    other = PipelineSql({**sql_of(run.spec).files, "macros/other.sql": "{% macro other() %}{% endmacro %}"})
    monkeypatch.setattr(build, "sql_of", lambda _: other)

    assert make_plan(run, connection) == first
    found = connection.sql("select table_name from information_schema.tables where table_schema <> 'control'")
    assert found.fetchall() == []


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        ({"label": {"horizon": "2d"}}, True),
        ({"label": {"grades": [{"grade": 1, "when": "kind = 'click'"}]}}, True),
        ({"label": {"grades": [{"grade": 1, "when": "kind='play'"}]}}, False),  # written otherwise, means the same
        ({"interactions": {"kinds": {"gift": {"counts_as": "save"}}}}, True),
        ({"interactions": {"kinds": {"play": {"weight": 5, "least": 0.9}}}}, False),  # only retrieval reads these
        ({"sample": {"groups": 5}}, False),
        ({"ranker": {"type": "lightgbm", "rounds": 7}}, False),
    ],
)
def test_what_sql_is_told_makes_everything_stale(
    connection: DuckDBPyConnection, landed: Landing, change: dict[str, Any], stale: bool
) -> None:
    finish(connection, make_plan(run_of(), connection))
    assert bool(make_plan(run_of(**change), connection).changed) is stale


def test_the_variables_of_dbt_are_the_same_every_day() -> None:
    assert dbt_vars(run_of().spec) == dbt_vars(run_of(as_of="02-09").spec) == {
        "pipeline": "tiny",
        "staging": "simulated",
        "own_kinds": {},
        "grades": [{"grade": 1, "when": "kind = 'play'"}],
        "attribution_minutes": None,
        "horizon_days": 1,
        "lateness_days": 2,
        "attributes": {
            "user": [],
            "item": [],
            "request": [{"name": "hour", "type": "integer"}, {"name": "daypart", "type": "varchar"}],
        },
    }  # fmt: skip


def test_dbt_is_told_which_facts_the_rules_mention() -> None:
    rules = [
        {"grade": 0, "pair": "play_max<0.1 and play_count > 0"},
        {"grade": 2, "pair": "play_before > 0"},
        {"grade": 1, "when": "kind='play'"},
    ]
    assert dbt_vars(spec_of(label={"grades": rules}))["grades"] == [
        {
            "grade": 0,
            "pair": "play_max < 0.1 AND play_count > 0",
            "facts": ["play_count", "play_max"],
            "looks_back": False,
        },
        {"grade": 2, "pair": "play_before > 0", "facts": ["play_before"], "looks_back": True},
        {"grade": 1, "when": "kind = 'play'"},
    ]


def test_dbt_is_told_in_tables(connection: DuckDBPyConnection, landed: Landing) -> None:
    finish(connection, make_plan(run_of(), connection))
    plan = make_plan(run_of(as_of="02-01"), connection)
    write_control_tables(connection, plan)

    told = connection.execute("select table_name, ds, changed from control.partitions where changed").fetchall()
    assert told == [("events", day("02-01"), True)]
    assert connection.execute("select count(*) from control.partitions").fetchone() == (33,)
    assert connection.execute("select as_of from control.as_of_days order by 1").fetchall() == [
        (day("01-29"),), (day("02-01"),),
    ]  # fmt: skip
    assert connection.execute("select cut from control.cuts").fetchall() == [(day("01-29"),)]


@pytest.mark.usefixtures("landed")
def test_the_step_runs_dbt_once_and_then_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[date]] = []
    build_without_dbt(monkeypatch, calls)
    run = run_of(tmp_path)

    first, second = build_step(run), build_step(run)

    assert calls == [[*run.windows.refit, run.as_of]]
    assert first.to_json() == {
        "partitions_loaded": {"days": 31, "from": "2026-01-01", "to": "2026-01-31"},
        "features_built": {"days": 14, "from": "2026-01-16", "to": "2026-01-31"},
        "labels_built": {"days": 13, "from": "2026-01-16", "to": "2026-01-28"},
        "up_to_date": False,
    }
    nothing = {"days": 0}
    assert second.to_json() == {
        "partitions_loaded": nothing, "features_built": nothing, "labels_built": nothing, "up_to_date": True,
    }  # fmt: skip
    assert run.read("build", BuildResult) == second
    assert read_json(run.step_dir("build") / "models.json") == []


@pytest.mark.usefixtures("landed")
def test_a_build_that_failed_marks_nothing_as_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(tmp_path)
    build_without_dbt(monkeypatch, [], ends_after=0)
    with pytest.raises(BuildError, match="out of memory"):
        build_step(run)
    assert not run.step_dir("build").exists()

    build_without_dbt(monkeypatch, [])
    assert build_step(run).partitions_loaded.days == 31


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("marts/feat_users.yml", "default: ", "default: 1"),
        ("staging/online_retail/staging.yml", "models:", "# edited\nmodels:"),
    ],
)
def test_a_process_that_read_other_declarations_builds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, old: str, new: str
) -> None:
    """As for the later days of a backfill: the SQL is read for each of them, features and attributes were read once."""
    calls: list[list[date]] = []
    build_without_dbt(monkeypatch, calls)
    write_files(tmp_path / "files", 14)
    run = shop_run(tmp_path, 14)
    land_step(run)
    file = copied_transforms(tmp_path, monkeypatch) / "models" / path
    edit(file, old, new)
    with pytest.raises(FilesChanged, match=rf"transforms/models/{path}\. Run the same command again"):
        build_step(run)
    assert calls == []
    edit(file, new, old)
    assert build_step(run).features_built.days > 0


def test_all_tables_of_a_day_that_is_loaded_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed partition makes its whole day be loaded, the tables that have not changed among them."""
    found = Landing()
    sees(monkeypatch, found)
    found.partitions = [*landing(day("01-01"), day("02-10")), partition("users", day("01-20"))]
    build_without_dbt(monkeypatch, [])
    build_step(run_of(tmp_path))
    compared: list[tuple[str, date]] = []
    monkeypatch.setattr(build, "check_content", lambda part: compared.append((part.table, part.ds)))
    found.partitions = [
        partition(part.table, part.ds, "corrected" if (part.table, part.ds) == ("events", day("01-20")) else "")
        for part in found.partitions
    ]
    build_step(run_of(tmp_path))
    assert compared == [("events", day("01-20")), ("users", day("01-20"))]


@settings(max_examples=12)
@given(st.permutations(["01-31", "02-01", "02-03", "02-08"]), st.sets(st.integers(0, 30), max_size=3))
def test_any_order_of_days_and_corrections_ends_in_the_same_ledger(order: list[str], corrected: set[int]) -> None:
    mended = landing(day("01-01"), day("02-10"), corrected=[day("01-01") + n * DAY for n in corrected])
    before = landing(day("01-01"), day("02-10"))

    def ledger(steps: list[tuple[str, list[Partition]]]) -> list[Any]:
        with duckdb.connect() as connection, pytest.MonkeyPatch.context() as patched:
            found = Landing()
            sees(patched, found)
            for text, partitions in steps:
                found.partitions = partitions
                finish(connection, make_plan(run_of(as_of=text), connection))
            return connection.execute("select * from control.ledger order by all").fetchall()

    clean = ledger([(text, mended) for text in sorted(order)])
    wild = ledger([(order[0], before), *((text, mended) for text in order), (order[0], mended)])
    assert wild == clean


def test_a_corrected_day_of_users_before_the_window_is_loaded_whole_when_it_is_needed_again(
    connection: DuckDBPyConnection, landed: Landing
) -> None:
    """Loading a day forgets all its rows, also those of tables that this run does not need that far back."""
    early = run_of()
    finish(connection, make_plan(early, connection))
    first, every = day("01-01"), landed.partitions
    corrected = partition("users", first, "new")
    landed.partitions = [p for p in every if p.table == "events" and p.ds > first] + [corrected]
    finish(connection, make_plan(run_of(as_of="02-10"), connection))

    landed.partitions = [p for p in every if p.table == "events"] + [corrected]
    assert ("events", first) in make_plan(early, connection).changed


def test_tables_dropped_by_half_are_not_in_the_ledger(connection: DuckDBPyConnection, landed: Landing) -> None:
    finish(connection, make_plan(run_of(), connection))

    class Killed:
        def execute(self, text: str, *rest: Any) -> Any:
            if text.startswith("drop"):
                raise KeyboardInterrupt
            return connection.execute(text, *rest)

    connection.execute("create table impressions (n integer)")
    with pytest.raises(KeyboardInterrupt):
        control_tables._drop_everything(Killed())  # type: ignore[arg-type]
    assert connection.execute("select count(*) from control.ledger").fetchall() == [(0,)]


def test_item_models_of_a_cut_learn_from_the_year_before_their_refit_day(landed: Landing) -> None:
    als = {"type": "als", "factors": 4, "refit": "7d", "k": 5}
    run = run_of(start="2024-01-01", retrieval=[als])
    cut = run.windows.first
    refit = cut - (cut - run.spec.start) % timedelta(days=7)
    assert refit < cut
    oldest = refit - timedelta(days=364)
    assert run.landing_start <= oldest

    def digest_with(content: str) -> str:
        return wanted(run.spec, [run.as_of], [partition("events", oldest, content)], ENTITIES)[0][cut]

    assert digest_with("old") != digest_with("new")


def test_other_libraries_make_everything_stale(
    connection: DuckDBPyConnection, landed: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of()
    finish(connection, make_plan(run, connection))
    assert make_plan(run, connection).empty
    monkeypatch.setattr(build, "libraries", lambda: {"duckdb": "9.9"}, raising=False)
    assert not make_plan(run, connection).empty


def test_tables_of_an_older_landing_are_refused(connection: DuckDBPyConnection, landed: Landing) -> None:
    """What is kept under the digest of the new landing would be made from the old one."""
    run = run_of()
    finish(connection, make_plan(run, connection))
    require_built(run, DuckDBTables(connection))
    landed.partitions = landing(day("01-01"), day("02-10"), corrected=[day("01-20")])
    with pytest.raises(BuildError, match="changed since the tables were built"):
        require_built(run, DuckDBTables(connection))


def test_days_that_wait_for_the_same_are_built_in_one_dbt_invocation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path / "files", 16)
    calls: list[list[date]] = []
    build_without_dbt(monkeypatch, calls)
    runs = {number: shop_run(tmp_path, number) for number in (14, 15, 16)}
    land_step(runs[14])

    built = build_step(runs[14], [january(16), january(15), january(14)])
    assert built.partitions_loaded.to_json() == {"days": 13, "from": "2011-01-04", "to": "2011-01-16"}
    assert built.features_built.to_json() == {"days": 5, "from": "2011-01-12", "to": "2011-01-16"}

    for number in (15, 16):
        land_step(runs[number])
        assert build_step(runs[number], [january(14)]).up_to_date is True
    assert len(calls) == 1


def test_a_day_that_is_built_builds_for_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path / "files", 16)
    calls: list[list[date]] = []
    build_without_dbt(monkeypatch, calls)
    run = shop_run(tmp_path, 14)
    land_step(run)
    build_step(run)
    assert build_step(run, [january(15), january(16)]).up_to_date is True
    assert len(calls) == 1


def test_days_before_the_first_possible_one_are_not_built_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path / "files", 15)
    calls: list[list[date]] = []
    build_without_dbt(monkeypatch, calls)
    run = shop_run(tmp_path, 14)
    assert first_as_of(run.spec) == january(13)
    land_step(run)
    build_step(run, [january(n) for n in range(4, 13)])
    assert calls == [[*run.windows.refit, run.as_of]]


def test_a_day_that_others_keep_from_being_landed_is_built_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tomorrow's file is not there yet."""
    write_files(tmp_path / "files", 14)
    calls: list[list[date]] = []
    build_without_dbt(monkeypatch, calls)
    run = shop_run(tmp_path, 14)
    land_step(run)
    assert build_step(run, [january(16)]).up_to_date is False
    assert calls == [[*run.windows.refit, run.as_of]]


def test_a_day_that_others_keep_from_being_built_is_built_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path / "files", 16)
    build_without_dbt(monkeypatch, [])
    well, calls = build.run_dbt, []

    def run_dbt(spec: Any, home: Home, sql: PipelineSql, log: Path) -> list[dict[str, Any]]:
        calls.append(log)
        if len(calls) == 1:
            raise BuildError("labels: error: a row of 2011-01-16 is damaged")
        return well(spec, home, sql, log)

    monkeypatch.setattr(build, "run_dbt", run_dbt)
    run = shop_run(tmp_path, 14)
    land_step(run)
    assert build_step(run, [january(16)]).features_built.last == january(14)
    assert len(calls) == 2
