"""The file `.env` of a project: what is read, and what is refused, without its secrets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tasks.errors import MatineeError
from tasks.store.env_file import read_env_file


def env_file(folder: Path, text: str) -> Path:
    (folder / ".env").write_text(text, encoding="utf-8")
    return folder / ".env"


def test_lines_are_read_and_nothing_is_put_into_them(tmp_path: Path) -> None:
    path = env_file(tmp_path, "# ours\n\nSHOP_DB=postgresql://me:$HOME@db/shop\nexport A='b c' # remark\nEMPTY=\n")
    assert read_env_file(path) == {"SHOP_DB": "postgresql://me:$HOME@db/shop", "A": "b c", "EMPTY": ""}
    assert read_env_file(tmp_path / "absent") == {}


@pytest.mark.parametrize("line", ["S3CRET", "A B=S3CRET", "A='S3CRET", "1A=S3CRET", "=S3CRET", "A=S3CRET\0"])
def test_another_line_is_named_without_its_value(tmp_path: Path, line: str) -> None:
    with pytest.raises(MatineeError, match=r"\.env:3: expected a line like NAME=value") as caught:
        read_env_file(env_file(tmp_path, f"FIRST=1\n\n{line}\nLAST=1\n"))
    assert "S3CRET" not in str(caught.value)


@pytest.mark.parametrize("name", ["PYTHONPATH", "PATH", "LD_PRELOAD", "MATINEE_BIN", "MATINEE_COMMAND_PATH"])
def test_what_code_runs_is_not_for_a_folder_to_say(tmp_path: Path, name: str) -> None:
    with pytest.raises(MatineeError, match=rf"\.env:1: found '{name}', which decides what code runs"):
        read_env_file(env_file(tmp_path, f"{name}=/elsewhere\n"))
    assert read_env_file(env_file(tmp_path, "MY_PATH=/elsewhere\n")) == {"MY_PATH": "/elsewhere"}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\n")
    with pytest.raises(MatineeError, match=r"\.env: cannot be read \(UnicodeDecodeError\)"):
        read_env_file(tmp_path / ".env")


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".env")
    with pytest.raises(MatineeError, match=r"\.env: is no regular file"):
        read_env_file(tmp_path / ".env")
