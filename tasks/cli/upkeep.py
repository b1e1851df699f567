"""Commands for the state folder: is all of it whole, and what can go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.text import Text

from tasks.cli.options import DryRun
from tasks.operations.terminal import plain_console

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
        found = walk(home, pipelines or (), progress=lambda place: status.update(Text(f"verifying {place}")))
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        for fault in found.faults:
            console.print(Text.assemble((fault.part, "red"), f"  {fault.place}"), soft_wrap=True)
            console.print(f"    {fault.problem}\n    next: {fault.next}", soft_wrap=True, highlight=False)
        counted = ", ".join(f"{number} {name}" for name, number in found.counted.items())
        verdict = "all whole" if found.whole else f"{len(found.faults)} fault(s)"
        console.print(f"{counted}: {verdict}", highlight=False)
    if not found.whole:
        raise typer.Exit(1)


def gc(
    dry_run: DryRun = False,
    hours: Annotated[int, typer.Option(min=1, help="Only what nothing was written to for so many hours.")] = 24,
) -> None:
    """Remove what killed processes left unfinished; nothing that anybody reads."""
    from tasks.operations.leftovers import leftovers, remove
    from tasks.store.files import default_home

    home = default_home()
    found = leftovers(home, datetime.now(UTC), timedelta(hours=hours))
    for each in found:
        place = str(each.path.relative_to(home.root))
        console.print(
            f"{each.changed:%Y-%m-%d %H:%M}  {each.bytes:>13,} bytes  {place}", soft_wrap=True, highlight=False
        )
        if not dry_run:
            remove(each)
    done = "would remove" if dry_run else "removed"
    total = sum(each.bytes for each in found)
    console.print(f"{done} {len(found)} left-over(s), {total:,} bytes", highlight=False)
