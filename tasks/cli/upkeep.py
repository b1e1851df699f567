"""Commands for the state folder: is all of it whole, and what can go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from tasks.cli.options import DryRun, Json
from tasks.cli.values import MOST_HOURS, whole_number
from tasks.errors import MatineeError, count_of, visible
from tasks.operations.terminal import plain_console, write_data

if TYPE_CHECKING:
    from tasks.store.files import Home

console = plain_console()
errors = plain_console(stderr=True)


def verify(
    pipelines: Annotated[
        list[str] | None, typer.Argument(help="Whose registry, retrieval and tables (names or files); all if absent.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read landing, registry, retrieval and warehouse from end to end; exits with 1 if anything is not whole."""
    from tasks.operations.verification.walk import verify as walk
    from tasks.store.home import existing_home

    home = existing_home()
    # A terminal shows where it is; a log would only grow.
    with console.status("verifying …") as status:
        verification = walk(home, pipelines or (), progress=lambda place: status.update(Text(f"verifying {place}")))
    if as_json:
        write_data(verification.model_dump_json(indent=1) + "\n")
    else:
        for fault in verification.faults:
            console.print(Text.assemble((fault.part, "red"), f"  {visible(fault.place)}"), soft_wrap=True)
            console.print(f"    {fault.problem}\n    next: {fault.next}", soft_wrap=True, highlight=False)
        counted = ", ".join(f"{number} {name}" for name, number in verification.counted.items())
        verdict = "all whole" if verification.whole else count_of(len(verification.faults), "fault")
        console.print(f"{counted}: {verdict}", highlight=False)
    if not verification.whole:
        raise typer.Exit(1)


def gc(
    dry_run: DryRun = False,
    hours: Annotated[
        int, whole_number(1, MOST_HOURS, meaning="What was not written to for so many hours counts as killed.")
    ] = 24,
) -> None:
    """Remove what killed processes left unfinished, what is older than `keep` in the pipeline files, and unused copies.

    Copies are those of objects in buckets, which are fetched again when a landing asks for them.

    Of a pipeline with a run under way, nothing of `keep` is removed: its steps may read it.

    Exit codes: 0 done, 2 a pipeline file was skipped because it cannot be read; everything else was done.
    """
    from tasks.operations.leftovers import leftovers, refuse_other_folders, remove, unused_objects
    from tasks.spec.project import pipelines_folder
    from tasks.store.home import existing_home

    home, now, files = existing_home(), datetime.now(UTC), sorted(pipelines_folder().glob("*.yaml"))
    age = timedelta(hours=hours)
    refuse_other_folders(home)
    going = {"left-over": leftovers(home, now, age), "object": unused_objects(home, now)}
    for kind, each in ((kind, each) for kind, found in going.items() for each in found):
        _list(kind, f"{each.changed:%Y-%m-%d}", each.bytes, each.path)
        if not dry_run:
            remove(each)
    sizes, skipped = [each.bytes for found in going.values() for each in found], 0
    for path in files:
        try:
            sizes += _retire(path, home, (now, age), dry_run=dry_run)
        except MatineeError as error:  # a damaged file says nothing of what is to be kept: so all of it is
            skipped += 1
            errors.print(f"skipped: {error}", highlight=False, soft_wrap=True)
    done = "would remove" if dry_run else "removed"
    console.print(f"{done} {count_of(len(sizes), 'thing')}, {sum(sizes):,} bytes", highlight=False)
    if skipped:
        raise typer.Exit(2)


def _retire(path: Path, home: Home, clock: tuple[datetime, timedelta], *, dry_run: bool) -> list[int]:
    """Remove what has outlived its time by a pipeline file, and return the sizes.

    Args:
        path: the pipeline file.
        home: the state folder.
        clock: what time it is, and how long ago a run must have written something that is under way.
        dry_run: whether it is only listed.

    Raises:
        MatineeError: the file or the pipeline's registry cannot be read; nothing was removed.
    """
    from tasks.operations.retention import outlived, remove, under_way
    from tasks.runs.narration import named
    from tasks.spec.load import load_spec

    # Both phases: `keep` may let go what the next run needs, and only the second one says so.
    spec, sizes = load_spec(path), []
    for each in outlived(spec, home, clock[0].date()):
        # Asked before each: a run may have begun since.
        if running := under_way(home, spec.name, *clock):
            left = f"left: {each.path} and what follows: a run is under way ({named(running, 1)})"
            console.print(f"{left}; run `matinee gc` again once it has ended", highlight=False, soft_wrap=True)
            break
        sizes.append(each.bytes)
        _list(each.kind, each.day.isoformat(), sizes[-1], each.path)
        if not dry_run:
            remove(each)
    return sizes


def _list(kind: str, day: str, size: int, path: Path) -> None:
    console.print(f"{kind:<9}  {day}  {size:>15,} bytes  {path}", soft_wrap=True, highlight=False)
