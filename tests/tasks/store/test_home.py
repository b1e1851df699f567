"""A state folder that is read has to be there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import MatineeError
from tasks.store.database import connect
from tasks.store.files import Home, default_home
from tasks.store.home import existing_home
from tasks.store.sql import literal


def test_a_state_folder_that_is_read_has_to_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path / "typo"))
    assert default_home().root == tmp_path / "typo", "a run creates it"
    with pytest.raises(MatineeError, match=r"typo: no such state folder\. MATINEE_HOME names it"):
        existing_home()
    monkeypatch.setenv("MATINEE_HOME", "")
    monkeypatch.setenv("MATINEE_PROJECT", str(tmp_path / "shop"))
    with pytest.raises(MatineeError, match=r"shop/var: no such state folder\. MATINEE_PROJECT names it"):
        existing_home()
    monkeypatch.delenv("MATINEE_PROJECT")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MatineeError, match=r"var: no such state folder\. It is `var` in the folder"):
        existing_home()
    (tmp_path / "var").mkdir()
    assert existing_home().root == tmp_path / "var"


@pytest.mark.parametrize("name", ["a*b", "what?", "pipeline[1]"])
def test_a_state_folder_is_no_pattern_of_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path / name / "state"))
    with pytest.raises(MatineeError, match=r"state: found . in the path of the state folder.*none of \* \? \["):
        default_home()


@pytest.mark.parametrize("name", ["it's", "sp ace ünï", "curly{{ x }}", 'do$llar"quote', "a]b", "c#d%20"])
def test_duckdb_reads_and_writes_in_a_state_folder_and_in_no_other(tmp_path: Path, name: str) -> None:
    for number, folder in enumerate((name, "other", "acb")):
        path = Home(tmp_path / folder).warehouse("tiny")
        path.parent.mkdir(parents=True)
        with connect(path) as connection:
            connection.execute(f"create table numbered as select {number} as number")
            file = literal(str(path.with_suffix(".parquet")))
            connection.execute(f"copy numbered to {file} (format parquet)")
    path = Home(tmp_path / name).warehouse("tiny")
    with connect(path, read_only=True) as connection:
        assert connection.execute("from numbered").fetchall() == [(0,)]
        file = literal(str(path.with_suffix(".parquet")))
        assert connection.execute(f"from read_parquet([{file}])").fetchall() == [(0,)]
