"""The Makefile: every target has its line, values are passed on as written, set-up is done once."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tasks.spec.project import TOOL

MAKE = shutil.which("make")
TEXT = (TOOL / "Makefile").read_text(encoding="utf-8")
pytestmark = pytest.mark.skipif(MAKE is None, reason="make is not installed")

STUB = """#!/bin/sh
for word in "$@"; do printf '<%s>' "$word"; done; echo
"""


def make(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    assert MAKE is not None
    return subprocess.run(
        [MAKE, "--no-print-directory", *words], cwd=folder, env=kept | env, capture_output=True, text=True, check=False
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose environment is ready and whose `matinee` prints its arguments."""
    folder = tmp_path / "a checkout"
    (folder / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(TOOL / "Makefile", folder)
    (folder / "requirements.lock").touch()
    program = folder / ".venv" / "bin" / "matinee"
    program.write_text(STUB, encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (folder / ".venv" / ".installed").touch()
    return folder


def test_help_is_the_default_and_lists_every_target(checkout: Path) -> None:
    listed = set(re.findall(r"^  ([a-z-]+) +\S", make(checkout).stdout, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", TEXT, re.MULTILINE)
    assert phony is not None
    assert listed == set(phony[1].split())
    assert {"run", "test", "check", "up", "down", "bench", "clean", "lock", "docs", "ci", "help"} <= listed


def test_run_by_default(checkout: Path) -> None:
    assert make(checkout, "run").stdout == "<stack><run><--days><3><--><streaming>\n"


def test_values_are_passed_on_as_written(checkout: Path) -> None:
    data = """my "data"; $(touch hacked) `touch hacked` $$HOME 'x' $(shell touch hacked)"""
    done = make(checkout, "run", "PIPELINE=--help", f"DATA={data}", "AS_OF=2011-10-31", "DAYS=1", "PORT=9000")
    assert done.stdout == (
        f"<stack><run><--days><1><--as-of><2011-10-31><--data><{data}><--port><9000><--><--help>\n"
    ), done.stderr
    assert not (checkout / "hacked").exists()


def test_values_may_come_from_the_environment(checkout: Path) -> None:
    done = make(checkout, "run", PIPELINE="online_retail", DATA="a b")
    assert done.stdout == "<stack><run><--days><3><--data><a b><--><online_retail>\n"


def test_up_takes_the_folder_of_a_pipeline(checkout: Path) -> None:
    assert make(checkout, "up").stdout == "<stack><up>\n"
    done = make(checkout, "up", "PIPELINE=online_retail", "DATA=a b", "PORT=9000")
    assert done.stdout == "<stack><up><--data><a b><--pipeline><online_retail><--port><9000>\n"


def test_prove_takes_pipeline_day_and_data(checkout: Path) -> None:
    done = make(checkout, "prove", "PIPELINE=online_retail", "AS_OF=2011-10-24", "DATA=a b")
    assert done.stdout == "<prove><--as-of><2011-10-24><--data><a b><--><online_retail>\n"
    assert make(checkout, "prove").stdout == "<prove><--><streaming>\n"


def test_failure_is_passed_on(checkout: Path) -> None:
    (checkout / ".venv" / "bin" / "matinee").write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    assert make(checkout, "run").returncode != 0


def test_environment_is_made_again_only_when_the_lock_changes(checkout: Path) -> None:
    assert "installing" not in make(checkout, "--dry-run", "run").stdout
    os.utime(checkout / "requirements.lock", (2_000_000_000, 2_000_000_000))
    assert "installing" in make(checkout, "--dry-run", "run").stdout


PIP = """#!/bin/sh
case "$*" in
  *"pip install"*) n=0; while [ $n -lt 60 ]; do n=$((n + 1)); echo "Collecting package$n"; done
    [ -z "$BROKEN" ] || { echo "ERROR: no such package" >&2; exit 1; }
    echo "Installing collected packages: all" ;;
esac
"""


def test_setup_shows_how_far_it_is_and_fails_when_pip_does(checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.write_text(PIP, encoding="utf-8")
    python.chmod(0o755)
    os.utime(checkout / "requirements.lock", (2_000_000_000, 2_000_000_000))
    broken = make(checkout, "setup", BROKEN="1")
    assert broken.returncode != 0
    assert "no such package" in broken.stderr

    done = make(checkout, "setup")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["  25 packages found", "  50 packages found", "  installing them …"]


def test_missing_python_is_explained(checkout: Path, tmp_path: Path) -> None:
    """Programs named python3 that are too old, or that do not run at all, are passed over."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "grep", "echo", "rm", "touch"):
        program = shutil.which(name)
        assert program is not None
        (tools / name).symlink_to(program)
    for name in ("python3.11", "python3", "python"):
        (tools / name).write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        (tools / name).chmod(0o755)
    (checkout / ".venv" / ".installed").unlink()
    done = make(checkout, "setup", PATH=str(tools))
    assert done.returncode != 0
    assert "matinee needs Python 3.11 or 3.12 with the venv module" in done.stderr


def test_lock_names_no_host() -> None:
    lock = (TOOL / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    assert not re.search(r"^--", lock, re.MULTILINE)


def test_every_locked_package_has_a_hash() -> None:
    lines = (TOOL / "requirements.lock").read_text(encoding="utf-8").splitlines()
    packages = [n for n, line in enumerate(lines) if re.match(r"[a-z0-9]", line)]
    assert len(packages) > 100
    assert all("--hash=sha256:" in lines[n + 1] for n in packages)


def test_ci_runs_check_and_all_tests() -> None:
    script = TOOL / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text(encoding="utf-8")
    assert re.findall(r"^make [\w-]+$", text, re.MULTILINE) == ["make check", "make test", "make test-slow"]
