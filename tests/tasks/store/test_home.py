"""A state folder that is read has to be there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import MatineeError
from tasks.store.files import default_home
from tasks.store.home import existing_home


def test_a_state_folder_that_is_read_has_to_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path / "typo"))
    assert default_home().root == tmp_path / "typo", "a run creates it"
    with pytest.raises(MatineeError, match=r"typo: no such state folder\. MATINEE_HOME names it"):
        existing_home()
    monkeypatch.setenv("MATINEE_HOME", "")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MatineeError, match=r"var: no such state folder\. It is `var` in the folder"):
        existing_home()
    (tmp_path / "var").mkdir()
    assert existing_home().root == tmp_path / "var"
