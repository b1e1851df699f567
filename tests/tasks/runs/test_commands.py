"""Programs that train: what they get, what they don't, and how they are ended."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path

import pytest

from tasks.errors import TrainingError
from tasks.runs import commands
from tasks.runs.commands import MOST_LINES, run_command
from tasks.spec.onnx_ranker import TrainedByCommand


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a program, in a project of its own."""
    folder = tmp_path / "project" / "learners" / "mine"
    folder.mkdir(parents=True)
    (tmp_path / "job").mkdir()
    monkeypatch.setenv("MATINEE_PROJECT", str(tmp_path / "project"))
    return folder


def run(code: Path, text: str, timeout: str = "1m") -> Path:
    """Run a program; returns the folder of its job."""
    (code / "main.py").write_text(text)
    job = code.parents[2] / "job" / "job.json"
    job.write_text("{}")
    run_command(
        TrainedByCommand.model_validate({"command": ["python", "main.py"], "code": "mine", "timeout": timeout}), job
    )
    return job.parent


def test_it_gets_its_job_and_nothing_of_our_environment(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_DATABASE", "postgresql://me:secret@host/db")
    text = """
import json, os, sys
from pathlib import Path
job = Path(sys.argv[1])
(job.parent / "seen.json").write_text(json.dumps({"env": dict(os.environ), "cwd": os.getcwd(), "args": sys.argv[1:]}))
"""
    folder = run(code, text)
    seen = json.loads((folder / "seen.json").read_text())

    assert seen["cwd"] == str(code)
    assert seen["args"] == [str(folder / "job.json")]
    assert seen["env"]["HOME"] == seen["env"]["TMPDIR"] == str(folder)
    assert "secret" not in json.dumps(seen["env"])
    known = {"PATH", "HOME", "TMPDIR", "LANG", "LC_CTYPE", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE"}
    assert set(seen["env"]) <= {
        *known, "PYTHONUNBUFFERED", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"
    }  # fmt: skip


def test_its_lines_are_logged_up_to_some_number(code: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "matinee"):
        run(code, f"print('epoch 1\\x1b[2J of {{}}')\nfor n in range({2 * MOST_LINES}): print('x' * 1000)")
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("mine: ")]
    assert len(lines) == MOST_LINES
    assert lines[0] == "mine: epoch 1 [2J of {}"
    assert max(map(len, lines)) < 400


def test_a_program_that_fails_is_quoted(code: Path) -> None:
    with pytest.raises(TrainingError, match=r"`python main\.py` ended with the status 1; .*ValueError: no data"):
        run(code, "raise ValueError('no data')")
    with pytest.raises(TrainingError, match=r"the status 3; .*it wrote nothing"):
        run(code, "raise SystemExit(3)")


def test_a_program_that_takes_too_long_is_ended_with_all_that_it_started(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
import subprocess, sys, time
from pathlib import Path
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
(Path(sys.argv[1]).parent / "child.txt").write_text(str(child.pid))
print("training", flush=True)
time.sleep(600)
"""
    began, now = time.monotonic(), time.monotonic
    child = code.parents[2] / "job" / "child.txt"
    # A minute is over as soon as the program has started its own.
    monkeypatch.setattr(commands.time, "monotonic", lambda: now() + (61 if child.exists() and child.read_text() else 0))
    with pytest.raises(TrainingError, match=r"has not ended within 1 minutes \(`timeout`\) and was stopped.*training"):
        run(code, text)
    monkeypatch.undo()
    assert time.monotonic() - began < 60
    for _ in range(100):
        if not alive(int(child.read_text())):
            break
        time.sleep(0.05)
    assert not alive(int(child.read_text()))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


def test_endless_output_is_stopped(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_MOST_OUTPUT", 10_000)
    with pytest.raises(TrainingError, match="wrote more than 10,000 bytes of output and was stopped"):
        run(code, "while True: print('x' * 100)")


def test_programs_are_looked_for_where_the_variable_says(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_COMMAND_PATH", str(code))
    with pytest.raises(TrainingError, match=r"python: no such program in .*mine; install it, or name its folder in"):
        run(code, "")
    (code / "python").write_text("#!/bin/sh\necho mine > ${2%/*}/who.txt\n")
    (code / "python").chmod(0o755)
    assert (run(code, "") / "who.txt").read_text() == "mine\n"
