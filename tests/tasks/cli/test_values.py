"""A wrong argument ends with 2, at once and in words, whatever command it is given to."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tasks.cli.main import main

DAY = ("--as-of", "2026-02-25")
RUN = ("run", "streaming", *DAY)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.setattr("tasks.operations.run_all.run_all", lambda *_: pytest.fail("a run was begun"))
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*RUN, "--attempt", "../x"), "found '../x', expected a name of letters, digits and"),
        ((*RUN, "--attempt", ""), "found '', expected a name of letters, digits and"),
        ((*RUN, "--attempt", ".hidden"), "found '.hidden', expected a name"),
        ((*RUN, "--attempt", "a" * 300), "found a name of 300 characters, expected at most 200"),
        (("check", "streaming", *DAY, "--attempt", "a/b"), "found 'a/b', expected a name"),
        (("train", "streaming", *DAY, "--attempt", "a" * 201), "found a name of 201 characters"),
        (("rank", "streaming", "--user", "u1", "--version", ""), "found '', expected a name"),
        (("rank", "streaming", "--user", ""), "found an empty id, expected one of the user ids in the data"),
        (("rank", "streaming", "--user", "u" * 600), "expected one of the user ids in the data (String should have"),
        (("rank", "streaming", "--user", "u\u202e1"), r"argument 4: found control characters in 'u\u202e1'"),
        (("validate", "stream\x1b[2Jing"), r"argument 2: found control characters in 'stream\x1b[2Jing'"),
        ((*RUN, "--data", "nowhere"), "found no such folder: 'nowhere'; expected a folder that exists"),
        ((*RUN, "--data", ""), "found no such folder: ''; expected a folder that exists"),
        ((*RUN, "--data", __file__), "found a file: "),
        ((*RUN, "--data", "."), "--data .: the source of streaming is simulated and reads no folder; leave it out"),
        (("land", "streaming", *DAY, "--data", "."), "simulated and reads no folder; leave it out"),
        (
            ("quarantine", "release", "streaming", "--why", "fixed", "--with", "rows.csv"),
            "found no such file: 'rows.csv'; `matinee quarantine show … --out FILE` writes the rows to correct",
        ),
        (("run", "streaming", "--as-of", "2025-12-31"), "covers 2026-01-01 to yesterday; found as-of day 2025-12-31"),
        (
            ("run", "streaming", "--as-of", "2026-01-05"),
            "has too little history for 2026-01-05: the first day that can",
        ),
        (("build", "streaming", "--as-of", "2026-01-05"), "has too little history for 2026-01-05"),
        (("plan", "streaming", "--as-of", "2026-01-05"), "has too little history for 2026-01-05"),
        (("prove", "streaming", "--as-of", "2026-01-05"), "has too little history for 2026-01-05"),
    ],
)
def test_a_wrong_argument_ends_with_2_and_nothing_is_begun(
    arguments: tuple[str, ...],
    said: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["matinee", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert not home.exists()
