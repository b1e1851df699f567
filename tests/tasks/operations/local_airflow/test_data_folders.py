"""A data folder is given to whom reads it, and never lost on the way."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks.errors import StackError, WrongArgument
from tasks.operations.local_airflow import processes
from tasks.operations.local_airflow.data_folders import data_environment, require_same_data
from tests.tasks.handmade import spec_of

SHOP = spec_of(source={"type": "files", "dataset": "shop"})
VARIABLE = "MATINEE_DATA_SHOP"


def running(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    supervisor = SimpleNamespace(environ=lambda: environment)
    monkeypatch.setattr(processes, "supervisor_of", lambda _: supervisor)


def test_the_variable_names_the_folder_from_wherever_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert data_environment(SHOP, Path("files")) == {VARIABLE: str(tmp_path.resolve() / "files")}
    assert data_environment(SHOP, None) == {}


def test_a_source_that_reads_none_refuses_a_folder(tmp_path: Path) -> None:
    assert data_environment(spec_of(), None) == {}
    with pytest.raises(WrongArgument, match="the source of tiny is simulated and reads no folder"):
        data_environment(spec_of(), tmp_path)


def test_a_running_airflow_must_read_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, mine, other = tmp_path / "home", tmp_path / "mine", tmp_path / "other"
    running(monkeypatch, **{VARIABLE: str(mine)})
    require_same_data(SHOP, home, mine)
    require_same_data(SHOP, home, None)
    with pytest.raises(StackError) as refused:
        require_same_data(SHOP, home, other)
    assert f"reads shop from {mine}" in str(refused.value)
    assert f"`make down`, then `make up PIPELINE=tiny DATA={other}`" in str(refused.value)


def test_one_that_was_given_none_reads_the_folder_of_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    running(monkeypatch)
    require_same_data(SHOP, home, home / "data" / "shop")
    with pytest.raises(StackError, match=f"reads shop from {home / 'data' / 'shop'}"):
        require_same_data(SHOP, home, tmp_path / "mine")


def test_no_airflow_is_given_any_folder(tmp_path: Path) -> None:
    require_same_data(SHOP, tmp_path, tmp_path / "mine")
