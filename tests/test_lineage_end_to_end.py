"""Whole runs beside edits of the SQL: those of other pipelines change and fail nothing, own ones stop the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import FilesChanged
from tasks.features.build import BuildResult, build_step
from tasks.runs.failures import call_step
from tasks.runs.steps import sequence
from tests.copied_transforms import copied_transforms, edit
from tests.tiny_pipelines import Tiny, in_process, threads

pytestmark = [in_process, pytest.mark.slow]


def break_what_is_not_of_the_service(transforms: Path) -> None:
    """Leave files in the state in which somebody saves them while writing."""
    (transforms / "macros" / "new.sql").write_text("{% macro new() %}{{ '")
    (transforms / "models" / "marts" / "new_mart.sql").write_text("select {{ nothing( }} {%")
    (transforms / "models" / "marts" / "new_mart.yml").write_text("models:\n  - name: new_mart\n    columns: [{")
    (transforms / "models" / "staging" / "new").mkdir()
    (transforms / "models" / "staging" / "new" / "stg_users.sql").write_text("{{")
    edit(transforms / "models" / "staging" / "online_retail" / "stg_lines.sql", "select", "sel{{ect")
    edit(
        transforms / "macros" / "staging.sql",
        "{% macro no_impressions() %}",
        "{% macro no_impressions() %}{{ nothing( }}",
    )


def test_broken_files_of_others_neither_make_stale_nor_break_a_build(
    shown: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = shown.copied(tmp_path / "home")
    break_what_is_not_of_the_service(copied_transforms(tmp_path, monkeypatch))

    again = tiny.make_version(attempt="2")
    assert again.read("build", BuildResult).up_to_date
    assert tiny.versions == shown.versions

    again.home.warehouse("shown").unlink()
    third = tiny.make_version(attempt="3")
    assert third.read("build", BuildResult).features_built.days > 0
    assert tiny.versions == shown.versions


def test_an_own_file_that_is_edited_stops_the_run_and_the_next_one_is_made_of_it(
    shown: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny, transforms = shown.copied(tmp_path / "home"), copied_transforms(tmp_path, monkeypatch)
    run, steps = tiny.prepared(attempt="2"), sequence()
    names = list(steps)
    with threads(2):
        for name in names[: names.index("train")]:
            call_step(run, name, steps[name])
        edit(transforms / "models" / "staging" / "simulated" / "stg_users.sql", "region, '*'", "region, 'nowhere'")
        with pytest.raises(FilesChanged, match=r"step 'sample' .*simulated/stg_users\.sql"):
            call_step(run, "train", steps["train"])
        assert not build_step(run).up_to_date
    assert tiny.versions == shown.versions, "nothing was published"

    tiny.make_version(attempt="3")
    assert len(tiny.versions) == len(shown.versions) + 1


def test_a_model_whose_name_is_put_together_is_built_and_one_that_is_hidden_fails_by_name(
    shown: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny, transforms = shown.elsewhere(tmp_path / "home"), copied_transforms(tmp_path, monkeypatch)
    staged = transforms / "models" / "staging" / "simulated"
    names = "{% set name = 'stg_' ~ 'kinds' %}"
    edit(staged / "stg_rejected_rows.sql", "{{ rejected_rows", f"{names}-- {{{{ ref(name) }}}}\n{{{{ rejected_rows")
    (staged / "stg_kinds.sql").write_text("{{ config(materialized='table') }}\nselect 1 as one\n")
    run = tiny.prepared()
    steps = sequence()
    with threads(2):
        call_step(run, "land", steps["land"])
        call_step(run, "build", steps["build"])  # an own model is there whoever names it
        (staged / "stg_kinds.sql").rename(transforms / "models" / "intermediate" / "stg_kinds.sql")
        with pytest.raises(Exception, match=r"stg_kinds(.|\n)*spell its name where it is used"):
            call_step(run, "build", steps["build"])
