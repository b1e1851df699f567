"""Pipeline files are found by name, in the project's folder or in that of the environment, or by path."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.spec.project import PROJECT, TRANSFORMS, pipeline_path, pipelines_folder


def test_a_name_is_looked_up_and_a_path_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MATINEE_PIPELINES", raising=False)
    assert pipeline_path("streaming") == PROJECT / "pipelines" / "streaming.yaml"
    assert pipeline_path("elsewhere/mine.yml") == Path("elsewhere/mine.yml")

    monkeypatch.setenv("MATINEE_PIPELINES", str(tmp_path))
    assert pipelines_folder() == tmp_path
    assert pipeline_path("streaming") == tmp_path / "streaming.yaml"


def test_the_project_is_where_its_files_are() -> None:
    assert (PROJECT / "pyproject.toml").is_file()
    assert (TRANSFORMS / "dbt_project.yml").is_file()
