"""Error messages of steps: in plain words, on the screen, in Airflow, and kept for the run's report.

`errors/<step>.txt` in the run's folder is the step's last error message; a step that succeeds removes it.
`errors/marked.txt` is there if somebody marked the run in Airflow; a step that begins later removes it. Faults of the
machine and of files (a full disk, a file that DuckDB or Arrow cannot read) become a `MatineeError`; everything else is
a bug of matinee and keeps its traceback.
"""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from engine.errors import EngineError
from tasks.errors import MatineeError, first_line
from tasks.runs.step_log import log_failure, narrated
from tasks.store.files import write_text

if TYPE_CHECKING:
    from tasks.runs.run import Run
    from tasks.store.run_files import RunFiles

Result = TypeVar("Result")
DISK_ADVICE = (
    "No partial output was left behind. Free some space, or fix the disk or its permissions, then run this step again"
)
PATH_ADVICE = {
    errno.EISDIR: "A file is expected here: name a file, or move the folder away",
    errno.ENOTDIR: "A folder is expected here, and a file has its name: name another path, or move the file away",
    errno.EEXIST: "Something has this name already: name another path, or move it away",
    errno.ENAMETOOLONG: "Give it a shorter name",
    errno.ELOOP: "Links lead in a circle: name the file itself",
    errno.EACCES: "This user may not do that: change the permissions, or name another path",
    errno.EPERM: "This user may not do that: change the permissions, or name another path",
    errno.EROFS: "The file system is mounted read-only: name another path, or mount it for writing",
}
"""What to do about a path that is wrong, by what the system said; of everything else, the disk is at fault."""
NO_ERROR_MESSAGE = "ended without an error message: it was killed or it timed out"


def call_step(run: Run, step: str, function: Callable[..., Result], *args: Any) -> Result:
    """Call the function of a step, and keep what it says if it fails.

    Args:
        run: its first argument.
        step: name of the step, and of the file in `errors/`.
        function: what to call.
        args: its other arguments; those of a mapped task (a population) are part of the file's name.

    Raises:
        MatineeError: with what went wrong, in plain words.
    """
    path = error_file(run, step, *args)
    _forget_mark(run)
    with narrated(run, step, *args) as narration:
        try:
            result = narration.result = function(run, *args)
        except Exception as error:
            said = explained(error, f"{run.spec.name} {run.as_of}, step {step}: ")
            log_failure(narration, error, said)
            keep_error(run, step, str(said or f"{type(error).__name__}: {error}"), *args)
            if said is None or said is error:
                raise
            raise said from error
    # A try that succeeds takes back what an earlier one said, or what was said of it when it was killed.
    for said_before in {path, error_file(run, step)}:
        said_before.unlink(missing_ok=True)
    return result


def keep_error(run: Run, step: str, text: str, *args: Any) -> None:
    """Write down the error message of a step, or of one task of a mapped step."""
    with suppress(OSError):  # a full disk: the error itself matters more than its copy
        write_text(error_file(run, step, *args), f"{text}\n")


def keep_silent_failures(run: Run, failed_tasks: Iterable[str]) -> None:
    """Write down which steps failed without a word, as a killed one does: only the scheduler knows of it.

    Report, overview and alerts read what became of a run from its folder, and agree with the scheduler so.

    Args:
        run: the run.
        failed_tasks: tasks that the scheduler calls failed.
    """
    for step in sorted({step_of_task(task) for task in failed_tasks}):
        # The last step fails because another one did.
        if step != "report" and last_words(run, step) is None:
            write_text(error_file(run, step), f"the step {step} {NO_ERROR_MESSAGE}\n")


def keep_mark(folder: Path, state: str) -> None:
    """Write down that somebody marked a run in Airflow, which ended it: no step says so.

    Args:
        folder: the run's; if there is none, it has done nothing, and no page tells of it.
        state: as what.
    """
    if folder.is_dir():
        write_text(_mark_file(folder), f"the run was marked as {state} in Airflow\n")


def mark_of(run: RunFiles) -> str | None:
    """Read as what a run was marked; None if it was not, or if a step has run since."""
    path = _mark_file(run.dir)
    return path.read_text(encoding="utf-8").rstrip() if path.is_file() else None


def _forget_mark(run: RunFiles) -> None:
    """Remove the mark of a run that was cleared since: this task began after it."""
    path = _mark_file(run.dir)
    # A task that was under way when its run was marked may come to its step only now; it is about to be ended.
    with suppress(OSError):
        if path.stat().st_mtime < _process_began():
            path.unlink()


def _process_began() -> float:
    import psutil

    return float(psutil.Process().create_time())


def _mark_file(folder: Path) -> Path:
    return folder / "errors" / "marked.txt"


def step_of_task(task: str) -> str:
    """Name the step of a task: Airflow numbers those of a mapped step, train_0, train_1."""
    return re.sub(r"_\d+$", "", task)


def error_file(run: Run, step: str, *args: Any) -> Path:
    """Locate the file that keeps the error message of a step, or of one task of a mapped step."""
    return run.dir / "errors" / f"{'-'.join([step, *population_folders(args)])}.txt"


def population_folders(args: Iterable[Any]) -> list[str]:
    """Name the folder of each population among a step's arguments: what tells the tasks of a mapped step apart.

    The days that a build is given do not: those that wait for it may be others at the next attempt.
    """
    from tasks.spec.populations import slug

    return [slug(arg) for arg in args if isinstance(arg, str)]


def said(run: Run, step: str, *args: Any) -> str | None:
    """Read what the last try of a step, or of one task of a mapped step, said when it failed; None if it did not."""
    path = error_file(run, step, *args)
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


def last_words(run: RunFiles, step: str) -> str | None:
    """Read the error message of a step, of each of its mapped tasks; None if it did not fail."""
    folder = run.dir / "errors"
    # No step has a hyphen in its name, so that none is taken for a task of another.
    paths = [folder / f"{step}.txt", *sorted(folder.glob(f"{step}-*.txt"))]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in paths if path.is_file()]
    return "\n".join(texts) or None


def explained(error: Exception, place: str = "") -> MatineeError | None:
    """Put an error in plain words; None for one that neither bad input nor the machine can cause: a bug."""
    if isinstance(error, MatineeError):
        return error
    if isinstance(error, EngineError):
        return MatineeError(f"{place}{error}")
    if _is_of("duckdb", "Error", error) or _is_of("pyarrow", "ArrowException", error):
        return MatineeError(
            f"{place}the data could not be read or computed: {first_line(error)}; check the files it names "
            "(`matinee check` names a damaged landing), then run this step again"
        )
    # Before OSError, which it is one of: a missing file is no fault of the disk.
    if isinstance(error, FileNotFoundError):
        return MatineeError(
            f"{place}{error.filename or error}: no such file; expected what an earlier step leaves there. Run the "
            "steps before this one in the same attempt, or `matinee run` for all of them"
        )
    if isinstance(error, OSError):
        file = f"{error.filename}: " if error.filename else ""
        advice = PATH_ADVICE.get(error.errno or 0, DISK_ADVICE)
        return MatineeError(f"{place}{file}{error.strerror or error}. {advice}")
    return None


def _is_of(library: str, name: str, error: Exception) -> bool:
    """Tell whether an error is a library's own; a library that is not loaded has raised none."""
    module = sys.modules.get(library)
    return module is not None and isinstance(error, getattr(module, name, ()))
