"""`matinee prove` passes on the tiny pipelines, and names each of three planted leaks."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from rich.console import Console
from typer.testing import CliRunner

from tasks.cli.main import app
from tasks.errors import MatineeError, SourceError
from tasks.examples import cut_models, queries
from tasks.proof.differences import Difference
from tasks.proof.prove import (
    FILES,
    OTHERS,
    Comparison,
    Proof,
    files,
    land_ahead,
    later_partitions,
    prove,
    render,
    work_folder,
)
from tasks.proof.scenarios import Scenarios
from tasks.runs.run import Run
from tasks.sources.land import open_source
from tasks.store import sql
from tasks.store.files import Home
from tasks.store.partitions import read_manifests
from tests.copied_transforms import copied_transforms, edit
from tests.tiny_pipelines import (
    BOUGHT,
    BOUGHT_DAY,
    SHOWN,
    SHOWN_DAY,
    Tiny,
    in_process,
    pipeline_file,
    shop,
    threads,
)

pytestmark = in_process
FUTURE = 3


@pytest.fixture(scope="module")
def tiny_shown(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    folder = tmp_path_factory.mktemp("shown")
    return Tiny(pipeline_file(folder, SHOWN), SHOWN_DAY, folder / "home")


@pytest.fixture(scope="module")
def tiny_bought(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    folder = tmp_path_factory.mktemp("bought")
    data = shop(folder / "shop", last=BOUGHT_DAY + timedelta(days=FUTURE))
    return Tiny(pipeline_file(folder, BOUGHT), BOUGHT_DAY, folder / "home", data)


def proof_of(tiny: Tiny, *scenarios: str, scratch: Path | None = None) -> Proof:
    run, console = tiny.prepared(attempt="prove"), Console(quiet=True)
    with threads(2), work_folder(run, console, scratch, scratch is not None) as folder:
        return prove(run, console, folder, days=FUTURE, scenarios=scenarios)


def text_of(proof: Proof) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(render(proof))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.slow
def test_the_proof_of_a_pipeline_of_impressions_passes(tiny_shown: Tiny, tmp_path: Path) -> None:
    proof = proof_of(tiny_shown, *OTHERS, scratch=tmp_path)
    assert [line.rstrip() for line in text_of(proof).splitlines()[1:]] == [
        "artifact    deleted  absurd  late  past",
        "features    same     same    same  same",
        "labels      same     same    same  –",
        "retrieval   same     same    same  same",
        "examples    same     same    same  –",
        "sample      same     same    same  –",
        "models      same     same    same  –",
        "metrics     same     same    same  –",
        "descriptor  same     same    same  –",
        "",
        "proven: nothing that happens or becomes known after 2026-01-18 (until 2026-01-21) changes the run",
    ]
    assert [path.name for path in tiny_shown.home.iterdir()] == ["landing"]
    (homes,) = tmp_path.iterdir()
    every_artifact_has_its_files(replace(tiny_shown.prepared(attempt="prove"), home=Home(homes / "original")))
    day, last = tiny_shown.as_of, tiny_shown.as_of + timedelta(days=FUTURE)
    for name, latest in (("absurd", last), ("late", day)):
        every_absurd_row_is_accepted(Home(homes / name), day, last, latest)
    parsed = {
        path.name: "Starting full parse" in (path / "dbt/shown/logs/dbt.log").read_text() for path in homes.iterdir()
    }
    assert parsed == {"original": True, **dict.fromkeys(OTHERS, False)}


def every_artifact_has_its_files(run: Run) -> None:
    """Else a file that is kept elsewhere one day would count as the same for good."""
    found = {artifact: files(run, artifact).keys() for artifact in ("retrieval", *FILES)}
    names = {Path(name).name for name in found["retrieval"]}
    assert names == {"als.npz", "popularity.npz", "history.npz", "catalogue.parquet", "candidates.parquet"}
    assert found["examples"] == {f"sample/{name}.parquet" for name in ("train", "validation", "test", "refit")}
    assert found["sample"] >= {"sample/strata.json", "sample/result.json", "sample/serving/user.parquet"}
    assert {Path(name).name for name in found["models"]} >= {"function.json", "trees.txt"}
    assert found["metrics"] >= {"evaluate/records.json", "evaluate/groups.parquet", "gate/gates.json"}
    assert found["descriptor"] >= {"version/descriptor.json", "version/retrieval/als.npz"}


def every_absurd_row_is_accepted(home: Home, day: date, last: date, latest: date) -> None:
    landed = read_manifests(home, "simulated-60x40-8", ["events", "impressions"], day + timedelta(days=1), last)
    with duckdb.connect(home.warehouse("shown"), read_only=True) as connection:
        ((events, happened, most),) = connection.execute(
            "select count(*), max(occurred_at)::date, max(value) from interactions where ds > ?", [day]
        ).fetchall()
        ((shown,),) = connection.execute("select count(*) from impressions where ds > ?", [day]).fetchall()
    assert events + shown == sum(part.rows for part in landed) > 1000
    assert (happened, most) == (latest, 5.0)


@pytest.mark.slow
def test_the_command_proves_a_pipeline_of_snapshots(tiny_bought: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """In two processes, and with a registry that is left alone."""
    monkeypatch.setenv("MATINEE_HOME", str(tiny_bought.home))
    words = ["prove", str(tiny_bought.file), "--as-of", str(tiny_bought.as_of), "--data", str(tiny_bought.data)]
    done = CliRunner().invoke(app, [*words, "--days", str(FUTURE)])
    assert done.exit_code == 0, done.output
    assert "proven: nothing that happens or becomes known after 2011-03-05 (until 2011-03-08)" in done.output
    assert "DIFFERS" not in done.output
    assert [path.name for path in tiny_bought.home.iterdir()] == ["landing"]


def test_the_command_fails_when_something_differs(tiny_shown: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    leak = Difference("feat_users.region", 2, 60, "as_of=2026-01-18 user_id=u1: 'BR' -> 'DE'")
    found = Comparison("late", {"features": [leak], "labels": []})
    monkeypatch.setattr("tasks.proof.prove.prove", lambda *_, **__: Proof("shown", SHOWN_DAY, SHOWN_DAY, (found,)))
    done = CliRunner().invoke(app, ["prove", str(tiny_shown.file), "--as-of", str(SHOWN_DAY)])
    assert done.exit_code == 1
    assert "late · features: feat_users.region: 2 of 60, e.g. as_of=2026-01-18 user_id=u1: 'BR' -> 'DE'" in done.output
    assert "features    DIFFERS" in done.output
    assert "not proven" in done.output


def test_what_a_difference_was_passed_on_to_is_named_once() -> None:
    leaks = [Difference(f"feat_users.{name}", 1, 9, "…") for name in "abcdefg"]
    passed_on = [Difference(f"sample/train.parquet:{name}", 1, 9, "…") for name in "ab"]
    found = Comparison("late", {"features": leaks, "labels": [], "examples": passed_on})
    assert [line.strip() for line in text_of(Proof("shown", SHOWN_DAY, SHOWN_DAY, (found,))).splitlines()[11:-2]] == [
        *(f"late · features: feat_users.{name}: 1 of 9, e.g. …" for name in "abcde"),
        "late · features: … and 2 more",
        "late · examples: sample/train.parquet:a: 1 of 9, e.g. …",
        "late · examples: … and 1 more",
    ]


@pytest.fixture
def transforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the SQL project that is built instead of it."""
    return copied_transforms(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def tiny_unseen(tiny_bought: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The shop's pipeline, without what customers have bought before in any list."""
    folder = tmp_path_factory.mktemp("unseen")
    changes = {
        "name": "unseen",
        "candidates": {"seen": "exclude"},
        "features": ["als_score", "popularity_rank", "item_actions_28d"],
        "retrieval": [{"type": "als", "factors": 4, "k": 10}, {"type": "popularity", "k": 10}],
        "evaluate": {"metrics": ["ndcg@10"], "baselines": ["popularity"]},
    }
    file = pipeline_file(folder, BOUGHT, **changes)
    return Tiny(file, BOUGHT_DAY, folder / "home", tiny_bought.data)


@pytest.mark.slow
def test_the_proof_of_a_pipeline_without_seen_items_passes(tiny_unseen: Tiny, tmp_path: Path) -> None:
    """What is bought after a day, or known only after it, was not seen by it."""
    proof = proof_of(tiny_unseen, *OTHERS, scratch=tmp_path)
    assert proof.passed, text_of(proof)
    (homes,) = tmp_path.iterdir()
    run = replace(tiny_unseen.prepared(attempt="prove"), home=Home(homes / "original"))
    assert "seen.npz" in {Path(name).name for name in files(run, "retrieval")}
    assert "version/retrieval/seen.npz" in files(run, "descriptor")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("condition", "scenario"),
    [
        ("cast(occurred_at as date) <= {{ literal(cut) }}", "late"),  # it had happened, but was not known
        ("ds <= {{ literal(cut) }} + 9", "past"),
    ],
)
def test_what_is_seen_too_early_is_named(
    condition: str, scenario: str, tiny_unseen: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule that takes as seen what nobody knew, or what had not happened, by the cut."""
    leaking = "select distinct user_id, item_id from interactions where {{ condition }} order by user_id, item_id"
    (tmp_path / "seen_pairs.sql").write_text(leaking.replace("{{ condition }}", condition), encoding="utf-8")
    monkeypatch.setattr(queries, "seen_pairs", lambda cut: sql.render(tmp_path, "seen_pairs", cut=cut))
    proof = proof_of(tiny_unseen, scenario)
    assert not proof.passed
    assert proof.comparisons[0].differences["retrieval"]


@pytest.mark.slow
def test_a_feature_that_uses_the_label_day_is_named(tiny_bought: Tiny, transforms: Path) -> None:
    """Trailing windows that end a day too late: only a scenario that ends with a cut tells of past cuts."""
    macros = transforms / "macros"
    edit(macros / "trailing.sql", "select {{ key }}, day, ds{%", "select {{ key }}, day - 1 as day, ds - 1 as ds{%")
    edit(macros / "user_item_features.sql", "daily.ds <= asked.as_of", "daily.ds <= asked.as_of + 1")
    proof = proof_of(tiny_bought, "past")
    assert not proof.passed
    found = {difference.place for difference in proof.comparisons[0].differences["features"]}
    assert {
        "feat_users.user_actions_28d",
        "feat_items.item_actions_28d",
        "feat_user_items.user_item_actions_28d",
    } <= found
    assert "past · features: feat_users." in text_of(proof)


@pytest.mark.slow
def test_a_user_attribute_that_is_overwritten_later_is_named(tiny_shown: Tiny, transforms: Path) -> None:
    honest = "changes.valid_from <= days.as_of and (changes.valid_until is null or days.as_of < changes.valid_until)"
    edit(transforms / "macros" / "attributes.sql", honest, "changes.valid_until is null")
    proof = proof_of(tiny_shown, "late")
    assert not proof.passed
    found = {difference.place: difference for difference in proof.comparisons[0].differences["features"]}
    assert found["feat_users.region"].count > 10
    assert " user_id=u" in found["feat_users.region"].example
    assert "late · features: feat_users.region: " in text_of(proof)


@pytest.mark.slow
def test_item_factors_that_are_fitted_past_the_cut_are_named(
    tiny_shown: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(cut_models, "refit_day", lambda cut, start, every: cut + timedelta(days=2))
    proof = proof_of(tiny_shown, "past")
    assert not proof.passed
    assert proof.comparisons[0].differences["features"] == []
    named = {difference.place for difference in proof.comparisons[0].differences["retrieval"]}
    assert named == {"2026-01-16/als.npz:item_factors", "2026-01-16/als.npz:user_factors"}
    assert "past · retrieval: 2026-01-16/als.npz:item_factors: " in text_of(proof)


def test_the_last_day_of_a_source_cannot_be_proved(tiny_bought: Tiny) -> None:
    run = replace(tiny_bought.prepared(attempt="prove"), as_of=date(2011, 12, 9))
    source = open_source(run.spec, run.home, run.data)
    with pytest.raises(SourceError, match=r"found the days 2011-12-10 to 2011-12-10.* choose an earlier one"):
        later_partitions(run, source, 7)
    days = {day for _, day in later_partitions(replace(run, as_of=date(2011, 12, 7)), source, 7)}
    assert days == {date(2011, 12, 8), date(2011, 12, 9)}


def test_a_source_may_have_nothing_after_the_day_yet(tiny_bought: Tiny, tmp_path: Path) -> None:
    tiny = replace(
        tiny_bought, home=tmp_path / "home", data=shop(tmp_path / "shop", last=BOUGHT_DAY + timedelta(days=1))
    )
    run = tiny.prepared(attempt="prove")
    source = open_source(run.spec, run.home, run.data)
    assert land_ahead(run, source, 7) == BOUGHT_DAY + timedelta(days=1)
    (tmp_path / "shop" / f"{BOUGHT_DAY - timedelta(days=1)}.csv").unlink()
    with pytest.raises(SourceError, match="no file for Friday 2011-03-04"):
        land_ahead(run, source, 7)


def scenarios_of(run: Run, folder: Path) -> Scenarios:
    return Scenarios(run, [], run.as_of, [("events", run.as_of + timedelta(days=1))], folder, str)


def test_what_fails_in_a_scenario_names_the_scenario(tiny_shown: Tiny, tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match=r"in the scenario 'deleted' \(nothing after the day\): .* not landed"):
        scenarios_of(tiny_shown.prepared(), tmp_path).make("deleted")


def test_later_rows_that_staging_rejects_proves_nothing(
    tiny_shown: Tiny, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nothing = dict.fromkeys(("interactions", "impressions", "users", "items"), 0)
    for name in ("_land", "_build_later"):
        monkeypatch.setattr(Scenarios, name, lambda self, name: None)
    monkeypatch.setattr(Scenarios, "_after", lambda self, name: nothing)
    monkeypatch.setattr("tasks.proof.scenarios._STEPS", {})
    scenarios = scenarios_of(tiny_shown.prepared(), tmp_path)
    assert scenarios.make("original").after == scenarios.make("deleted").after == nothing
    with pytest.raises(
        MatineeError, match=r"in the scenario 'late' .* no interaction that landed after 2026-01-18 was accepted"
    ):
        scenarios.make("late")
