"""Pipeline files are found by name, in the project's folder or in that of the environment, or by path."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tasks.errors import SpecError
from tasks.spec.load import load_spec
from tasks.spec.project import (
    TOOL,
    TRANSFORMS,
    Layers,
    new_project,
    pipeline_name,
    pipeline_names,
    pipeline_path,
    pipelines_folder,
    project,
    stack_command,
    take_environment,
    transforms,
)
from tasks.store.files import default_home


def test_a_name_is_looked_up_and_a_path_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MATINEE_PIPELINES", raising=False)
    assert pipeline_path("streaming") == TOOL / "pipelines" / "streaming.yaml"
    assert pipeline_path("elsewhere/mine.yml") == Path("elsewhere/mine.yml")

    monkeypatch.setenv("MATINEE_PIPELINES", str(tmp_path))
    assert pipelines_folder() == tmp_path
    assert pipeline_path("streaming") == tmp_path / "streaming.yaml"


def test_a_folder_that_does_not_exist_is_no_folder_without_pipelines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_PIPELINES", str(tmp_path / "typo"))
    for find in (pipelines_folder, pipeline_names, lambda: pipeline_path("streaming"), lambda: pipeline_name("shop")):
        with pytest.raises(
            SpecError, match=r"typo: no such folder of pipeline files; create it, or correct MATINEE_PIP"
        ):
            find()
    assert pipeline_name("elsewhere/mine.yml") == "mine"


def test_the_project_is_where_its_files_are() -> None:
    assert (TOOL / "pyproject.toml").is_file()
    assert (TRANSFORMS / "dbt_project.yml").is_file()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of somebody's own, which no variable names."""
    for name in ("MATINEE_PIPELINES", "MATINEE_PROJECT", "MATINEE_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "shop" / "pipelines").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    return tmp_path / "shop"


def test_the_variable_goes_before_the_working_directory_and_this_before_matinee_itself(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (project(), default_home().root) == (TOOL, TOOL / "var")
    assert transforms().folders == (TRANSFORMS,), "the clone adds nothing to itself"
    monkeypatch.chdir(shop.parent / "empty")
    assert (project(), new_project()) == (TOOL, shop.parent / "empty")
    monkeypatch.chdir(shop)
    assert (project(), new_project(), pipelines_folder()) == (shop, shop, shop / "pipelines")
    assert transforms().folders == (TRANSFORMS, shop / "transforms")
    assert default_home().root == shop / "var"
    monkeypatch.setenv("MATINEE_PROJECT", "../empty")
    assert (project(), new_project()) == (shop.parent / "empty", shop.parent / "empty")
    assert default_home().root == shop.parent / "empty" / "var"
    monkeypatch.setenv("MATINEE_PROJECT", "../nowhere")
    with pytest.raises(SpecError, match=r"nowhere: no such folder; create it, or correct MATINEE_PROJECT"):
        project()


def test_a_new_pipeline_of_the_clone_is_not_written_into_one_of_its_folders(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(TOOL / "docs")
    assert new_project() == TOOL


@pytest.mark.parametrize("folder", ["tests", "bench"])
def test_a_folder_of_the_clone_is_no_project(shop: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """It has `pipelines/`, too, and commands that are run there are about those of the clone."""
    monkeypatch.chdir(TOOL / folder)
    assert project() == TOOL
    monkeypatch.setenv("MATINEE_PROJECT", ".")
    assert project() == TOOL / folder


def test_a_name_that_only_matinee_could_have_is_looked_for_in_a_project(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop.parent / "empty")
    with pytest.raises(SpecError, match=r"These come with matinee, as .*/empty has no pipelines/: go to your project"):
        load_spec(pipeline_path("zzz"))


def test_layers_add_files_and_take_a_folder_as_a_whole(tmp_path: Path) -> None:
    for path in ("tool/a/one", "tool/b/two", "own/b/three", "own/a.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    tool, own = tmp_path / "tool", tmp_path / "own"
    both = Layers((tool, own))
    assert both.glob("*/*") == [tool / "a" / "one", tool / "b" / "two", own / "b" / "three"]
    assert (both.whole("a"), both.whole("b"), both.whole("c")) == (tool / "a", own / "b", own / "c")
    assert (both.of("a"), both.of("b")) == (Layers((tool,)), Layers((own,)))
    assert both.below("b") == Layers((tool / "b", own / "b"))


def test_the_variables_of_a_project_are_taken_but_for_those_that_are_set(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop / ".env").write_text("SHOP_DB=theirs\nSHOP_KEY=from the file\n")
    monkeypatch.setenv("SHOP_DB", "mine")
    monkeypatch.setenv("SHOP_KEY", "to be undone")
    monkeypatch.delenv("SHOP_KEY")
    take_environment()
    assert "SHOP_KEY" not in os.environ, "the clone is the project"
    monkeypatch.chdir(shop)
    take_environment()
    assert (os.environ["SHOP_DB"], os.environ["SHOP_KEY"]) == ("mine", "from the file")


def test_airflow_is_started_by_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stack_command("up") == "make up"
    monkeypatch.setattr("tasks.spec.project.PREFIX", "matinee.")
    assert stack_command("up") == "matinee stack up"
