"""What a run would make and why, on a shop of one line a day; dbt is not run."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from engine.descriptor import read_descriptor
from tasks.cli.render.plan import render_plan
from tasks.errors import BuildError, SourceError
from tasks.examples.candidates import cut_folders
from tasks.features import build
from tasks.features.build import build_step, needed
from tasks.operations.plan import UNTUNED, Reason, RunPlan, format_days, plan_run
from tasks.publishing.publish import version_of
from tasks.runs.run import Run
from tasks.sources.land import land_step
from tasks.spec.tune import Tune, TuneRetrieval
from tasks.store.files import write_digests, write_json
from tasks.store.registry import move_alias, version_dir
from tests.copied_transforms import copied_transforms, edit
from tests.engine.tiny import publish
from tests.tasks.handmade import published, spec_of
from tests.tasks.without_dbt import MODELS, SHOP, build_without_dbt, january, shop_run, write_files


def januaries(first: int, last: int) -> tuple[date, ...]:
    return tuple(january(number) for number in range(first, last + 1))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    write_files(tmp_path / "files", 14)
    return shop_run(tmp_path, 14)


def made(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The run, with its days landed, built and retrieved."""
    land_step(run)
    build_without_dbt(monkeypatch, [])
    build_step(run)
    for folder in cut_folders(run, needed(run)).values():
        folder.mkdir(parents=True)
        write_json(folder / "made.json", {})
        write_digests(folder)
    return run


def publish_tiny(run: Run, version: str, as_of: date) -> Path:
    """Put a version that can be read into the registry."""
    folder = version_dir(run.home, "shop", version)
    publish(folder, {"version": version})
    move_alias(run.home, "shop", published(version, as_of, content=read_descriptor(folder).content))
    return folder


def correct(run: Run, number: int) -> None:
    assert run.data is not None
    write_files(run.data, number, number, price=9.0)


def test_at_first_everything_is_to_be_made_and_the_version_has_no_name(run: Run) -> None:
    assert plan_run(run) == RunPlan(
        january(14),
        (
            Reason("land _rejects", januaries(4, 14), "not landed"),
            Reason("land lines", januaries(4, 14), "not landed"),
            Reason("features", januaries(12, 14), "never built"),
            Reason("labels", januaries(12, 13), "never built"),
            Reason("candidates", januaries(12, 14), "not made from these tables, settings and code"),
        ),
        None,
        False,
    )
    assert not run.home.root.exists()  # nothing was written


def test_what_is_landed_is_to_be_loaded_and_names_the_version(run: Run) -> None:
    land_step(run)
    plan = plan_run(run)
    assert plan.reasons[:2] == (
        Reason("load _rejects", januaries(4, 14), "landed, not loaded"),
        Reason("load lines", januaries(4, 14), "landed, not loaded"),
    )
    assert (plan.version, plan.published) == (version_of(run, needed(run)), False)


def test_where_all_is_made_there_is_nothing_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made(run, monkeypatch)
    version = version_of(run, needed(run))
    assert plan_run(run) == RunPlan(january(14), (), version, False)
    publish_tiny(run, version, january(14))
    assert plan_run(run) == RunPlan(january(14), (), version, True)


def test_a_damaged_version_is_a_fault_of_the_plan(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it is published is not believed: a run would stop at its folder, or fail the gate on the champion."""
    gate = {"metric": "ndcg@10", "not_worse_than": "champion", "margin": 1.0}
    judged = Run(spec_of(**SHOP, gates=[gate]), run.home, run.as_of, run.attempt, run.data)
    made(judged, monkeypatch)
    version = version_of(judged, needed(judged))
    folders = [publish_tiny(run, "2011-01-13.aa", january(13)), publish_tiny(run, version, january(14))]
    assert plan_run(judged).faults == ()

    (folders[0] / "descriptor.json").write_text("{")
    (folders[1] / "catalogue.parquet").write_bytes(b"PAR1")
    champion, own = plan_run(judged).faults
    assert champion.startswith(f"{folders[0]}/descriptor.json: not JSON (")
    assert own.startswith(f"{folders[1]}/catalogue.parquet: 4 bytes with sha256 ")
    for fault in (champion, own):
        assert fault.endswith("restore the version's folder from a backup, or remove it and publish its day again")
    assert f"fault      {own}" in shown(plan_run(judged))

    shutil.rmtree(folders[0])
    assert "descriptor.json: cannot be read (No such file or directory)" in plan_run(judged).faults[0]
    plain = Run(spec_of(**SHOP), run.home, run.as_of, run.attempt, run.data)
    assert plan_run(plain).faults == (), "it neither compares with the champion nor makes this version"


def test_candidates_that_were_damaged_are_to_be_made_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made(run, monkeypatch)
    folders = cut_folders(run, needed(run))
    (folders[january(12)] / "made.json").write_text("{")
    (folders[january(14)] / "digests.json").unlink()
    assert plan_run(run).reasons == (
        Reason("candidates", januaries(12, 12), "damaged since it was made: made.json was changed"),
        Reason("candidates", januaries(14, 14), "damaged since it was made: digests.json is missing"),
    )


def test_candidates_wait_for_settings_that_are_to_be_chosen(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    spaces = {"history": {"half_life": ("7d", "28d")}}
    retrieval = TuneRetrieval(trials=2, metric="recall@5", spaces=spaces)
    tune = Tune(trials=2, metric="ndcg@10", space={"rounds": (2, 4)}, retrieval=retrieval)
    tuned = replace(made(run, monkeypatch), spec=run.spec.model_copy(update={"tune": tune}))
    assert plan_run(tuned).reasons == (Reason("candidates", januaries(12, 14), UNTUNED),)


def test_a_corrected_file_is_landed_again_and_what_depends_on_it_is_built_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(run, monkeypatch)
    correct(run, 13)
    plan = plan_run(run)
    because = "built before _rejects of 2011-01-13, lines of 2011-01-13"
    assert plan.reasons == (
        Reason("land _rejects", januaries(13, 13), "its input has changed since it was landed"),
        Reason("land lines", januaries(13, 13), "its input has changed since it was landed"),
        Reason("features", januaries(13, 14), because),
        Reason("labels", januaries(12, 12), because),
        Reason("candidates", januaries(13, 14), "not made from these tables, settings and code"),
    )
    assert plan.version is None


def test_a_day_that_was_landed_again_is_loaded_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made(run, monkeypatch)
    before = plan_run(run).version
    correct(run, 13)
    land_step(run)
    plan = plan_run(run)
    assert plan.reasons[0] == Reason("load lines", januaries(13, 13), "landed again with other rows")
    assert {reason.why for reason in plan.reasons[1:3]} == {"built before lines of 2011-01-13"}
    assert plan.version not in {None, before}


def test_labels_that_look_back_name_the_corrected_day_of_the_past(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path / "files", 14)
    again = [{"grade": 1, "pair": "purchase_count > 0 and purchase_before > 0"}]
    run = made(shop_run(tmp_path, 14, label={**SHOP["label"], "grades": again}), monkeypatch)
    correct(run, 6)
    land_step(run)
    (labels,) = (reason for reason in plan_run(run).reasons if reason.what == "labels")
    assert labels == Reason("labels", januaries(12, 13), "built before lines of 2011-01-06")


def test_many_corrections_are_counted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made(run, monkeypatch)
    for number in range(5, 10):
        correct(run, number)
    land_step(run)
    (features,) = (reason for reason in plan_run(run).reasons if reason.what == "features")
    assert features.why == "built before lines of 2011-01-05, lines of 2011-01-06, lines of 2011-01-07 and 2 more"


def test_a_build_that_ended_early_is_told_from_one_that_never_was(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    land_step(run)
    of_days = [name for grain, name in MODELS if grain == "ds"]
    build_without_dbt(monkeypatch, [], ends_after=len(of_days) - 1)
    with pytest.raises(BuildError, match="out of memory"):
        build_step(run)
    why = {reason.what: reason.why for reason in plan_run(run).reasons}
    assert why["load lines"] == f"a build ended before {of_days[-1]}, tests of ds"
    assert why["features"] == "never built"


def test_other_code_makes_everything_anew(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made(run, monkeypatch)
    monkeypatch.setattr(build, "libraries", lambda: {"duckdb": "another version"})
    why = {reason.what: reason.why for reason in plan_run(run).reasons}
    assert set(why) == {"load lines", "load _rejects", "features", "labels"}
    assert set(why.values()) == {"the SQL, the label or a library has changed since it was built"}


def test_an_edited_file_of_the_sql_is_named_and_one_of_another_pipeline_changes_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copied_transforms(tmp_path, monkeypatch)
    made(run, monkeypatch)
    before = plan_run(run)
    assert before.reasons == ()

    edit(copy / "models" / "staging" / "simulated" / "stg_users.sql", "'missing_id'", "'no_id'")
    (copy / "models" / "marts" / "new_mart.sql").write_text("{{ nothing( }}")
    (copy / "datasets" / "another.yaml").write_text("name: another")
    assert plan_run(run) == before, "the version included"

    edit(copy / "models" / "staging" / "online_retail" / "stg_lines.sql", "'no_customer'", "'nobody'")
    after = plan_run(run)
    assert {reason.why for reason in after.reasons if reason.what != "candidates"} == {
        "changed since it was built: transforms/models/staging/online_retail/stg_lines.sql"
    }
    assert after.version not in {None, before.version}


def test_a_file_that_is_missing_is_named(run: Run) -> None:
    assert run.data is not None
    (run.data / "2011-01-12.csv").unlink()
    with pytest.raises(SourceError, match=r"2011-01-12\.csv: no file for Wednesday 2011-01-12"):
        plan_run(run)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([3], "2011-01-03"),
        ([3, 4], "2011-01-03 … 2011-01-04 (2 days)"),
        ([9, 4, 3], "2011-01-03 … 2011-01-04 (2 days), 2011-01-09"),
        ([1, 3, 5], "2011-01-01, 2011-01-03, 2011-01-05"),
        ([1, 3, 5, 7, 8], "2011-01-01 … 2011-01-08 (5 days)"),
        ([], ""),
    ],
)
def test_days_in_few_words(numbers: list[int], text: str) -> None:
    assert format_days([january(number) for number in numbers]) == text


def shown(found: RunPlan, outdated: tuple[date, ...] = ()) -> list[str]:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(render_plan(spec_of(**SHOP), found, outdated), soft_wrap=True)
    return [text.rstrip() for text in captured.get().splitlines()]


def test_a_plan_is_shown_as_a_table() -> None:
    reasons = (Reason("land lines", januaries(4, 6), "not landed"), Reason("labels", januaries(9, 9), "never built"))
    assert shown(RunPlan(january(14), reasons, None, False)) == [
        "shop as of 2011-01-14",
        "make        days                              because",
        "land lines  2011-01-04 … 2011-01-06 (3 days)  not landed",
        "labels      2011-01-09                        never built",
        "version    has no name until its days are landed",
    ]


def test_a_version_is_shown_with_what_becomes_of_it() -> None:
    assert shown(RunPlan(january(14), (), "2011-01-14.aa", True)) == [
        "shop as of 2011-01-14",
        "All tables are up to date.",
        "version    2011-01-14.aa, already published: a run makes the same again, byte for byte",
    ]
    assert shown(RunPlan(january(14), (), "2011-01-14.aa", False))[-1] == "version    2011-01-14.aa, not published"


def test_outdated_verdicts_are_shown_with_the_command_that_renews_them() -> None:
    assert shown(RunPlan(january(14), (), "2011-01-14.aa", True), (january(15), january(17)))[-1] == (
        "evaluate   2011-01-15, 2011-01-17: the champion they were compared with is no longer the one before them; "
        "`matinee backfill shop --from 2011-01-15 --to 2011-01-17` evaluates them again"
    )
