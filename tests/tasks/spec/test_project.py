"""Pipeline files are found by name, in the project's folder or in that of the environment, or by path."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import SpecError
from tasks.spec.project import TOOL, TRANSFORMS, pipeline_name, pipeline_names, pipeline_path, pipelines_folder


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
