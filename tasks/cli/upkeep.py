"""Commands for the state folder: is all of it whole, and what can go."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from tasks.cli.options import DryRun
from tasks.operations.terminal import plain_console

if TYPE_CHECKING:
    from tasks.store.files import Home

console = plain_console()
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def verify(
    pipelines: Annotated[list[str] | None, typer.Argument(help="Whose registry and tables; all if absent.")] = None,
    as_json: Json = False,
) -> None:
    """Read landing, registry and warehouse from end to end and say what is whole; exits with 1 if anything is not."""
    from tasks.operations.verify import verify as walk
    from tasks.store.files import default_home

    home = default_home()
    # A terminal shows where it is; a log would only grow.
    with console.status("verifying …") as status:
        verification = walk(home, pipelines or (), progress=lambda place: status.update(Text(f"verifying {place}")))
    if as_json:
        typer.echo(verification.model_dump_json(indent=1))
    else:
        for fault in verification.faults:
            console.print(Text.assemble((fault.part, "red"), f"  {fault.place}"), soft_wrap=True)
            console.print(f"    {fault.problem}\n    next: {fault.next}", soft_wrap=True, highlight=False)
        counted = ", ".join(f"{number} {name}" for name, number in verification.counted.items())
        verdict = "all whole" if verification.whole else f"{len(verification.faults)} fault(s)"
        console.print(f"{counted}: {verdict}", highlight=False)
    if not verification.whole:
        raise typer.Exit(1)


def gc(
    dry_run: DryRun = False,
    hours: Annotated[int, typer.Option(min=1, help="Left-overs: only what was not written to for so many hours.")] = 24,
) -> None:
    """Remove what killed processes left unfinished, and what is older than `keep` in the pipeline files."""
    from tasks.operations.leftovers import leftovers, remove
    from tasks.store.files import default_home

    home, now = default_home(), datetime.now(UTC)
    unfinished = leftovers(home, now, timedelta(hours=hours))
    for each in unfinished:
        _list("left-over", f"{each.changed:%Y-%m-%d}", each.bytes, each.path)
        if not dry_run:
            remove(each)
    total, number = sum(each.bytes for each in unfinished), len(unfinished)
    for size in _retire(home, now.date(), dry_run=dry_run):
        total, number = total + size, number + 1
    done = "would remove" if dry_run else "removed"
    console.print(f"{done} {number} thing(s), {total:,} bytes", highlight=False)


def _retire(home: Home, today: date, *, dry_run: bool) -> Iterator[int]:
    """Remove what has outlived its time, and yield the size of each."""
    from tasks.errors import SpecError
    from tasks.operations.retention import outlived, remove
    from tasks.spec.load import load_shape
    from tasks.spec.project import pipelines_folder

    for path in sorted(pipelines_folder().glob("*.yaml")):
        try:
            spec = load_shape(path)
        except SpecError as error:  # nothing is known of what it wants to keep
            console.print(f"skipped: {error}", highlight=False, soft_wrap=True)
            continue
        for each in outlived(spec, home, today):
            size = each.bytes
            _list(each.kind, each.day.isoformat(), size, each.path)
            if not dry_run:
                remove(each)
            yield size


def _list(kind: str, day: str, size: int, path: Path) -> None:
    console.print(f"{kind:<9}  {day}  {size:>15,} bytes  {path}", soft_wrap=True, highlight=False)
