"""The pages of a state folder, by address: files of runs and versions as they are, and pages rendered on request.

Addresses mirror the folders below `MATINEE_HOME`, so that the links between pages are the same on disk and served:

    pages/<pipeline>/overview.html · champion.html · versions/<version>.html    rendered from JSON
    runs/<pipeline>/<day>/<attempt>/…       files; report/report.html is rendered while the run has none yet
    registry/<pipeline>/versions/<version>/…                                    files

Only what exists below the folders of that pipeline is ever read: every part of an address must be a plain name, a
file's kind must be a known one, and no link may lead out.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import MatineeError
from tasks.reports.overview import DEFAULT_DAYS, overview
from tasks.reports.version_pages import champion_page, version_page
from tasks.store.atomic import atomic_file
from tasks.store.files import Home, checked_bytes, safe_name
from tasks.store.records import warn_of_damage
from tasks.store.run_files import attempt_called, pipelines

if TYPE_CHECKING:
    from tasks.runs.run import Run

# No HTML: of pages on disk only reports are served, in which everything from data is escaped.
KINDS = {
    ".json": "application/json",
    ".jsonl": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".log": "text/plain; charset=utf-8",
    ".parquet": "application/octet-stream",
    ".npz": "application/octet-stream",
}
REPORT = ("report", "report.html")


def page_path(home: Home, pipeline: str, name: str) -> Path:
    """Where a page of a pipeline lies when it is written."""
    return home.root / "pages" / safe_name(pipeline) / name


def write_overview(home: Home, pipeline: str, target: Path, days: int = DEFAULT_DAYS) -> Path:
    """Write the overview to a file, with links that lead from there.

    Raises:
        MatineeError: there is no such pipeline.
    """
    _known(home, pipeline)
    return _write(target.resolve(), overview(home, pipeline, target.resolve(), days))


def write_pages(home: Home, pipeline: str, days: int = DEFAULT_DAYS) -> list[Path]:
    """Write all pages of a pipeline below `MATINEE_HOME/pages`; return those of the overview and the champions.

    Raises:
        MatineeError: there is no such pipeline.
    """
    first = write_overview(home, pipeline, page_path(home, pipeline, "overview.html"), days)
    folder = home.registry(pipeline) / "versions"
    for version in sorted(path.name for path in folder.glob("*") if path.is_dir()):
        path = page_path(home, pipeline, f"versions/{version}.html")
        text = version_page(home, pipeline, version, path)
        if text is not None:
            _write(path, text)
    path = page_path(home, pipeline, "champion.html")
    return [first, _write(path, champion_page(home, pipeline, path))]


def _write(path: Path, text: str) -> Path:
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _known(home: Home, pipeline: str) -> None:
    known = pipelines(home)
    if pipeline not in known:
        raise MatineeError(
            f"{home.root}: pipeline {pipeline!r} has no runs here, found {', '.join(known) or 'none at all'}; "
            "run a day first: `matinee run <pipeline> --as-of …`"
        )


def rendered_page(home: Home, pipeline: str, name: str) -> str | None:
    """Render the page with an address below `pages/<pipeline>/`; None if there is none."""
    if pipeline not in pipelines(home):
        return None
    parts = name.split("/")
    if name == "overview.html":
        return overview(home, pipeline, page_path(home, pipeline, name))
    if name == "champion.html":
        return champion_page(home, pipeline, page_path(home, pipeline, name))
    version = parts[-1].removesuffix(".html")
    if len(parts) == 2 and parts[0] == "versions" and parts[1].endswith(".html") and _is_plain(version):
        return version_page(home, pipeline, version, page_path(home, pipeline, name))
    return None


def file_at(home: Home, top: str, pipeline: str, path: str) -> Path | None:
    """Find the file of an address `<top>/<pipeline>/<path>`; None unless it is one that may be shown.

    Args:
        home: the state.
        top: `runs` or `registry`.
        pipeline: whose folder; nothing outside of it is returned.
        path: path below it.
    """
    parts = path.split("/")
    if not all(_is_plain(part) for part in (pipeline, *parts)):
        return None
    if Path(path).suffix not in KINDS and tuple(parts[-2:]) != REPORT:
        return None
    # Resolved, because a plain name can still be a link that leads out; the pipeline's own folder can be one, too.
    folder = (home.root / top / pipeline).resolve()
    file = folder.joinpath(*parts).resolve()
    inside = file.is_relative_to(folder) and folder.is_relative_to(home.root.resolve() / top)
    return file if inside and file.is_file() else None


def _is_plain(part: str) -> bool:
    try:
        safe_name(part)
    except MatineeError:
        return False
    return True


def report_of(home: Home, pipeline: str, day: str, attempt: str, load: Callable[[str, date, str], Run]) -> str | None:
    """Read the report that an attempt has written, or render one of what it has left so far; None if that is nothing.

    Args:
        home: the state.
        pipeline: its name.
        day: as-of day, in ISO form.
        attempt: name of the attempt.
        load: creates a `Run` of pipeline, day and attempt; a MatineeError means that there is no page.
    """
    # As it was written: a run's report is of its own time, whatever has changed since.
    written = file_at(home, "runs", pipeline, "/".join([day, attempt, *REPORT]))
    if written is not None:
        try:
            return checked_bytes(written).decode("utf-8")
        except MatineeError as error:  # a figure of it may be another one now: it is rendered anew
            warn_of_damage(error)
    if not _is_plain(attempt) or not _is_plain(pipeline):
        return None
    try:
        run = load(pipeline, date.fromisoformat(day), attempt)
    except (MatineeError, ValueError):
        return None
    if not run.dir.is_dir():
        return None
    from tasks.reports.run_report import collect_report, render_report

    return render_report(collect_report(run, finished=False))


def address_of(home: Home, pipeline: str, attempt: str) -> str | None:
    """Address of the report of an attempt that is known by its name alone; None if it has left nothing."""
    if not _is_plain(pipeline) or not _is_plain(attempt):
        return None
    attempts = attempt_called(home, pipeline, attempt)
    return "/".join(["runs", pipeline, attempts[0].as_of.isoformat(), attempt, *REPORT]) if attempts else None
