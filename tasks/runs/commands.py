"""Programs of the project that train a model: run without a shell, in a folder and an environment of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import TrainingError
from tasks.runs.narration import counting, say
from tasks.spec.onnx_ranker import TrainedByCommand
from tasks.spec.project import learners
from tasks.store.settings import training_threads

PATH_VARIABLE = "MATINEE_COMMAND_PATH"
MOST_LINES = 200
"""Of its output that the log gets."""
_LONGEST_LINE = 300
_MOST_OUTPUT = 16 * 2**20
_POLL = 0.2  # seconds
_LAST = 5  # lines that an error shows


@dataclass
class _Output:
    """What the program has written so far, line by line; the file is read, not the pipe, so nobody waits for it."""

    path: Path
    at: int = 0
    lines: int = 0

    def new_lines(self) -> Iterator[str]:
        """Yield the whole lines that were written since the last call."""
        with self.path.open("rb") as stream:
            stream.seek(self.at)
            content = stream.read(_MOST_OUTPUT)
        whole = content[: content.rfind(b"\n") + 1]
        self.at += len(whole)
        for line in whole.decode("utf-8", "replace").splitlines():
            if line.strip():
                self.lines += 1
                yield line.strip()[:_LONGEST_LINE]

    def say(self, program: str) -> None:
        """Log them, up to so many."""
        for line in self.new_lines():
            if self.lines <= MOST_LINES:
                say("{_program}: {_line}", _program=program, _line=line)

    def last(self) -> str:
        """The last lines, for an error."""
        text = self.path.read_bytes()[-4_000:].decode("utf-8", "replace")
        lines = [line.strip()[:_LONGEST_LINE] for line in text.splitlines() if line.strip()]
        return " | ".join(lines[-_LAST:]) or "it wrote nothing"


def run_command(program: TrainedByCommand, job: Path) -> None:
    """Run a program until it ends; what it writes is logged.

    Args:
        program: of the pipeline file.
        job: the file that says what it gets and what it has to write, the last of its arguments. Its folder is the
            program's home and the place for what it leaves behind.

    Raises:
        TrainingError: it is not there, fails, or takes longer than it may.
    """
    folder, words = learners() / program.code, (*program.command, str(job))
    output = _Output(job.parent / "output.txt")
    search = os.environ.get(PATH_VARIABLE) or os.environ.get("PATH", os.defpath)
    with output.path.open("wb") as stream, counting(f"seconds of {program.code}", program.timeout * 60) as seconds:
        process = subprocess.Popen(
            [_executable(words[0], search), *words[1:]],
            cwd=folder,
            env=_environment(job.parent, search),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # with a group of its own, which can be ended as a whole
        )
        began = time.monotonic()
        try:
            while (status := process.poll()) is None:
                seconds.done = int(time.monotonic() - began)
                output.say(program.code)
                _stop_beyond(program, output, time.monotonic() - began)
                time.sleep(_POLL)
        finally:
            _end(process)
    output.say(program.code)
    if status != 0:
        raise TrainingError(
            f"{folder}: `{' '.join(program.command)}` ended with the status {status}; expected 0. Its last lines: "
            f"{output.last()}"
        )


def _executable(name: str, search: str) -> str:
    if name == "python" and PATH_VARIABLE not in os.environ:
        return sys.executable
    found = shutil.which(name, path=search)
    if found is None:
        raise TrainingError(f"{name}: no such program in {search}; install it, or name its folder in {PATH_VARIABLE}")
    return found


def _environment(home: Path, search: str) -> dict[str, str]:
    """Nothing of ours but the path: passwords of databases and mail servers are in the environment, too."""
    threads = str(training_threads())
    return {
        "PATH": search,
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        **{f"{library}_NUM_THREADS": threads for library in ("OMP", "MKL", "OPENBLAS")},
    }


def _stop_beyond(program: TrainedByCommand, output: _Output, seconds: float) -> None:
    if seconds > program.timeout * 60:
        raise TrainingError(
            f"`{' '.join(program.command)}` in {learners() / program.code} has not ended within {program.timeout} "
            f"minutes (`timeout`) and was stopped. Its last lines: {output.last()}"
        )
    if output.path.stat().st_size > _MOST_OUTPUT:
        raise TrainingError(
            f"`{' '.join(program.command)}` in {learners() / program.code} wrote more than {_MOST_OUTPUT:,} bytes of "
            f"output and was stopped; expected a few lines of progress. Its last lines: {output.last()}"
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and all that it has started, if anything is left."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()
